"""Reimbursement: provisional payment with its clock of two years, then a decision on evidence.

`payment` is the shape, `noun` states, moves, guards and the clock's rules.
"""

from registry.reimbursement.noun import NOUN, RULES

__all__ = ["NOUN", "RULES"]
