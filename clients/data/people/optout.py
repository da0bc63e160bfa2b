"""Who opted out of secondary use: asked at intake and before every cohort is loaded.

The hospital imports or fetches its lists of Patient IDs; what is kept are keyed
pseudonyms in versions (`register`), so no file names anybody. A register that
cannot be read, or that is older than the hospital allows, stops the work:
unknown means no.
"""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from clients.data.deidentification.deidentify import patient_source
from clients.data.layout import KEY_FILE
from clients.data.people.fetching import confirm, confirmed_at, fetch
from clients.data.people.holdings import open_holdings
from clients.data.people.keys import FileKeys, check_not_switching
from clients.data.people.lineage import Lineage, RegisterChange
from clients.data.people.lists import DELIMITERS, Kind, SourceList, is_patient_id, read_file
from clients.data.people.pseudonyms import Pseudonyms
from clients.data.people.register import Mode, OptOuts, Register, Version
from clients.data.people.representativeness import in_tens, reported
from clients.data.people.rules import read_rules, trusted_issuers
from federation.errors.data import PseudonymKeyError
from federation.errors.people import (
    OptOutRemovalsError,
    OptOutSerialError,
    OptOutSignatureError,
    OptOutStaleError,
)
from federation.wording import Text

__all__ = ["OptOuts", "fetch_optouts", "import_optouts", "load_optouts", "optout_report"]

MOST_REMOVED = 0.2
"""A full list may take off this share of the register without being asked about."""
FEWEST_REMOVED = 10


def load_optouts(data: Path, *, now: datetime | None = None) -> OptOuts:
    """Return the register of a data folder; empty when none was ever imported.

    Raises
    ------
    OptOutListError, OptOutChainError
        If a file of it is not what `import_optouts` writes.
    OptOutStaleError
        If it was last confirmed longer ago than the hospital allows.
    PseudonymKeyError
        If its names were made with another key than the one that is here.
    RotationUnfinishedError
        If its names are just being switched.
    """
    check_not_switching((data / KEY_FILE).parent)
    _check_fresh(data, now or datetime.now(UTC))
    register = Register(data)
    found, mark = register.current(), register.mark()
    if mark is not None and FileKeys(data / KEY_FILE).current().id != mark.key:
        raise PseudonymKeyError(
            why=Text(
                en="the opt-out register was written with another key",
                zh="退出登記冊是以另一把金鑰寫成",
            )
        )
    return found


def import_optouts(
    data: Path,
    source: Path,
    *,
    kind: Kind = Kind.AUTO,
    mode: Mode | None = None,
    many_removals: bool = False,
    now: datetime | None = None,
) -> dict[str, Any]:
    """Take a list into the register; return `optout_report`.

    With `Mode.ADD` nobody is taken off; with `Mode.REPLACE` the list is the whole
    register; None means what a signed list says of itself, and adding for others.
    The source file is not kept.

    Raises
    ------
    OptOutListError, OptOutSourceError, OptOutSignatureError, ConsentUnclearError
        If the source is not a list of its kind.
    OptOutSerialError, OptOutRemovalsError
        If a signed list is old, or a full list takes off unusually many.
    """
    now = now or datetime.now(UTC)
    rules = read_rules(data)
    found = read_file(
        source,
        kind=kind,
        trusted=trusted_issuers(data, rules),
        identifier_system=rules.identifier_system,
    )
    take_in(data, found, mode=mode, many_removals=many_removals, now=now)
    return optout_report(data, now=now)


def take_in(
    data: Path,
    found: SourceList,
    *,
    mode: Mode | None,
    now: datetime,
    many_removals: bool = False,
    origin: str = "file",
) -> Version:
    """Write a list that was read as the next version of the register and return it.

    Raises
    ------
    OptOutSignatureError
        If the list says another mode than a `mode` that was asked for.
    OptOutSerialError, OptOutRemovalsError
        If a signed list is old, or a full list takes off unusually many.
    """
    if None not in (mode, found.mode) and mode is not found.mode:
        raise OptOutSignatureError(
            why=Text(
                en="it is signed for the other of add and replace",
                zh="簽署的模式(新增或取代)與指定的不同",
            )
        )
    mode = mode or found.mode or Mode.ADD
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    register = Register(data)
    with register.locked():
        names = Pseudonyms.open_or_create(data / KEY_FILE)
        listed = frozenset(names.patient(patient_source(one)) for one in found.patient_ids)
        before = register.current()
        _check_serial(register, found)
        gone = len(before.patients - listed) if mode is Mode.REPLACE else 0
        if not many_removals:
            _check_removals(gone, len(before.patients), remaining=len(listed))
        if gone:  # who comes back may be taken in again
            with open_holdings(data) as holdings:
                holdings.read_opted_out_again()
        return register.accept(
            listed,
            mode=mode,
            kind=f"{origin}-{found.kind.value}",
            serial=found.serial,
            issuer=found.issuer,
            key=FileKeys(data / KEY_FILE).current().id,
            now=now,
        )


