"""Statements that a stranger can verify: canonical bytes, signatures, proofs."""
