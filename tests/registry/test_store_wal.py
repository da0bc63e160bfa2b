"""Two processes that open a new register at once: neither fails for the other's sake."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from registry.store import SqlStore


def opened(path: str) -> int:
    with SqlStore(f"sqlite:///{path}").reading() as transaction:
        return transaction.log.size()


def test_processes_open_a_new_register_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(4, mp_context=context) as pool:
        for number in range(3):
            path = str(tmp_path / f"register-{number}.db")
            assert list(pool.map(opened, [path] * 4)) == [0] * 4
