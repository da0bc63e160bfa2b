"""Where everything lies below a node's data folder. No name below it comes from a patient."""

import hashlib
from pathlib import Path

STORE = "dicom"
STAGING = "staging"
LOCK = "intake.lock"
MASKS = "masks"
CACHE = "cache"
KEY_FILE = Path("keys") / "pseudonym.key"


def stored_path(data: Path, instance: str) -> Path:
    """Return where an admitted instance lies: two digits of its hash, then its UID."""
    shard = hashlib.sha256(instance.encode()).hexdigest()[:2]
    return data / STORE / shard / f"{instance}.dcm"


def mask_path(data: Path, name: str) -> Path:
    """Return where a mask of that content lies."""
    return data / MASKS / f"{name}.npy"
