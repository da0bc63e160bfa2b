"""The book of what is here, counted without showing anybody."""
