"""Say how well those who remain stand for all, without showing anybody who left.

Per variable (sex, age band, modality, scanner) of the patients in the catalogue:
the standardised mean difference of each category's share before and after
opt-out, (p-q)/sqrt((p(1-p)+q(1-q))/2) (Austin 2009, doi:10.1002/sim.3697), and the
population stability index sum((p-q)ln(p/q)), shares floored at 0.5/n (EVALUATION E10).

What keeps single people out of sight:
- categories are folded together until each holds at least ten who left and ten
  who remain, so there is no hidden cell that a total would give away;
- nothing is said while fewer than ten left or remain;
- figures have two decimals, counts are whole tens;
- a report with figures stands until at least ten people came or went since it
  was made, so two of them never differ by less.
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from clients.data.catalogue.tables import years_of
from clients.data.people.holdings import PatientFacts
from clients.data.people.register import FOLDER
from federation.domain.cells import SMALL_CELL
from federation.errors.data import OptOutListError
from federation.storage import write_atomic

DECIMALS = 2
OTHER = "other"
SNAPSHOT = "report.json"
AGE_LIMITS = (18, 40, 60, 75)
AGE_BANDS = ("under 18", "18-39", "40-59", "60-74", "75 and over")
VARIABLES: Mapping[str, Callable[[PatientFacts], str]] = {
    "sex": lambda one: one.sex,
    "age_band": lambda one: age_band(one.age),
    "modality": lambda one: one.modality,
    "scanner": lambda one: one.scanner,
}


@dataclass(frozen=True, slots=True)
class Shift:
    """How one variable moved: `smd` by category, `psi` over all of them."""

    psi: float
    smd: dict[str, float]


@dataclass(frozen=True, slots=True)
class Representativeness:
    """How far the remaining patients differ from all; `variables` is None where too few left.

    A variable that has no two categories of ten and ten people is None by itself.
    `patients` and `left` are whole tens, as text.
    """

    patients: str
    left: str
    variables: dict[str, Shift | None] | None


def representativeness(
    everybody: Sequence[PatientFacts], opted_out: frozenset[str]
) -> Representativeness:
    """Return how those not in `opted_out` stand for `everybody`."""
    left = [one for one in everybody if is_opted_out(one, opted_out)]
    kept = [one for one in everybody if not is_opted_out(one, opted_out)]
    variables = None
    if min(len(left), len(kept)) >= SMALL_CELL:
        variables = {name: _shift(map(of, left), map(of, kept)) for name, of in VARIABLES.items()}
    return Representativeness(in_tens(len(everybody)), in_tens(len(left)), variables)


def is_opted_out(one: PatientFacts, opted_out: frozenset[str]) -> bool:
    """Say whether a patient is on the register, with or without issuer."""
    return one.patient in opted_out or one.any_issuer in opted_out


def age_band(age: str) -> str:
    """Return the band of a DICOM age (``045Y``), ``unknown`` when it is none."""
    years = years_of(age)
    return "unknown" if years is None else AGE_BANDS[sum(years >= one for one in AGE_LIMITS)]


def in_tens(count: int) -> str:
    """Return a count of people as whole tens: ``0``, ``<10``, ``10+``, ``20+``."""
    if count == 0:
        return "0"
    return f"<{SMALL_CELL}" if count < SMALL_CELL else f"{count // SMALL_CELL * SMALL_CELL}+"


def smd(p: float, q: float) -> float:
    """Return the standardised difference of two proportions; 0 when both are 0 or both 1."""
    spread = math.sqrt((p * (1 - p) + q * (1 - q)) / 2)
    return 0.0 if spread == 0 else (p - q) / spread


def psi(p: Sequence[float], q: Sequence[float], *, floor: float) -> float:
    """Return the population stability index of two distributions over the same categories."""
    pairs = ((max(one, floor), max(other, floor)) for one, other in zip(p, q, strict=True))
    return sum((one - other) * math.log(one / other) for one, other in pairs)


def reported(
    data: Path, everybody: Sequence[PatientFacts], opted_out: frozenset[str], *, at: str
) -> tuple[Representativeness, str]:
    """Return the report that stands and when it was made; a new one when ten people moved.

    A report without figures is always of today and is not kept.

    Raises
    ------
    OptOutListError
        If the last report cannot be read.
    """
    report = representativeness(everybody, opted_out)
    if report.variables is None:
        return report, at
    left = frozenset(one.any_issuer for one in everybody if is_opted_out(one, opted_out))
    kept = frozenset(one.any_issuer for one in everybody) - left
    path = data / FOLDER / SNAPSHOT
    last = _read(path)
    if last is not None and len((left ^ last.left) | (kept ^ last.kept)) < SMALL_CELL:
        return last.report, last.at
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write(path, _Snapshot(at, report, left, kept, None if last is None else last.keys))
    return report, at


def rename_snapshot(data: Path, step: Callable[[str], str], *, keys: int) -> None:
    """Rename the people of the standing report under a new key, once for each number of keys."""
    path = data / FOLDER / SNAPSHOT
    last = _read(path)
    if last is not None and last.keys != keys:
        left, kept = (frozenset(map(step, names)) for names in (last.left, last.kept))
        _write(path, _Snapshot(last.at, last.report, left, kept, keys))


@dataclass(frozen=True, slots=True)
class _Snapshot:
    at: str
    report: Representativeness
    left: frozenset[str]
    kept: frozenset[str]
    keys: int | None


def _read(path: Path) -> _Snapshot | None:
    try:
        found = json.loads(path.read_bytes())
        report = found["report"]
        variables = report["variables"]
        if variables is not None:
            variables = {n: None if v is None else Shift(**v) for n, v in variables.items()}
        return _Snapshot(
            at=found["at"],
            report=Representativeness(report["patients"], report["left"], variables),
            left=frozenset(found["people_left"]),
            kept=frozenset(found["people_kept"]),
            keys=found["keys"],
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OptOutListError(why=f"{SNAPSHOT}: {type(error).__name__}") from error


def _write(path: Path, snapshot: _Snapshot) -> None:
    content = {
        "at": snapshot.at,
        "report": asdict(snapshot.report),
        "people_left": sorted(snapshot.left),
        "people_kept": sorted(snapshot.kept),
        "keys": snapshot.keys,
    }
    write_atomic(path, json.dumps(content).encode())


def _shift(left: Iterable[str], kept: Iterable[str]) -> Shift | None:
    gone, there = _folded(Counter(left), Counter(kept))
    if len(there) < 2:
        return None
    remaining = there.total()
    before = remaining + gone.total()
    p = {name: (there[name] + gone[name]) / before for name in sorted(there)}
    q = {name: there[name] / remaining for name in p}
    return Shift(
        psi=_rounded(psi(list(p.values()), list(q.values()), floor=0.5 / before)),
        smd={name: _rounded(smd(p[name], q[name])) for name in p},
    )


def _folded(gone: Counter[str], there: Counter[str]) -> tuple[Counter[str], Counter[str]]:
    """Return both counts with small categories put into one, itself not small."""
    order = sorted(gone.keys() | there.keys(), key=lambda n: (min(gone[n], there[n]), n))
    folded: list[str] = []
    for name in order:
        small = min(gone[name], there[name]) < SMALL_CELL
        open_ = folded and min(sum(c[n] for n in folded) for c in (gone, there)) < SMALL_CELL
        if small or open_:
            folded.append(name)
    if folded:
        for counts in (gone, there):
            together = sum(counts.pop(name, 0) for name in folded)
            counts[OTHER] += together
    return gone, there


def _rounded(value: float) -> float:
    return round(value, DECIMALS) + 0.0
