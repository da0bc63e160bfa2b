"""Who did what to which record: every write leaves one signed event."""
