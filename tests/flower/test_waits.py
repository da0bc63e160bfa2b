"""A SuperNode hands out whole tasks only, and tries the centre as soon as it is back."""

import threading
import time

import pytest
from flwr.proto.runtime_pb2 import AcquireTaskResponse
from flwr.proto.task_pb2 import Task

from federation.wire.flwr_internals import node
from federation.wire.flwr_internals.node import Waits

HALF = AcquireTaskResponse(task=Task(task_id=1), token="t")


def test_a_task_that_is_being_received_is_handed_out_to_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(node, "_EXECUTOR_WAIT_S", 0.1)
    waits = Waits()
    whole = threading.Event()
    pull = waits.while_receiving(lambda: whole.wait(5))
    acquire = waits.when_ready(lambda request, state: HALF)
    receiving = threading.Thread(target=pull)
    receiving.start()
    time.sleep(0.05)
    assert not acquire(None, None).HasField("task")
    whole.set()
    receiving.join()
    assert acquire(None, None).HasField("task")


def test_executor_gets_its_task_the_moment_it_is_whole() -> None:
    waits = Waits()
    begun, whole = threading.Event(), threading.Event()

    def receive() -> None:
        begun.set()
        whole.wait(5)

    receiving = threading.Thread(target=waits.while_receiving(receive))
    receiving.start()
    begun.wait(5)
    threading.Timer(0.2, whole.set).start()
    started = time.monotonic()
    assert waits.when_ready(lambda request, state: HALF)(None, None).HasField("task")
    assert time.monotonic() - started < 3
    receiving.join()


def test_wait_for_a_lost_centre_ends_with_the_agents_word() -> None:
    waits = Waits()
    threading.Timer(0.2, waits.redial).start()
    started = time.monotonic()
    waits.while_away(20.0)
    assert time.monotonic() - started < 5
