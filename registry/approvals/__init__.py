"""Approvals of any record, asked for by one person and given by another.

Whoever asks names the record by its digest and the role that shall decide; somebody of
that role who wrote nothing of it signs. It counts for that content alone, until it
expires or is withdrawn.
"""

from registry.approvals.noun import NOUN

__all__ = ["NOUN"]
