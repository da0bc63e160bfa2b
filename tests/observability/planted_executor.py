"""An executor whose every task fails with a patient's name in the words; run by a test.

`python planted_executor.py --home N --ping`, started in the place of the product's.
"""

from clients.flower import executor
from federation.errors.core import FileMissingError
from federation.wire.messages import Reply, Task
from tests.observability.planted import PATIENT


def planted(task: Task) -> Reply:
    """Fail in another way each round."""
    if task.round == 1:
        raise RuntimeError(f"cannot read {PATIENT}") from KeyError(PATIENT)
    if task.round == 2:
        raise FileMissingError(file=PATIENT, why=PATIENT)
    if task.round == 3:
        raise ExceptionGroup(PATIENT, [ValueError(PATIENT), OSError(5, PATIENT, PATIENT)])
    return Reply(task.model)


if __name__ == "__main__":
    executor.ping = planted
    executor.main()
