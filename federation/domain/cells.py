"""The smallest count of patients that anyone may see, in a hospital and outside it."""

SMALL_CELL = 10
"""No count of patients between 1 and this number, exclusive, is shown or leaves a hospital."""
