"""From files to the store: screening, workers, the state machine of an incoming file."""
