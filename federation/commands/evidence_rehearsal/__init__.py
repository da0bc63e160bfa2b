"""What the demo does with its trained version: evaluate, study the impact, record, open a dossier.

Read in this order: `chapter` (the four steps, and what a visitor is told), `people` (who
acts), `evaluation`, `study` with `protocol` and `invented` (numbers that never were), `records`
with `version_card` (what the platform knows, written down), `dossier`.
All of it is written into the register and so into its evidence log, by the same functions
as `trifed evaluate`, `trifed impact` and `trifed dossier`.
"""
