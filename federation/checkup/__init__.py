"""What a check of a home finds, for the side that looks and the side that reads."""
