"""The nouns: site, study, recipe, run and round, update, metric, audit event.

Frozen values checked when made, and state machines as tables. Imports the
standard library and `federation.errors` only.
"""
