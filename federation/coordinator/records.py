"""What the control channel keeps at the centre: plain files, each whole or absent.

A node that was away gets everything meant for it when it connects, also after
the centre restarted. Layout, below the centre's home:

    proposals/STUDY.json           the study, its digests, signature and sites
    notices/RUN.json               runs that executors may accept
    decisions/STUDY/SITE.dsse.json the hospitals' signed decisions, as received
    cards/SITE/STUDY.json          dataset cards, as received
    heads/SITE.dsse.json           each site's newest accepted reply, which holds its heads
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from federation.domain.ids import RunId, Sha256, SiteId, StudyId
from federation.errors import PlatformError
from federation.errors.control import UnaskedDecisionError
from federation.errors.core import InvalidIdError, UnreadableRecordError
from federation.evidence.dsse import read_envelope
from federation.evidence.statements import Statement
from federation.protocol.mapping import Card, Proposal, RunNotice, SignedDecision
from federation.storage import write_atomic

_FOLDER_MODE = 0o700


@dataclass(frozen=True, slots=True)
class Proposed:
    """A proposal, whom it was made to, and whether it still stands."""

    proposal: Proposal
    sites: tuple[SiteId, ...]
    withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class Noticed:
    """A run notice and whom it is for."""

    notice: RunNotice
    sites: tuple[SiteId, ...]


class ControlRecords:
    """The centre's files of the control channel, below one folder."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def propose(self, proposed: Proposed) -> None:
        """Keep a proposal; a newer one of the same study replaces it."""
        proposal = proposed.proposal
        record = {
            "study": proposal.study,
            "content": proposal.content.decode(),
            "study_digest": proposal.study_digest,
            "recipe_digest": proposal.recipe_digest,
            "envelope": proposal.envelope.decode(),
            "sites": list(proposed.sites),
            "withdrawn": proposed.withdrawn,
        }
        self._write(Path("proposals") / f"{proposal.study}.json", json.dumps(record).encode())

    def withdraw(self, study: StudyId) -> tuple[SiteId, ...]:
        """Mark a proposal as withdrawn; return the sites it was made to."""
        found = self.proposed(study)
        if found is None:
            return ()
        self.propose(replace(found, withdrawn=True))
        return found.sites

    def proposed(self, study: StudyId) -> Proposed | None:
        """Return the proposal of a study, or None if it was never proposed."""
        path = self._home / "proposals" / f"{study}.json"
        return _read_proposed(path) if path.exists() else None

    def proposed_to(self, site: SiteId) -> list[Proposed]:
        """Return every proposal made to a site, by study."""
        found = (_read_proposed(path) for path in self._files("proposals", "*.json"))
        return [item for item in found if site in item.sites]

    def notice(self, noticed: Noticed) -> None:
        """Keep a run notice, or forget it when the run is over."""
        path = Path("notices") / f"{noticed.notice.run}.json"
        if noticed.notice.over:
            (self._home / path).unlink(missing_ok=True)
            return
        record = {**asdict(noticed.notice), "sites": list(noticed.sites)}
        self._write(path, json.dumps(record).encode())

    def notices_for(self, site: SiteId) -> list[RunNotice]:
        """Return the notices of every open run of a site."""
        found = (_read_noticed(path) for path in self._files("notices", "*.json"))
        return [item.notice for item in found if site in item.sites]

    def check_asked(self, site: SiteId, decision: SignedDecision) -> None:
        """Return if this very study was proposed to this site and still stands.

        Raises
        ------
        UnaskedDecisionError
            If it was not.
        """
        found = self.proposed(decision.study)
        asked = found is not None and site in found.sites and not found.withdrawn
        if found is None or not asked or found.proposal.study_digest != decision.study_digest:
            raise UnaskedDecisionError(site=site, study=decision.study)

    def decide(self, site: SiteId, decision: SignedDecision) -> None:
        """Keep a site's verified decision; a newer one replaces it."""
        self._write(Path("decisions") / decision.study / f"{site}.dsse.json", decision.envelope)

    def decisions(self, study: StudyId) -> dict[SiteId, bytes]:
        """Return the decisions on a study, DSSE envelopes by site."""
        files = self._files(f"decisions/{study}", "*.dsse.json")
        return {SiteId(path.name.removesuffix(".dsse.json")): path.read_bytes() for path in files}

    def decisions_of(self, site: SiteId) -> list[bytes]:
        """Return a site's decisions on all studies, DSSE envelopes by study."""
        return [path.read_bytes() for path in self._files("decisions", f"*/{site}.dsse.json")]

    def keep_card(self, site: SiteId, card: Card) -> None:
        """Keep a site's dataset card; a newer one replaces it."""
        self._write(Path("cards") / site / f"{card.study}.json", card.content)

    def cards(self, study: StudyId) -> dict[SiteId, bytes]:
        """Return the dataset cards for a study, JSON by site."""
        files = self._files("cards", f"*/{study}.json")
        return {SiteId(path.parent.name): path.read_bytes() for path in files}

    def keep_heads(self, site: SiteId, reply: bytes) -> None:
        """Keep a site's accepted reply if the heads in it are newer than those kept.

        The site gets it back when it connects and compares its book and log with it
        (`clients.heads`), so that neither side can go back alone. The signature was
        verified before.

        Raises
        ------
        UnreadableRecordError
            If the reply holds no heads, or is no reply.
        """
        known, age = self.heads(site), _age_of(reply)
        if known is None or age > _age_of(known):
            self._write(_heads_file(site), reply)

    def heads(self, site: SiteId) -> bytes | None:
        """Return the reply to give back to a site, a DSSE envelope; None before the first."""
        path = self._home / _heads_file(site)
        return path.read_bytes() if path.exists() else None

    def _files(self, folder: str, pattern: str) -> Iterator[Path]:
        found = (self._home / folder).glob(pattern)
        return iter(sorted(path for path in found if not path.name.startswith(".")))

    def _write(self, path: Path, content: bytes) -> None:
        target = self._home / path
        target.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        write_atomic(target, content)


