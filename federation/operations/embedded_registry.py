"""The register inside a centre's home, for a centre that runs no server of its own.

The only module of `federation` that imports `registry`, and only inside its
functions: the rest speaks HTTP through `RegistryClient`, so moving the register
to a server changes no caller. (import-linter: federation.operations.embedded_registry -> registry)
"""

import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from federation.coordinator.home import CentreHome
from federation.domain.ids import RunId, StudyId
from federation.evidence.keyring import KeyRole, KnownKey
from federation.evidence.signing import Signer
from federation.evidence.verification import PublicKey
from federation.operations.registry_client import RegistryClient
from federation.privacy.bookkeeping import Bookkeeper
from federation.privacy.events import PrivacyEvent

if TYPE_CHECKING:
    from registry.models.service import Registrar

_ADDRESS = "http://register.embedded"


def embedded_client(home: CentreHome) -> RegistryClient:
    """Return a client of the register in `home`, with the right to write."""
    from registry.service_app import registry_app

    token = secrets.token_urlsafe(32)
    app = registry_app(registrar(home), service_token=token)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return RegistryClient(httpx.AsyncClient(transport=transport, base_url=_ADDRESS), token=token)


def registrar(home: CentreHome) -> "Registrar":
    """Return the registrar over a centre's database, key, artefacts and roster."""
    from registry.service_app import registrar_of

    signer = Signer.load(home.evidence_key)
    return registrar_of(
        database_url=home.database_url,
        signer=signer,
        artefacts=home.artefacts,
        keys=lambda: known_keys(home, centre=signer.public_key),
    )


def known_keys(home: CentreHome, *, centre: PublicKey) -> Iterable[KnownKey]:
    """Return the centre's key and those of every site that was ever enrolled.

    A revoked one's too: what was accepted from it before stays signed by it. Nothing
    new is accepted from it (`campaign.asking`).
    """
    yield KnownKey(None, KeyRole.CENTRE, centre)
    for site in home.roster().entries():
        for role, pem in ((KeyRole.NODE, site.node_key), (KeyRole.OFFICER, site.officer_key)):
            if pem is not None:
                yield KnownKey(site.site, role, PublicKey.from_pem(pem.encode()))


def release_books(home: CentreHome) -> Bookkeeper:
    """Return the registry's privacy book in a centre's database: what left which site."""
    from registry.ledger.tables import SqlShelves

    return Bookkeeper(SqlShelves(home.database_url))


def enter_central_release(
    books: Bookkeeper,
    *,
    study: StudyId,
    run: RunId,
    round_number: int,
    events: Sequence[PrivacyEvent],
    at: str,
) -> None:
    """Write what one round's central noise cost each hospital; again changes nothing.

    Raises
    ------
    LedgerEntryRefusedError
        If this round was entered with other events.
    """
    from registry.ledger import service

    service.enter_central_release(
        books, study=study, run=run, round_number=round_number, events=events, at=at
    )


def export_bundle(home: CentreHome, entry: str, path: Path, *, with_model: bool = False) -> Path:
    """Write an entry's evidence bundle; return its path. Same entry, same bytes.

    Raises
    ------
    EntryNotFoundError
        If there is no such entry.
    BundleUnreadableError
        If it cannot be written there.
    """
    from registry.bundle import export

    return export(registrar(home), entry, path, with_model=with_model)


def audit(home: CentreHome, *, seen: Iterable[str] = ()) -> dict[str, int]:
    """Return how many stored things were compared with what was signed, all the same.

    Parameters
    ----------
    seen
        Signed checkpoints kept outside the centre's database.

    Raises
    ------
    LogTamperedError
        Naming the first thing that was changed, dropped or added.
    """
    from registry.auditing import audit_log

    keeper = registrar(home)
    return audit_log(keeper.store, key=keeper.signer.public_key, seen=seen).as_json()
