"""The register inside a centre's home, for a centre that runs no server of its own.

The only module of `federation` that imports `registry`, and only inside its
functions: the rest speaks HTTP through `RegistryClient`, so moving the register
to a server changes no caller. (import-linter: federation.operations.embedded_registry -> registry)
"""

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from federation.coordinator.home import CentreHome
from federation.domain.ids import RunId, Sha256, StudyId
from federation.domain.site import SiteState
from federation.errors import PlatformError
from federation.errors.core import InvalidValueError
from federation.evidence.canonical import canonical, parse
from federation.evidence.inclusion import ShownEntry, check_entry
from federation.evidence.keyring import KeyRole, KnownKey
from federation.evidence.model_version import ModelFile
from federation.evidence.signing import Signer
from federation.evidence.verification import PublicKey
from federation.operations.registry_client import RegistryClient
from federation.pki.roster import SiteEntry
from federation.privacy.bookkeeping import Bookkeeper
from federation.privacy.events import PrivacyEvent
from federation.storage import write_atomic
from federation.wording import Language, Text

if TYPE_CHECKING:
    from registry.certification.changes import Classified
    from registry.certification.completeness import Completeness
    from registry.certification.service import Tried
    from registry.models.service import Registrar
    from registry.models.trust import RetiredKey
    from registry.records.ports import StoredRecord
    from registry.records.service import Moved, Records
    from registry.records.shapes import Noun
    from registry.records.statements import PersonKeys
    from registry.roles import Author, Role

_ADDRESS = "http://register.embedded"
DOCUMENTS = "reports"
"""The folder beside the models where documents lie that records name by digest."""


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
        keys=lambda: todays_keys(home, centre=signer.public_key),
        retired=lambda: retired_keys(home),
    )


def sign_weights(home: CentreHome, model: ModelFile) -> None:
    """Sign a registered model's file with the centre's key for weights, if it is not signed.

    Raises
    ------
    ArtefactError
        If the file is not the one that `model` names.
    WeightsSignatureError
        If the package model-signing is not installed, or the key cannot be used.
    """
    from registry.evidence.weights import sign_model, weights_problems

    signer = Signer.load(home.evidence_key)
    if weights_problems(home.artefacts, model, register=signer.public_key):
        sign_model(home.artefacts, model, key=home.weights_key, signer=signer)


def known_keys(home: CentreHome, *, centre: PublicKey) -> Iterable[KnownKey]:
    """Return the centre's key and those of every site that was ever enrolled.

    A revoked one's too: what was accepted from it before stays signed by it. Nothing
    new is accepted from it (`campaign.asking`), and a registration counts of it what
    was logged before (`retired_keys`).
    """
    yield from todays_keys(home, centre=centre)
    yield from (one.known for one in retired_keys(home))


def todays_keys(home: CentreHome, *, centre: PublicKey) -> Iterable[KnownKey]:
    """Return the centre's key and those of every site that is not revoked."""
    yield KnownKey(None, KeyRole.CENTRE, centre)
    for site in home.roster().entries():
        if site.state is not SiteState.REVOKED:
            yield from _keys_of(site)


def retired_keys(home: CentreHome) -> "Iterable[RetiredKey]":
    """Return the keys of every revoked site, with the time from which they count no more."""
    from registry.models.trust import RetiredKey

    for site in home.roster().entries():
        if site.state is SiteState.REVOKED:
            yield from (RetiredKey(known, site.changed) for known in _keys_of(site))


def _keys_of(site: SiteEntry) -> Iterable[KnownKey]:
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

    people = person_keys(home)
    return export(registrar(home), entry, path, with_model=with_model, people=people)


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
    from registry.nouns import nouns_in_the_log

    keeper = registrar(home)
    key = keeper.signer.public_key
    nouns = nouns_in_the_log(artefacts=keeper.artefacts, key=key)
    return audit_log(keeper.store, key=key, seen=seen, nouns=nouns).as_json()


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, of which house, in which role; a centre's role says the centre by itself."""

    person: str
    organisation: str
    role: str
    centre: str | None = None


@dataclass(frozen=True, slots=True)
class Following:
    """A move that the state allows: where to, by which seats, and what holds it back now."""

    number: str
    after: str
    seats: tuple[tuple[str, ...], ...]
    held_back: tuple[PlatformError, ...]
    follows: Text | None

    def as_json(self) -> dict[str, object]:
        """Return the move as JSON, reasons with their codes in both languages."""
        return {
            "move": self.number,
            "state": self.after,
            "roles": [list(seat) for seat in self.seats],
            "held_back": [_told(one) for one in self.held_back],
        }


