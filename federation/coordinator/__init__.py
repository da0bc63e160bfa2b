"""The centre's long-running process: front door, control service, fleet gate."""
