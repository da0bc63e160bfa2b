"""Write down, when a run begins, what it takes to compute it once more.

    run_record = {**record_of_run(study, initial_model=digest), ...}
    changes = changes_since(run_record)                     # the reasons, years later

Together with the kept updates this is everything: the order of summation is the
order of the sites' names, the sites of a round follow from the seed, and the noise
of private training is nowhere, on purpose.
"""

from collections.abc import Mapping

from federation.domain.ids import Sha256
from federation.domain.replay import Change
from federation.domain.study import Study
from federation.environment import changed, this_environment

SCHEMA = "trifed.run-environment/1"
ORDER = "sites-sorted"
"""The mean is a running float32 sum over the sites in the order of their names."""

ENVIRONMENT = "environment"
CONTINUED = "code-of-a-continuation"


def record_of_run(study: Study, *, initial_model: Sha256) -> dict[str, object]:
    """Return what made a run reproducible, as plain JSON that holds no secret.

    Parameters
    ----------
    initial_model
        Digest of the little-endian float32 bytes of the model before round 1.
    """
    here = this_environment()
    return {
        "schema": SCHEMA,
        "study_digest": str(study.digest),
        "recipe_digest": str(study.recipe_digest),
        "seed": study.seed,
        "order": ORDER,
        "initial_model": str(initial_model),
        ENVIRONMENT: here.as_json(),
        "environment_digest": str(here.digest),
    }


def changes_since(record: Mapping[str, object]) -> tuple[Change, ...]:
    """Return how this process differs from the one that began a run, by the run's record.

    Also names other code by which the run was continued after a crash. A run that
    kept no such record has no reasons to name.
    """
    then = record.get(ENVIRONMENT)
    if not isinstance(then, Mapping):
        return ()
    code = str(then.get("code"))
    continued = tuple(Change(CONTINUED, code, one) for one in _codes(record) if one != code)
    return (*changed(then, this_environment().as_json()), *continued)


def _codes(record: Mapping[str, object]) -> list[str]:
    """Return the digests of the code that went on with a run, each once."""
    listed = record.get("continued")
    if not isinstance(listed, list):
        return []
    codes = [str(one["code"]) for one in listed if isinstance(one, Mapping) and "code" in one]
    return list(dict.fromkeys(codes))
