"""The words of the scenarios: what is killed, and at which moment of a study."""

from enum import Enum

from federation.domain.ids import SiteId


class Kind(Enum):
    """A kind of process; the value is what its command line holds."""

    COORDINATOR = "tests.scenarios.centre"
    CONDUCTOR = "tests.scenarios.conductor"
    CAMPAIGN = "tests.scenarios.campaign"
    DRIVER = "federation.server_app.driver"
    SUPERLINK = "federation.server_app.superlink"
    PREFECT = "prefect.server.api.server:create_app"
    DATABASE = "postgres"
    NODE = "tests.scenarios.node"
    EXECUTOR = "tests.scenarios.executor"
    SUPERNODE = "clients.flower.supernode"

    @property
    def is_at_a_hospital(self) -> bool:
        """Say whether each hospital has one of its own."""
        return self in (Kind.NODE, Kind.EXECUTOR, Kind.SUPERNODE)


class Moment(Enum):
    """A moment of a study at which a process can be held; the value is its gate's pattern."""

    BEFORE_DISPATCH = "dispatch.{round}"
    WHILE_TRAINING = "training.{site}.{round}"
    WHILE_REPLYING = "replying.{site}.{round}"
    WHILE_AGGREGATING = "aggregating.{round}"
    AT_EVIDENCE = "evidence.{round}"
    AT_REGISTRATION = "registering"

    def gate(self, *, round: int, site: SiteId) -> str:
        """Return the gate at which a process of this federation is held then."""
        return self.value.format(round=round, site=site)


MATRIX = (
    Kind.COORDINATOR,
    Kind.SUPERLINK,
    Kind.NODE,
    Kind.EXECUTOR,
    Kind.PREFECT,
    Kind.DATABASE,
)
"""What may be killed at every moment."""
