"""The register of opt-out lists, and where each was applied (R37-R40, N7).

No identifier is here: a list is known by its version and the digest of its keyed
pseudonyms. `noun` is the list, `propagation` one site's word that it was applied,
`gaps` says where that word is missing.
"""

from registry.optout.noun import NOUN
from registry.optout.propagation import PROPAGATION

__all__ = ["NOUN", "PROPAGATION"]
