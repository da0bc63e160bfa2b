"""TF6xx: mechanisms, accountants, ledger and gate."""
