"""Who belongs to the federation: authority, requests, kits and the roster."""
