"""Choose the operating point inside one hospital, on patients that the version was trained on.

The hospital's AI owner does this before the evaluation is planned, so that no patient of
the evaluation has a say in it. Only the chosen number is written into the plan. Imports
torch: import this module lazily.
"""

from contextlib import closing

import numpy as np
from numpy.typing import NDArray

from clients.data.cohort.load import load_cohort
from clients.evaluation import patient_scores
from clients.home import NodeHome
from federation.coordinator.home import CentreHome
from federation.domain.ids import Sha256, StudyId
from federation.operations.artefacts import Artefacts
from federation.operations.evaluations.planning import record_of
from federation.operations.store.studies import StudyStore
from federation.recipes import catalogue, flat, networks
from federation.wire.study import study_from_json

CANDIDATES: NDArray[np.float64] = np.arange(1, 100) / 100


def operating_point(home: NodeHome, centre: CentreHome, entry: str, study: StudyId) -> float:
    """Return the threshold of a version, trained by `study`, for a hospital's own patients.

    Raises
    ------
    PlatformError
        If the version, its weights or the hospital's cohort cannot be used.
    """
    with closing(StudyStore.of(centre)) as store:
        trained = study_from_json(store.study(study).record)
    recipe = catalogue.recipe(trained.recipe)
    weights = Sha256(record_of(centre, entry).model.sha256)
    network = networks.build(recipe, seed=trained.seed)
    flat.load_flat(network, Artefacts.of(centre).get_model(weights)[0])
    found = patient_scores(network, load_cohort(home.data, recipe, study=trained).train)
    return balanced(found.scores, found.truths)


def balanced(scores: NDArray[np.float64], truths: NDArray[np.bool_]) -> float:
    """Return the threshold, to 0.01, at which sensitivity and specificity are nearest.

    Parameters
    ----------
    scores, truths
        Shape (cases,), with cases of both classes.
    """
    called = scores[None, :] >= CANDIDATES[:, None]
    sensitivity = called[:, truths].mean(axis=1)
    specificity = 1 - called[:, ~truths].mean(axis=1)
    return float(CANDIDATES[int(np.argmin(np.abs(sensitivity - specificity)))])