def age_of_heads(said: Mapping[str, object]) -> tuple[int, int]:
    """Return how long log and book of a site were when it signed a statement.

    Raises
    ------
    UnreadableRecordError
        If the statement does not say.
    """
    heads: Any = said.get("heads")
    try:
        return int(heads["audit"]["lines"]), int(heads["ledger"]["entries"])
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadableRecordError(kind="heads", why=type(error).__name__) from error


def _heads_file(site: SiteId) -> Path:
    return Path("heads") / f"{site}.dsse.json"


def _age_of(reply: bytes) -> tuple[int, int]:
    try:
        said = Statement.from_bytes(read_envelope(reply).payload).predicate
    except PlatformError as error:
        raise UnreadableRecordError(kind="reply", why=type(error).__name__) from error
    return age_of_heads(said)


def _read_proposed(path: Path) -> Proposed:
    try:
        raw = json.loads(path.read_bytes())
        return Proposed(
            proposal=Proposal(
                study=StudyId(raw["study"]),
                content=raw["content"].encode(),
                study_digest=Sha256(raw["study_digest"]),
                recipe_digest=Sha256(raw["recipe_digest"]),
                envelope=raw["envelope"].encode(),
            ),
            sites=tuple(SiteId(site) for site in raw["sites"]),
            withdrawn=bool(raw["withdrawn"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, InvalidIdError) as error:
        raise UnreadableRecordError(kind="proposal", why=type(error).__name__) from error


def _read_noticed(path: Path) -> Noticed:
    try:
        raw = json.loads(path.read_bytes())
        return Noticed(
            notice=RunNotice(
                study=StudyId(raw["study"]),
                run=RunId(raw["run"]),
                flower_run=str(raw["flower_run"]),
                bundle_digest=str(raw["bundle_digest"]),
            ),
            sites=tuple(SiteId(site) for site in raw["sites"]),
        )
    except (ValueError, KeyError, TypeError, InvalidIdError) as error:
        raise UnreadableRecordError(kind="run notice", why=type(error).__name__) from error
