"""A hospital's part of an evaluation: score the approved cases, keep the predictions, share sums.

Read in this order: `cases` (what slices need of who is scored), `disjointness` (who is left
out because the version was trained on them), `corruptions`, `scoring`, `explaining` with
`drawing` and `explained`, `predictions` (what stays here), `counting` (what is added up),
`leaving` (the gate of a sum), `answering` (the two rounds).
"""
