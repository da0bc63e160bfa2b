"""What the demo does with its trained version: evaluate, study the impact, open a dossier.

Read in this order: `chapter` (the three steps, and what a visitor is told), `people` (who
acts), `evaluation`, `study` with `protocol` and `invented` (numbers that never were), `dossier`.
All of it is written into the register and so into its evidence log, by the same functions
as `trifed evaluate`, `trifed impact` and `trifed dossier`.
"""
