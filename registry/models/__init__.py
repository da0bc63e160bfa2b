"""Model versions: what was trained, where, how good it is, and what patients were promised."""
