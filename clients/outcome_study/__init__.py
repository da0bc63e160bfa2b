"""A hospital's part of an outcome study: its table becomes sums, step by step, under masks.

Read in this order: `columns` (lines of the table as arrays), `summing` (what is added up at
given coefficients), `kept` (whom the study's sums are of, and what it was asked at before),
`answering` (the rounds).
"""