@dataclass(frozen=True, slots=True)
class RecordDesk:
    """The records of one register, for operations: nouns and people by their names.

    Parameters
    ----------
    records
        Who writes, with store, key and clock.
    registrar
        The model versions beside them, for bundles.
    """

    records: "Records"
    registrar: "Registrar"

    def get(self, noun: str, id: str, revision: int | None = None) -> "StoredRecord":
        """Return a record's newest revision or the one asked for.

        Raises
        ------
        RecordNotFoundError
            If there is none.
        """
        return self.records.get(noun, id, revision)

    def history(self, noun: str, id: str) -> "Sequence[StoredRecord]":
        """Return all revisions of a record, oldest first."""
        return self.records.history(noun, id)

    def put(
        self,
        noun: str,
        id: str,
        body: Mapping[str, object],
        actor: Actor,
        *,
        revision: int,
        reason: str = "",
    ) -> "StoredRecord":
        """Write a record's content upon the revision that was seen, 0 for a new one.

        Raises
        ------
        PlatformError
            What the register refused with.
        """
        kind = self._kind(noun)
        content = kind.read(canonical(dict(body)))
        author = _author(actor)
        return self.records.put(kind, id, content, author=author, revision=revision, reason=reason)

    def move(
        self, noun: str, id: str, number: str, actor: Actor, *, reason: str, revision: int
    ) -> "Moved":
        """Make a move, or keep one signature for it; raises what the register refused with."""
        kind, author = self._kind(noun), _author(actor)
        return self.records.move(kind, id, number, author=author, revision=revision, reason=reason)

    def following(self, noun: str, id: str) -> tuple[Following, ...]:
        """Return every move that the record's state allows, with what holds it back."""
        from registry.roles import Author

        kind, record = self._kind(noun), self.get(noun, id)
        reader = "reader"
        return tuple(
            Following(
                one.number,
                str(one.after.value),
                tuple(tuple(sorted(role.value for role in seat.roles)) for seat in one.seats),
                tuple(
                    self.records.held_back(
                        kind, id, one.number, author=Author(reader, _one_of(one.roles), reader)
                    )
                ),
                one.follows,
            )
            for one in kind.moves.of(kind.moves.states(record.state))
        )

    def _kind(self, noun: str) -> "Noun[Any]":
        """Return a noun by its name, that of model versions too; raises `RequestInvalidError`."""
        from registry.models.cards import version_noun
        from registry.models.version_card import NAME
        from registry.nouns import noun_named

        if noun != NAME:
            return noun_named(noun)
        keeper = self.registrar
        return version_noun(artefacts=keeper.artefacts, key=keeper.signer.public_key)

    def is_signed(self, record: "StoredRecord") -> bool:
        """Say whether the log holds the register's signature over exactly this revision."""
        from registry.records.statements import verify_record

        key = self.registrar.signer.public_key
        try:
            with self.records.store.reading() as transaction:
                envelope = transaction.log.entry(record.log_index).envelope
            said = verify_record(envelope, key=key)
        except PlatformError:
            return False
        return canonical(said) == canonical(record.as_json())

    def is_signed_entry(self, entry: str) -> bool:
        """Say whether a version's record is signed and in the log, as a reader checks it."""
        from registry.models.service import show

        shown = show(self.records.store, entry)
        record, place = parse(shown.record), shown.inclusion.as_json()
        assert isinstance(record, dict)  # the register wrote it
        read = ShownEntry(
            shown.entry, record, shown.superseded_by, shown.envelope, place, shown.checkpoint
        )
        return check_entry(read, key=self.registrar.signer.public_key).failure is None

    def due_at(self, noun: str, id: str) -> tuple[tuple[datetime, str | None, Text], ...]:
        """Return what the register's clock will do of itself: when, which move, why."""
        from registry.nouns import noun_rules
        from registry.timers.due import Standing

        history = self.history(noun, id)
        standing = Standing(history)
        found = [
            (at, rule.move, rule.reason)
            for rule in noun_rules()
            if rule.noun.name == noun and history[-1].state in rule.states and not rule.linked_by
            if (at := rule.at(standing)) is not None
        ]
        return tuple(sorted(found, key=lambda one: one[0]))

    def linking(self, noun: str, id: str, *, by: str) -> "Sequence[StoredRecord]":
        """Return the records of a noun whose newest revision links to a record."""
        return self.records.linking(noun, id, by=by)

    def completeness(self, dossier: str) -> "Completeness":
        """Return how a dossier stands now; raises if it, or its rule pack, is not there."""
        from registry.certification.service import completeness_of

        return completeness_of(self.records, dossier)

    def tried(self, dossier: "StoredRecord", body: Mapping[str, object]) -> "Tried":
        """Return how a dossier would stand with another content; nothing is written."""
        from registry.certification.service import try_content

        return try_content(self.records, dossier, body)

    def item(self, noun: str, id: str) -> dict[str, object]:
        """Return a record as an item of evidence, word for word as the register has it."""
        from registry.certification.service import item_for

        return item_for(self.records.store, noun, id).model_dump(mode="json")

    def belonging(self, entry: str) -> "list[tuple[str, str]]":
        """Return noun and id of every record that belongs to a version."""
        from registry.certification.service import records_of

        return records_of(self.records.store, entry)

    def export(self, entry: str, path: Path) -> Path:
        """Write an entry's evidence bundle; raises as `export_bundle`."""
        from registry.bundle import export

        return export(self.registrar, entry, path, people=self.records.keys)

    def keep_document(self, content: bytes) -> Sha256:
        """Keep what a record names by digest where the register's pages look for it."""
        digest = Sha256.of(content)
        folder = self.registrar.artefacts / DOCUMENTS
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomic(folder / f"{digest.hex}.json", content)
        return digest

    def study_report(self, record: "StoredRecord", language: Language) -> str:
        """Return the report of an impact study as HTML, with its economics where they are kept.

        Raises
        ------
        ReportDocumentError
            If the kept economics cannot be read.
        """
        from registry.impact import NOUN
        from registry.reports import impact_report
        from registry.reports.checklists.answers import Study
        from registry.reports.documents import read_economics, read_outcomes

        body = NOUN.of(record)
        kept = self._document(body.economic.document if body.economic else None)
        economics = None if kept is None else read_economics(kept)
        named = [self._document(digest) for digest in body.outcomes]
        outcomes = tuple(read_outcomes(one) for one in named if one is not None)
        return impact_report(Study(record.id, body, economics, outcomes), language)

    def dossier_report(self, record: "StoredRecord", language: Language) -> str:
        """Return the state of a dossier as HTML."""
        from registry.certification import NOUN
        from registry.reports import dossier_report

        found = self.completeness(record.id)
        return dossier_report(record.id, NOUN.of(record), found, language)

    def pdf(self, html: str) -> bytes:
        """Return a report as PDF; raises `PdfMissingError` where that is not installed."""
        from registry.reports import as_pdf

        return as_pdf(html)

    def _document(self, digest: str | None) -> bytes | None:
        """Return a kept document, None where it is not kept or not the one that is named."""
        if digest is None:
            return None
        path = self.registrar.artefacts / DOCUMENTS / f"{Sha256(digest).hex}.json"
        content = path.read_bytes() if path.is_file() else b""
        return content if Sha256.of(content) == digest else None

    def attested_digest(self, body: Mapping[str, object]) -> Sha256:
        """Return the digest of what machines know of a training run.

        Raises
        ------
        RecordShapeError
            If the content is no record of a run.
        """
        from registry.training import NOUN
        from registry.training.attestation import attested_digest

        return attested_digest(NOUN.read(canonical(dict(body))))

    def entries_of(self, run: RunId) -> list[str]:
        """Return the versions that are registered of a run, oldest first."""
        with self.records.store.reading() as transaction:
            return [one.entry for one in transaction.models.of_run(run)]

    def classify(self, asked: Mapping[str, object]) -> "Classified":
        """Return what a change of a version needs; raises if a part or the plan is unknown."""
        from registry.certification.service import classify_asked, read_change

        return classify_asked(self.records, read_change(asked))

    def pack(self, name: str, edition: str | None) -> dict[str, object]:
        """Return how a dossier names an edition of a rule pack, by default the newest.

        Raises
        ------
        RulePackError
            If it is not installed.
        """
        from registry.certification.rule_packs import newest, pack_named

        found = newest(name) if edition is None else pack_named(name, edition)
        return {"id": found.id, "version": found.version, "digest": found.digest}


