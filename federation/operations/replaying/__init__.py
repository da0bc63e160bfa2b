"""Compute a run once more from what the centre kept, and say where it differs.

`kept` is what a run must have kept, `centre` the replay itself, `summary` the
registered numbers by a second way, `stored` the run in the centre's database,
`evaluation` the replay of a run that evaluated.
"""
