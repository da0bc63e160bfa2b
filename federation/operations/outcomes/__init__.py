"""Outcome studies over hospitals: curves, hazard ratios, weighted effects by masked sums.

Read in this order: `planning` and `plan_file` (the protocol), `fitting` (what the sums say
and at which coefficients the next one is asked), `concluding` (the document), `running` (what
a launched study does), `showing` (words).
"""
