"""What a run is begun with, written down before anybody is asked anything."""

from federation.domain.ids import Sha256
from federation.domain.study import Study
from federation.operations.artefacts import Artefacts
from federation.operations.campaign.checkpoints import Checkpoints
from federation.operations.campaign.outcome_steps import start_of_outcomes
from federation.operations.campaign.summing import start_of_step
from federation.operations.environment import record_of_run
from federation.wire.study import protocol_of
from strategies.fedavg import FedAvg


def begin_record(study: Study, artefacts: Artefacts) -> dict[str, object]:
    """Return the record of a new run: its environment, and the initial model, kept.

    The same study in the same environment gives the same record. Imports torch.

    Raises
    ------
    DiskFullError
        If the model finds no room.
    """
    if study.protocol is not None:
        return _of_a_protocol(study, artefacts)
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


def _of_a_protocol(study: Study, artefacts: Artefacts) -> dict[str, object]:
    """Return the record of a run that trains nothing: it starts from its first step."""
    if study.outcomes is not None:
        start = start_of_outcomes(artefacts, study, study.outcomes)
    else:
        assert study.evaluation is not None  # it has one of both
        start = start_of_step(artefacts, study, study.evaluation.step(1))
    model, _ = artefacts.get_model(start.model)
    return {
        **record_of_run(study, initial_model=Sha256.of(model.tobytes())),
        "protocol_digest": str(protocol_of(study)),
        "model": str(start.model),
        "start": start.as_json(),
    }
