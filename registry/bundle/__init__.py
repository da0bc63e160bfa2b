"""Export an entry as one file that a stranger can verify offline.

What is inside, and how it is verified, is federation/evidence/bundle.py. `gathering`
reads the register, `dossier`, `crate` and `readme` say in words what was read, `writing`
puts it together, verifies it as a stranger would, and only then gives it a name.
"""

from registry.bundle.writing import export

__all__ = ["export"]
