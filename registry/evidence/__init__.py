"""The log: every signed statement is an entry, and every growth is signed."""