def desk(home: CentreHome, *, clock: Callable[[], datetime] | None = None) -> RecordDesk:
    """Return the records of the register in `home`; `clock` is UTC, by default the true one."""
    from registry.records.service import Records

    keeper, people = registrar(home), person_keys(home)
    records = Records(keeper.store, keeper.signer, clock or keeper.clock, people)
    return RecordDesk(records, keeper)


def person_keys(home: CentreHome) -> "PersonKeys":
    """Return what knows every key a person ever had; nobody has one where there is no account."""
    from federation.operations.register_accounts import KEY_FILE, accounts_in, own_origin
    from registry.records.statements import no_keys

    if not home.evidence_key.with_name(KEY_FILE).exists():
        return no_keys
    return accounts_in(home, origin=own_origin(home)).signature_keys.of_person


def _one_of(roles: "Iterable[Role]") -> "Role":
    """Return one of several roles, always the same one."""
    return min(roles, key=lambda role: role.value)


def _author(actor: Actor) -> "Author":
    from registry.roles import CENTRE_OF, Author, Centre, role_named

    role = role_named(actor.role)
    known = {one.value: one for one in Centre}
    if actor.centre is not None and actor.centre not in known:
        expected = ", ".join(known)
        raise InvalidValueError(field="centre", actual=repr(actor.centre[:20]), expected=expected)
    centre = known[actor.centre] if actor.centre else CENTRE_OF.get(role)
    return Author(actor.person, role, actor.organisation, centre)


def _told(problem: PlatformError) -> dict[str, object]:
    what = {"en": problem.say_what(), "zh-TW": problem.say_what(Language.ZH_HANT_TW)}
    do = {"en": problem.say_next_step(), "zh-TW": problem.say_next_step(Language.ZH_HANT_TW)}
    return {"code": problem.code, "what": what, "next_step": do}
