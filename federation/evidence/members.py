"""What the members of an evidence bundle are called."""

from federation.domain.ids import Sha256
from federation.evidence.model_version import LoggedStatement

BUNDLE_SCHEMA = "trifed.bundle/2"
MANIFEST = "manifest.json"
SIGNED_MANIFEST = "manifest.dsse.json"
DOSSIER = "dossier.json"
RECORD = "items/record.json"
CHECKPOINT = "log/checkpoint"
REGISTERED = "log/registered"
GROWTH = "log/consistency.json"
ROOT, CHAIN, REVOKED = "pki/root.pem", "pki/chain.pem", "pki/revocations.pem"
MODEL = "model.safetensors"
MODEL_SIGNATURE = "model.sig"
WEIGHTS_KEY = "pki/weights-key.json"


def item_name(stem: str) -> str:
    """Return the member that says something so that it can be read."""
    return f"items/{stem}.json"


def signed_name(stem: str) -> str:
    """Return the member that holds the same, signed."""
    return f"dsse/{stem}.json"


def proof_name(stem: str) -> str:
    """Return the member that proves it to be in the log."""
    return f"log/inclusion/{stem}.json"


def statement_stem(number: int, statement: LoggedStatement) -> str:
    """Return what the members of the `number`-th statement of a record are called, from 1."""
    return f"{number:05}-{statement.site or 'centre'}-{statement.kind}"


def earlier_stem(number: int) -> str:
    """Return what the members of a corrected version are called, from 1, newest first."""
    return f"earlier-{number:05}"


def revision_stem(number: int) -> str:
    """Return what the members of a recorded revision are called, from 1, in the log's order."""
    return f"register-{number:05}"


def person_stem(envelope: Sha256) -> str:
    """Return what the members of a person's own signature are called."""
    return f"person-{envelope.hex[:32]}"


def dated_name(number: int) -> str:
    """Return the member that says when the log had a size, from 1."""
    return f"log/dated/{number:05}.json"
