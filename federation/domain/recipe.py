"""A recipe: how one kind of model is built and trained, as data.

The network itself is built by a named builder in the installed wheel
(`federation/recipes/networks.py`); a recipe only names it. A site approves a
recipe by its digest, so changing one number makes another recipe.
"""

from dataclasses import dataclass
from enum import Enum

from federation.domain.ids import Sha256
from federation.errors.core import InvalidValueError


class Task(Enum):
    """What the model predicts."""

    CLASSIFICATION = "classification"
    SEGMENTATION = "segmentation"
    OUTCOMES = "outcomes"
    """No model at all: tables of outcomes, fitted by sums."""


@dataclass(frozen=True, slots=True)
class LocalTraining:
    """How a site trains between two rounds, when the study does not say otherwise.

    `batch_size` is the expected Poisson batch, in patients. `weight_decay` is
    decoupled (AdamW). `schedule` is ``constant`` or ``cosine`` over the rounds.
    `augmentation` names a set of random changes to training images in
    `clients/augmentation.py`; ``none`` leaves them as they are.
    """

    optimizer: str
    learning_rate: float
    batch_size: int
    local_epochs: float
    weight_decay: float = 0.0
    schedule: str = "constant"
    augmentation: str = "none"


@dataclass(frozen=True, slots=True)
class Recipe:
    """A model's network, input and training defaults.

    Parameters
    ----------
    name, version
        What people call it.
    task
        What is predicted.
    network, network_args
        The builder in `federation.recipes.networks` and its plain arguments.
    input_shape
        Channels first, without the batch: (1, 128, 128) or (1, D, H, W).
    classes
        Outputs of the network: label values for classification, mask values
        with background for segmentation.
    modalities
        DICOM Modality codes (0008,0060) it accepts.
    label
        Name of the label in the site's catalogue.
    training
        Local training defaults.
    digest
        Content id over all of the above and the builder's source.
    """

    name: str
    version: str
    task: Task
    network: str
    network_args: tuple[tuple[str, object], ...]
    input_shape: tuple[int, ...]
    classes: int
    modalities: tuple[str, ...]
    label: str
    training: LocalTraining
    digest: Sha256

    def __post_init__(self) -> None:
        if self.classes < 2:
            raise InvalidValueError(field="classes", actual=self.classes, expected="2 or more")
        if len(self.input_shape) not in (3, 4):
            raise InvalidValueError(
                field="input_shape", actual=list(self.input_shape), expected="3 or 4 numbers"
            )
