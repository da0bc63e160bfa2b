"""One function per thing an operator can do."""
