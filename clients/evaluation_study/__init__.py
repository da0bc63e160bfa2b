"""A hospital's part of an evaluation: score the approved cases, keep the predictions, share sums.

Read in this order: `cases` (who is scored, and who is left out because the version was
trained on them), `corruptions`, `scoring`, `predictions` (what stays here), `counting`
(what is added up), `leaving` (the gate of a sum), `answering` (the two rounds).
"""
