"""What a run is begun with, written down before anybody is asked anything."""

from federation.domain.ids import Sha256
from federation.domain.study import Study
from federation.operations.artefacts import Artefacts
from federation.operations.campaign.checkpoints import Checkpoints
from federation.operations.environment import record_of_run
from strategies.fedavg import FedAvg


def begin_record(study: Study, artefacts: Artefacts) -> dict[str, object]:
    """Return the record of a new run: its environment, and the initial model, kept.

    The same study in the same environment gives the same record. Imports torch.

    Raises
    ------
    DiskFullError
        If the model finds no room.
    """
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
