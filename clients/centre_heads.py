"""Keep the newest signed state of the centre's log, so that the centre cannot rewrite it alone.

At every connection the centre shows the state of its log with the proof that it only
grew (`federation.evidence.growth`). What holds is kept in `centre-heads.json`; what
does not is written there with the signed note, and nothing is answered until the
centre shows a log that contains what is kept here. The other half, this hospital's
own heads at the centre, is `clients.heads`.

    take_centre_head(home, growth, now=now)    # the channel; None where the centre shows nothing
    check_centre_head(home)                    # the executor before a message
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from clients.home import NodeHome
from clients.seals import read_limited
from federation.errors.base import PlatformError
from federation.errors.heads import (
    CentreHeadRefusedError,
    CentreLogForkedError,
    CentreLogRolledBackError,
)
from federation.evidence.growth import Growth, grown, read_note
from federation.evidence.verification import PublicKey
from federation.storage import write_atomic

FILE = "centre-heads.json"
MOST_PROBLEMS = 20
MOST_BYTES = 1 << 20

_KINDS: Mapping[str, type[PlatformError]] = {
    kind.code: kind
    for kind in (CentreLogForkedError, CentreLogRolledBackError, CentreHeadRefusedError)
}


@dataclass(frozen=True, slots=True)
class Problem:
    """A time at which the centre's word did not hold: code, its values, and the note shown.

    `at` is ISO 8601 with offset; `note` is empty where none was shown or it is not a
    signed one.
    """

    code: str
    values: Mapping[str, object]
    note: str
    at: str

    def error(self) -> PlatformError:
        """Return the problem as the error it was."""
        return _KINDS[self.code](**self.values)


@dataclass(frozen=True, slots=True)
class CentreHeads:
    """What a node keeps of its centre's log.

    Parameters
    ----------
    note
        The newest signed state that held; empty before the first.
    at
        When it was shown, ISO 8601 with offset.
    holds
        Whether the centre's newest word held.
    keyid
        Of the centre's evidence key that signed it.
    problems
        The newest times it did not, oldest first.
    former
        The last states of the logs of this centre's earlier keys: with a new key,
        which staff take in with a kit and under which every study is approved anew,
        a new log begins.
    """

    note: str = ""
    at: str = ""
    holds: bool = True
    keyid: str = ""
    problems: tuple[Problem, ...] = ()
    former: tuple[str, ...] = ()

    def under(self, keyid: str) -> "CentreHeads":
        """Return what is kept of the log of this key; a new one begins empty."""
        if not self.note or self.keyid == keyid:
            return self
        former = (*self.former, self.note)[-MOST_PROBLEMS:]
        return CentreHeads(problems=self.problems, former=former)

    def as_json(self) -> dict[str, object]:
        """Return it as the file holds it."""
        return {**asdict(self), "problems": [asdict(one) for one in self.problems]}


def centre_heads_file(home: NodeHome) -> Path:
    """Return where a node keeps the state of the centre's log."""
    return home.folder / FILE


def read_centre_heads(home: NodeHome) -> CentreHeads:
    """Return what is kept of the centre's log; the empty one before the first.

    Raises
    ------
    CentreHeadRefusedError
        If the file is there and cannot be used.
    """
    try:
        raw = json.loads(read_limited(centre_heads_file(home), MOST_BYTES))
        problems = tuple(Problem(**one) for one in raw.pop("problems"))
        former = tuple(map(str, raw.pop("former")))
        found = CentreHeads(**raw, problems=problems, former=former)
        for one in problems:
            one.error()
    except FileNotFoundError:
        return CentreHeads()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CentreHeadRefusedError(why="the file kept here is damaged") from error
    return found.under(_centre_key(home).keyid)


def take_centre_head(home: NodeHome, given: Growth | None, *, now: datetime) -> None:
    """Keep what the centre shows of its log if it contains what was kept; else write why not.

    Parameters
    ----------
    given
        None where the centre shows nothing: right only as long as it never did.

    Raises
    ------
    CentreLogForkedError, CentreLogRolledBackError, CentreHeadRefusedError
        If it does not hold; that is in the file then, and nothing is answered.
    """
    known = read_centre_heads(home)
    try:
        newest = _judged(home, known, given)
    except PlatformError as error:
        _note_problem(home, known, error, note="" if given is None else given.note, now=now)
        raise
    if newest != known.note or not known.holds:
        at, keyid = now.isoformat(), str(_centre_key(home).keyid)
        _write(home, replace(known, note=newest, at=at, holds=True, keyid=keyid))


def note_refused(home: NodeHome, error: PlatformError, *, now: datetime) -> None:
    """Write that the centre's word was none; nothing is answered until it gives a good one."""
    _note_problem(home, read_centre_heads(home), error, note="", now=now)


def check_centre_head(home: NodeHome) -> None:
    """Return if the centre's newest word about its log held, or it never gave one.

    Raises
    ------
    CentreLogForkedError, CentreLogRolledBackError, CentreHeadRefusedError
        Why it did not, or that the file here is damaged.
    """
    known = read_centre_heads(home)
    if not known.holds:
        if not known.problems:
            raise CentreHeadRefusedError(why="the file kept here is damaged")
        raise known.problems[-1].error()
    if known.note:
        read_note(known.note, key=_centre_key(home))


def _judged(home: NodeHome, known: CentreHeads, given: Growth | None) -> str:
    key = _centre_key(home)
    if given is not None:
        grown(given, key=key, kept=known.note or None)
        return given.note
    if known.note:
        raise CentreLogRolledBackError(kept=read_note(known.note, key=key).size, given=0)
    return ""


def _note_problem(
    home: NodeHome, known: CentreHeads, error: PlatformError, *, note: str, now: datetime
) -> None:
    """Write why the centre's word did not hold; the same one again is written once."""
    shown = note[:4096]  # a signed note is a tenth of it
    newest = Problem(error.code, dict(error.values), shown, now.isoformat())
    last = known.problems[-1] if known.problems else None
    is_known = last is not None and replace(last, at=newest.at) == newest
    problems = known.problems if is_known else (*known.problems, newest)[-MOST_PROBLEMS:]
    _write(home, replace(known, holds=False, problems=problems))


def _write(home: NodeHome, heads: CentreHeads) -> None:
    write_atomic(centre_heads_file(home), json.dumps(heads.as_json()).encode())


def _centre_key(home: NodeHome) -> PublicKey:
    return PublicKey.load(home.centre_evidence_key)
