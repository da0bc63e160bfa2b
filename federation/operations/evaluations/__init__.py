"""Evaluations of registered versions at hospitals, from the plan to the register.

Read in this order: `planning` (a plan from the register and the roster), `plan_file` (the
file that people read and edit), `concluding` (what the sums come to: figures, decision,
one document a version), `further` (pairs, uncertainty, explanations), `records` (protocol
and results in the register and its log), `running` (what a launched evaluation does),
`showing` (words and figures).
"""
