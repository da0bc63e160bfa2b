"""Keep the child processes of the two long-running processes alive, and end them all."""