def fetch_optouts(
    data: Path, *, many_removals: bool = False, now: datetime | None = None
) -> dict[str, Any]:
    """Fetch the list of `optout.toml` into the register; return `optout_report`.

    Raises
    ------
    OptOutRulesError, OptOutFetchError
        If no source is named, or it does not answer; the last good version stays.
    OptOutListError, OptOutSourceError, OptOutSignatureError, ConsentUnclearError
        If what it answers is not a list of its kind.
    OptOutSerialError, OptOutRemovalsError
        As `import_optouts`.
    """
    now = now or datetime.now(UTC)
    rules = read_rules(data)
    fetched = fetch(data, rules)
    assert rules.source is not None
    if fetched.found is not None:
        take_in(
            data,
            fetched.found,
            mode=rules.source.mode,
            many_removals=many_removals,
            origin="https",
            now=now,
        )
    confirm(data, rules.source, fetched, now=now)
    return optout_report(data, now=now)


def answers(data: Path, lines: Iterable[str], *, now: datetime | None = None) -> list[str]:
    """Return ``yes``, ``no`` or ``unknown`` for each line, a Patient ID: is it on the register?

    ``unknown`` is a line that cannot be a Patient ID, or has several columns: a wrong
    no would be worse. For the hospital's own eyes.
    """
    optouts = load_optouts(data, now=now)
    names = Pseudonyms.open_or_create(data / KEY_FILE)

    def answer(line: str) -> str:
        name = line.strip()
        if not is_patient_id(name) or any(mark in name for mark in DELIMITERS):
            return "unknown"
        return "yes" if names.patient(patient_source(name)) in optouts.patients else "no"

    return [answer(line) for line in lines]


def optout_report(data: Path, *, now: datetime | None = None) -> dict[str, Any]:
    """Return the register's version, whom it concerns here and who remains, in coarse figures.

    Counts are whole tens. `representativeness` stands until ten people came or
    went (`representativeness.reported`); `rounds` says of each round whether the
    register had changed since the one before, and how many no longer trained.
    """
    now = now or datetime.now(UTC)
    optouts = load_optouts(data, now=now)
    with open_holdings(data) as holdings:
        everybody = holdings.patients()
    made_now = now.isoformat(timespec="seconds")
    report, made = reported(data, everybody, optouts.patients, at=made_now)
    return {
        "version": str(optouts.version),
        "number": optouts.number,
        "confirmed": confirmed_at(data),
        "listed": in_tens(len(optouts.patients)),
        "patients_in_catalogue": report.left,
        "representativeness": {"made": made, **asdict(report)},
        "rounds": [_round(change) for change in Lineage(data).changes()],
    }


def _round(change: RegisterChange) -> dict[str, Any]:
    return {
        "run": change.run,
        "round": change.round,
        "register_changed": change.register_changed,
        "no_longer_trained": None if change.left is None else in_tens(change.left),
    }


def _check_fresh(data: Path, now: datetime) -> None:
    source = read_rules(data).source
    if source is None or source.max_age_hours is None:
        return
    at = confirmed_at(data)
    if at is None or now - datetime.fromisoformat(at) > timedelta(hours=source.max_age_hours):
        raise OptOutStaleError(hours=f"{source.max_age_hours:g}")


def _check_serial(register: Register, found: SourceList) -> None:
    if found.serial is None or found.issuer is None:
        return
    accepted = register.last_serial(found.issuer)
    if accepted is not None and found.serial < accepted:
        raise OptOutSerialError(serial=found.serial, accepted=accepted)


def _check_removals(gone: int, listed: int, *, remaining: int) -> None:
    is_many = gone >= FEWEST_REMOVED and gone > MOST_REMOVED * listed
    if is_many or (gone and not remaining):  # an empty answer must not bring everybody back
        raise OptOutRemovalsError(share=round(100 * gone / listed))
