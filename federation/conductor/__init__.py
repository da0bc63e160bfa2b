"""The process that keeps every launched study's campaign running; started by `centre serve`."""
