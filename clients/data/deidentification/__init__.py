"""What of a file stays and what goes: the standard's table and its execution."""
