"""Requests to carry something out of the data area, and the scans they rest on.

`shape` is the form, `scanning` looks at the bytes themselves, `scans` keeps what a scan
found as a record of its own, `guards` and `states` decide (R25-R27).
"""

from registry.exports.noun import NOUN
from registry.exports.scans import SCAN

__all__ = ["NOUN", "SCAN"]
