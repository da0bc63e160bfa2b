"""What an operator does with the register: register, list, show, export, verify, audit.

Each takes a centre's home (the register inside it) or the address of a register
elsewhere. Plain functions for the command line and for Prefect tasks that are
not coroutines; inside a running event loop use `RegistryClient` itself.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TypeVar

from federation.coordinator.home import CentreHome
from federation.errors.moves import RecordNotFoundError
from federation.evidence.bundle import BundleReport
from federation.evidence.bundle import verify_bundle as report_on
from federation.evidence.inclusion import CheckedEntry, check_entry
from federation.evidence.model_version import Candidate
from federation.evidence.verification import PublicKey
from federation.operations import embedded_registry
from federation.operations.registry_client import Listing, Registered, RegistryClient

Value = TypeVar("Value")
Where = Path | str


def register_candidate(home: Path, candidate: Candidate) -> Registered:
    """Register a trained model in the home's register and sign its weights; again changes nothing.

    Raises
    ------
    PlatformError
        What the register refused with (TF701-TF733), or why the file was not signed (TF799).
    """
    registered = _with_client(home, lambda client: client.register(candidate))
    embedded_registry.sign_weights(CentreHome.open(home), candidate.model)
    return registered


def list_entries(where: Where, *, offset: int = 0, limit: int = 50) -> Listing:
    """Return registered versions, newest first. `where` is a home or an address."""
    return _with_client(where, lambda client: client.list(offset=offset, limit=limit))


def show_entry(where: Where, entry: str, *, centre_key: Path | None = None) -> CheckedEntry:
    """Return one entry, its signature and its place in the log checked.

    Parameters
    ----------
    where
        A home, whose own key is used to check, or an address.
    centre_key
        The centre's public key (PEM), for an address; without it nothing is checked.

    Raises
    ------
    EntryNotFoundError
        If there is none of that name.
    """
    shown = _with_client(where, lambda client: client.show(entry))
    return check_entry(shown, key=_key(where, centre_key))


def state_of(where: Where, entry: str) -> str | None:
    """Return in which state a version is now; None if a home's register does not say.

    An entry is signed once, as a draft; what became of it since is in its records.
    """
    if not isinstance(where, Path):
        return None
    try:
        return embedded_registry.desk(CentreHome.open(where)).get("model-version", entry).state
    except RecordNotFoundError:
        return None


def export_bundle(home: Path, entry: str, path: Path, *, with_model: bool = False) -> Path:
    """Write an entry's evidence bundle and return its path.

    Raises
    ------
    EntryNotFoundError, ArtefactError, BundleUnreadableError
        If there is no such entry, its model changed, or the file cannot be written.
    """
    centre = CentreHome.open(home)
    return embedded_registry.export_bundle(centre, entry, path, with_model=with_model)


def verify_bundle(path: Path, *, centre_key: Path | None = None) -> BundleReport:
    """Return whether a bundle holds; needs no home, network or database."""
    return report_on(path, centre_key=PublicKey.load(centre_key) if centre_key else None)


def audit_register(home: Path, *, seen: Iterable[Path] = ()) -> dict[str, int]:
    """Return how much was compared with what was signed; `seen` are kept checkpoints.

    Raises
    ------
    LogTamperedError
        Naming the first thing that was changed, dropped or added.
    """
    notes = [path.read_text(encoding="utf-8") for path in seen]
    return embedded_registry.audit(CentreHome.open(home), seen=notes)


def _with_client(where: Where, ask: Callable[[RegistryClient], Awaitable[Value]]) -> Value:
    async def asked() -> Value:
        async with _client(where) as client:
            return await ask(client)

    return asyncio.run(asked())


def _client(where: Where) -> RegistryClient:
    if isinstance(where, Path):
        return embedded_registry.embedded_client(CentreHome.open(where))
    return RegistryClient.at(where)


def _key(where: Where, given: Path | None) -> PublicKey | None:
    if given is not None:
        return PublicKey.load(given)
    if isinstance(where, Path):
        return PublicKey.load(CentreHome.open(where).evidence_public_key)
    return None
