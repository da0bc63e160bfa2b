"""What a run is begun with, written down before anybody is asked anything."""

from federation.domain.ids import Sha256
from federation.domain.study import Study
from federation.operations.artefacts import Artefacts
from federation.operations.campaign.checkpoints import Checkpoints
from federation.operations.campaign.summing import start_of_step
from federation.operations.environment import record_of_run
from federation.wire.evaluation_plan import protocol_digest
from strategies.fedavg import FedAvg


def begin_record(study: Study, artefacts: Artefacts) -> dict[str, object]:
    """Return the record of a new run: its environment, and the initial model, kept.

    The same study in the same environment gives the same record. Imports torch.

    Raises
    ------
    DiskFullError
        If the model finds no room.
    """
    if study.evaluation is not None:
        return _of_an_evaluation(study, artefacts)
    from federation.recipes import catalogue, flat, networks

    network = networks.build(catalogue.recipe(study.recipe), seed=study.seed)
    manifest, model = flat.manifest_of(network), flat.flatten(network)
    strategy = FedAvg.for_study(study, manifest.size)
    start = Checkpoints(artefacts).keep(model, manifest, strategy)
    return {
        **record_of_run(study, initial_model=Sha256.of(model.tobytes())),
        "manifest_digest": str(manifest.digest),
        "model": str(start.model),
        "start": start.as_json(),
    }


def _of_an_evaluation(study: Study, artefacts: Artefacts) -> dict[str, object]:
    """Return the record of a run that trains nothing: it starts from its first version."""
    assert study.evaluation is not None
    first = study.evaluation.step(1)
    start = start_of_step(artefacts, study, first)
    return {
        **record_of_run(study, initial_model=first.version.array),
        "protocol_digest": str(protocol_digest(study.evaluation)),
        "model": str(start.model),
        "start": start.as_json(),
    }
