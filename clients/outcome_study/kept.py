"""What a hospital remembers of one approved outcome study, beside its keys and claims.

Until the first sum has left, whoever opts out is left out; from then on all sums are of the
same patients, whose lines are kept here. Each step's coefficients are kept too: a step is
answered at one set of them only, and steps do not grow.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Self

import numpy as np

from clients.data.outcomes.store import OutcomeRow
from clients.evaluation_study.kept import place_of
from clients.home import NodeHome
from clients.seals import read_limited
from federation.domain.ids import StudyId
from federation.domain.outcome_plan import OutcomePlan
from federation.domain.study import Study
from federation.errors.outcomes import (
    CoefficientsRefusedError,
    OutcomeStepError,
    OutcomeTableMissingError,
)
from federation.errors.secure_sum import SumRepeatedError
from federation.evidence.canonical import canonical
from federation.storage import write_atomic, write_new
from federation.wire.messages import FlatModel
from federation.wire.outcome_sums import State, check_within_limits, is_too_long
from federation.wording import Text

MOST_BYTES = 2**31

COEFFICIENTS = Text(en="the coefficients of this step", zh="此步驟之係數")
NOT_ZERO = Text(en="the first step begins elsewhere than at zero", zh="第一步並非自零開始")
GROWING = Text(
    en="the steps grow: those of a fit that settles become shorter",
    zh="步幅變大:會收斂的配適步幅應逐步縮小",
)
LEFT_OUT = Text(en="a step before it was left out", zh="跳過了先前的步驟")


@dataclass(frozen=True, slots=True)
class KeptStudy:
    """The files of one approved version of a study."""

    folder: Path
    study: StudyId
    table: str

    @classmethod
    def of(cls, home: NodeHome, study: Study) -> Self:
        """Return those of a study."""
        return cls(place_of(home, study), study.id, study.cohort)

    def patients(self) -> list[OutcomeRow] | None:
        """Return the lines that the study's sums are of; None before the first one.

        Raises
        ------
        OutcomeTableMissingError
            If they were kept and cannot be read.
        """
        try:
            content = read_limited(self._patients, MOST_BYTES)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise OutcomeTableMissingError(table=self.table) from error
        try:
            listed = json.loads(content)
            return [OutcomeRow(str(one["patient"]), dict(one["values"])) for one in listed]
        except (ValueError, KeyError, TypeError) as error:
            raise OutcomeTableMissingError(table=self.table) from error

    def check_state(self, plan: OutcomePlan, number: int, state: State) -> None:
        """Return if a site may answer a sum, counted from 1, at these coefficients.

        1. the first at zero; 2. within the declared limits; 3. the same as whenever this
        step was asked before; 4. all steps before were answered, and this one is not longer
        than those of a fit that settles (`is_too_long`).

        Raises
        ------
        CoefficientsRefusedError, SumRepeatedError, OutcomeStepError
            By the first that does not hold.
        """
        if number == 1 and state != State.start(plan):
            raise CoefficientsRefusedError(why=NOT_ZERO)
        check_within_limits(plan, state)
        earlier = self._state(plan, number)
        if earlier is not None and earlier != state:
            raise SumRepeatedError(thing=COEFFICIENTS)
        before = [self._there(self._state(plan, one)) for one in range(1, number)]
        for one in plan.fits:
            way = [found.at(plan, one) for found in (*before, state)]
            steps = [after - then for then, after in pairwise(way)]
            if len(steps) > 1 and is_too_long(steps[-1], before=steps[-2], first=steps[0]):
                raise CoefficientsRefusedError(why=GROWING)

    def remember(self, number: int, model: FlatModel, rows: Sequence[OutcomeRow]) -> None:
        """Keep the patients and the coefficients of a sum that is about to leave."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self._patients.exists():
            listed = [{"patient": one.patient, "values": dict(one.values)} for one in rows]
            write_atomic(self._patients, canonical(listed), mode=0o600)
        if not self._at(number).exists():
            write_new(self._at(number), np.ascontiguousarray(model, dtype="<f4").tobytes())

    def _there(self, found: State | None) -> State:
        if found is None:
            raise OutcomeStepError(study=self.study, why=LEFT_OUT)
        return found

    def _state(self, plan: OutcomePlan, number: int) -> State | None:
        try:
            content = read_limited(self._at(number), MOST_BYTES)
        except OSError:
            return None
        return State.of_model(plan, np.frombuffer(content, dtype="<f4"))

    @property
    def _patients(self) -> Path:
        return self.folder / "patients.json"

    def _at(self, number: int) -> Path:
        return self.folder / f"{number:05d}.at"
