"""What a mechanism did, what it costs, and whether the book still allows it."""
