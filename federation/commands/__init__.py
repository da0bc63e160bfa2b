"""The command line: thin, lazy, one module per noun."""
