"""Keep a version's predictions inside the hospital, sealed by their digest, until they expire.

They belong to an approved study, so that a second run of it says the same: otherwise one
patient who opted out between two runs could be told from the difference. They are deleted
`reply_days` (policy) after the study's last run, or earlier by the hospital's staff
(`kept.delete`). Nothing here is ever sent: what leaves are counts of many cases, masked. The
audit log holds their digest.
"""

import io
import zipfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from clients.evaluation_study.cases import Traits
from clients.evaluation_study.disjointness import Checked
from clients.evaluation_study.explained import NOBODY, Explained
from clients.evaluation_study.kept import place_of
from clients.evaluation_study.scoring import Scored
from clients.home import NodeHome
from federation.domain.ids import RunId, Sha256
from federation.domain.study import Study
from federation.errors.core import InvalidIdError
from federation.evaluation.sums import Counts
from federation.storage import write_atomic

MOST_BYTES = 2**31
_FIELDS = (
    "keys", "members", "checked", "values", "ages", "explained", "checks",
    "patient", "truths", "bins", "losses",
)  # fmt: skip


@dataclass(frozen=True)
class Predictions:
    """What one version said of every case here, and what slices need of the patients.

    `keys` are pseudonyms, `members` says whom the version was trained on, both in the
    order of the patients; `checked` how that was found out. `explained` are the checks of
    the explanations of a few.
    """

    keys: NDArray[np.str_]
    members: NDArray[np.bool_]
    traits: Traits
    scored: Scored
    checked: Checked
    explained: Explained = NOBODY

    @classmethod
    def of(
        cls, keys: Sequence[str], members: NDArray[np.bool_], traits: Traits, scored: Scored,
        checked: Checked,
    ) -> Self:  # fmt: skip
        """Return the predictions of patients with these pseudonyms."""
        return cls(np.array(keys, dtype=np.str_), members, traits, scored, checked)

    def without(self, people: Collection[str]) -> "Predictions":
        """Return the predictions without the cases of some people."""
        gone = np.isin(self.keys, np.array(list(people), dtype=self.keys.dtype))
        kept = ~gone[self.scored.patient]
        one = self.scored
        scored = Scored(one.patient[kept], one.truths[kept], one.bins[kept], one.losses[kept])
        return replace(self, scored=scored, explained=self.explained.of_patients(~gone))


@dataclass(frozen=True, slots=True)
class KeptPredictions:
    """The predictions of one approved study at this hospital, by the number of their round."""

    folder: Path

    @classmethod
    def of(cls, home: NodeHome, study: Study) -> Self:
        """Return those of one version of a study."""
        return cls(place_of(home, study))

    def keep(self, number: int, found: Predictions) -> Sha256:
        """Write the predictions of a round, mode 0600, and return their digest.

        Raises
        ------
        DiskFullError
            If there is no room.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        content = _bytes(found)
        digest = Sha256.of(content)
        write_atomic(self._path(number), content, mode=0o600)
        write_atomic(self._seal(number), str(digest).encode(), mode=0o600)
        return digest

    def read(self, number: int) -> Predictions | None:
        """Return the predictions of a round; None if not there, or not as they were kept."""
        try:
            digest = Sha256(self._seal(number).read_text(encoding="ascii"))
            with self._path(number).open("rb") as file:
                content = file.read(MOST_BYTES)
        except (OSError, ValueError, InvalidIdError):
            return None
        return _of(content) if Sha256.of(content) == digest else None

    def row(self, number: int) -> Counts | None:
        """Return the counts that were last offered for a round's sum; None before that."""
        try:
            row: Counts = np.load(self._row(number), allow_pickle=False)
        except (OSError, ValueError):
            return None
        return row

    def keep_row(self, number: int, row: Counts) -> None:
        """Keep the counts of a round before they are masked; only a sum that took them binds."""
        buffer = io.BytesIO()
        np.save(buffer, row, allow_pickle=False)
        write_atomic(self._row(number), buffer.getvalue(), mode=0o600)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:05d}.npz"

    def _seal(self, number: int) -> Path:
        return self.folder / f"{number:05d}.sha256"

    def _row(self, number: int) -> Path:
        return self.folder / f"{number:05d}.row.npy"


def _bytes(found: Predictions) -> bytes:
    one, traits = found.scored, found.traits
    checked = np.array([found.checked.trained, *found.checked.runs], dtype=np.str_)
    arrays = (found.keys, found.members, checked, traits.values, traits.ages,
              found.explained.patient, found.explained.checks,
              one.patient, one.truths, one.bins, one.losses)  # fmt: skip
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in zip(_FIELDS, arrays, strict=True):
            part = io.BytesIO()
            np.save(part, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), part.getvalue())
    return buffer.getvalue()


def _of(content: bytes) -> Predictions:
    with np.load(io.BytesIO(content), allow_pickle=False) as parts:
        keys, members, said, values, ages, *rest = (parts[name] for name in _FIELDS)
    checked = Checked(tuple(RunId(str(one)) for one in said[1:]), Sha256(str(said[0])))
    explained, scored = Explained(*rest[:2]), Scored(*rest[2:])
    return Predictions(keys, members, Traits(values, ages), scored, checked, explained)
