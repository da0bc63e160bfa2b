"""Dataset cards: what each hospital says of the data that a study used there.

`card` is the shape, `noun` states, moves and guards, `fields` the types that all
evidence nouns share (counts that may be shown, days, ids).
"""

from registry.datasets.noun import NOUN, RULES

__all__ = ["NOUN", "RULES"]
