"""Pseudonyms, keys, and those who opted out."""
