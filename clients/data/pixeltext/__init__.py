"""Text burned into pictures: found, and blanked or quarantined by policy."""
