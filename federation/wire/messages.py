"""What the centre asks of a site and what a site answers, free of any transport.

A task carries numbers and digests, never code. What to do is already at the
node, in the study its staff approved; the task only says which study, which
round, and brings the model.
"""

from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from federation.domain.ids import RunId, Sha256, StudyId

FlatModel = NDArray[np.float32]


class TaskKind(Enum):
    """What a site is asked to do."""

    TRAIN = "train"
    EVALUATE = "evaluate"
    PING = "ping"


@dataclass(frozen=True, slots=True)
class Task:
    """One request to one site.

    Parameters
    ----------
    kind
        TRAIN answers with an update, EVALUATE with metrics, PING echoes.
    study, run, round
        What it belongs to; rounds count from 1.
    study_digest
        Content id of the study the site must have approved.
    model
        The current model as one flat float32 array, shape (parameters,).
    keys
        For the sum of an evaluation: the signed keys of every site in it. Empty for all else.
    """

    kind: TaskKind
    study: StudyId
    run: RunId
    round: int
    study_digest: Sha256
    model: FlatModel
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer of one site: an update or nothing, and a report.

    Parameters
    ----------
    update
        The *difference* to the task's model, flat float32, shape (parameters,); for
        the sum of an evaluation the masked statistics (`federation.wire.statistics`);
        None for every other EVALUATE. PING echoes the model.
    report
        Plain JSON: counts, loss, metrics, privacy events. Passed the gate.
    signature
        DSSE envelope (JSON text) by the site's key over the report and the
        update's digest; empty only for PING.
    """

    update: FlatModel | None
    report: dict[str, object] = field(default_factory=dict)
    signature: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """A site's coded no, as the centre may see it: no data, no free text."""

    code: str
    what: str
