"""A hospital's counts as a masked row, of which the centre learns the sum over all alone.

    offer = sums.offer(session_of(plan), site=site, signer=key)      # each hospital
    row = seal(counts, plan, roster=..., site=..., secret=...)       # each hospital
    total = unseal(files, plan)                                      # the centre

For plans that say ``sealed = true``: readings, and the grid counts of medians. What a secure
sum protects against is in `docs/secure-sums.md`. A key serves for one row: whoever makes a
second row under the same key tells the difference of both.
"""

import base64
from collections.abc import Mapping, Sequence

import numpy as np

from federation.domain.ids import RunId, Sha256, SiteId, StudyId
from federation.errors.core import InvalidIdError
from federation.errors.impact_designs import SealedFileError
from federation.errors.signed import NotCanonicalError
from federation.evidence.canonical import canonical, parse
from federation.impact.plan import Plan
from federation.impact.readers import ARMS, Readings
from federation.impact.site_table import Row
from federation.impact.tabulate import EVERYWHERE
from federation.secure_sum import Cells, Masked, PairwiseMasks, Roster, Session
from federation.secure_sum.port import Numbers
from federation.wording import Text

KIND = "trifed.sealed-table/1"
SEALED = f'{{"kind":"{KIND}"'.encode()
"""How every such file begins: it is canonical JSON."""

MAX_BYTES = 64 * 2**20
MOST = 1_000_000
"""People of one hospital in one count."""

TOGETHER = "all-sites"
"""Where the rows of a sum come from: no hospital's name."""

_LARGE = Text(en="it is larger than 64 MiB", zh="檔案大於 64 MiB")
_NONE = Text(en="it is no sealed table of this plan", zh="不是此計畫的密封資料表")


def session_of(plan: Plan) -> Session:
    """Return the one sum of a plan; keys of it are worthless in every other."""
    study = StudyId(plan.study)
    return Session(study, plan.digest, RunId.of(study, 1), 1)


def cells_of(plan: Plan) -> Cells:
    """Return the form of a plan's counts."""
    length = sum(int(np.prod(shape)) for shape in _shapes(plan))
    return Cells(length, 0, MOST, about=plan.digest)


def numbers_of(plan: Plan, rows: Sequence[Row], readings: Readings | None) -> Numbers:
    """Return a hospital's counts in the order of the plan, int64, shape (cells,)."""
    if readings is not None:
        parts = [readings.positives.ravel(), readings.negatives.ravel()]
        return np.concatenate(parts).astype(np.int64)
    counted = [np.zeros(shape, dtype=np.int64) for shape in _shapes(plan)]
    places = {one.id: place for place, one in enumerate(plan.measures)}
    grids = {one.id: one.grid for one in plan.measures}
    arms = (plan.intervention, plan.comparator)
    for row in rows:
        grid = grids[row.measure]
        place = grid.bin_of(row.value) if grid is not None and row.value is not None else None
        assert place is not None  # the table was checked
        counted[places[row.measure]][arms.index(row.arm), place] += row.count
    return np.concatenate([one.ravel() for one in counted])


def seal(numbers: Numbers, plan: Plan, *, roster: Roster, site: str, secret: bytes) -> bytes:
    """Return a hospital's counts as the file that `unseal` adds up.

    Raises
    ------
    PlatformError
        What the secure sum refused with.
    """
    form = cells_of(plan)
    masked = PairwiseMasks().mask(
        numbers, roster=roster, site=SiteId(site), secret=secret, cells=form
    )
    body = base64.b64encode(masked.numbers.astype("<u8").tobytes()).decode("ascii")
    return canonical(
        {"kind": KIND, "plan": plan.digest, "transcript": masked.transcript, "numbers": body}
    )


def unseal(files: Mapping[str, bytes], plan: Plan) -> tuple[tuple[Row, ...], Readings | None]:
    """Return rows or readings of all hospitals together.

    Raises
    ------
    SealedFileError
        If a file is no sealed table of this plan.
    PlatformError
        What the secure sum refused with: too few hospitals, keys of another sum.
    """
    masked = {SiteId(site): _read(content, site, plan) for site, content in files.items()}
    total = PairwiseMasks().unmask(masked, sites=tuple(masked), cells=cells_of(plan))
    ends = np.cumsum([int(np.prod(shape)) for shape in _shapes(plan)])[:-1]
    parts = [
        part.reshape(shape)
        for part, shape in zip(np.split(total, ends), _shapes(plan), strict=True)
    ]
    if plan.readers is not None:
        return (), Readings(plan.readers.names, *parts)
    return tuple(_rows(parts, plan)), None


def _shapes(plan: Plan) -> list[tuple[int, ...]]:
    """Return the shapes of a plan's counts: of readings, or of each median by arm."""
    if plan.readers is not None:
        conditions = ARMS * len(plan.readers.names)
        pairs = conditions * (conditions - 1) // 2
        return [(pairs, plan.readers.ratings, plan.readers.ratings)] * 2
    return [(ARMS, one.grid.bins) for one in plan.measures if one.grid is not None]


def _rows(parts: Sequence[Numbers], plan: Plan) -> list[Row]:
    arms = (plan.intervention, plan.comparator)
    rows = []
    for measure, counts in zip(plan.measures, parts, strict=True):
        assert measure.grid is not None  # the plan's own check
        for arm, place in zip(*np.nonzero(counts), strict=True):
            count, value = int(counts[arm, place]), float(place * measure.grid.step)
            place_ = (TOGETHER, measure.id, EVERYWHERE, 0, arms[arm])
            rows.append(Row(*place_, count, count * value, count * value**2, value=value))
    return rows


def _read(content: bytes, site: str, plan: Plan) -> Masked:
    if len(content) > MAX_BYTES:
        raise SealedFileError(site=site, why=_LARGE)
    try:
        raw = parse(content)
        said = raw if isinstance(raw, dict) else {}
        numbers = base64.b64decode(str(said["numbers"]), validate=True)
        masked = Masked(
            np.frombuffer(numbers, dtype="<u8").astype(np.uint64),
            Sha256(str(said["transcript"])),
        )
        told = (said["kind"], said["plan"], len(said))
    except (NotCanonicalError, InvalidIdError, KeyError, ValueError) as error:
        raise SealedFileError(site=site, why=_NONE) from error
    if told != (KIND, plan.digest, 4) or masked.numbers.shape != (cells_of(plan).sent,):
        raise SealedFileError(site=site, why=_NONE)
    return masked
