"""A campaign and Prefect's server start at the same time; the campaign waits for the server."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from federation.flows.campaign import await_prefect
from tests.scenarios.federation import free_port


class Healthy(BaseHTTPRequestHandler):
    """Answers every question with 200."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def a_server_from(port: int, *, after_s: float) -> Iterator[None]:
    """Serve from a little later on."""
    servers: list[HTTPServer] = []

    def serve() -> None:
        time.sleep(after_s)
        servers.append(HTTPServer(("127.0.0.1", port), Healthy))
        servers[0].serve_forever(0.02)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        while not servers:
            time.sleep(0.01)
        servers[0].shutdown()
        thread.join()
        servers[0].server_close()


def test_it_waits_until_the_server_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{port}/api")
    began = time.monotonic()

    with a_server_from(port, after_s=0.5):
        await_prefect(30.0)
        waited = time.monotonic() - began

    assert 0.4 < waited < 20.0


def test_it_goes_on_and_says_so_when_nobody_answers_in_time(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{free_port()}/api")

    with caplog.at_level(logging.WARNING):
        await_prefect(0.2)

    assert "TF444" in caplog.text


def test_without_a_server_of_its_own_it_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)

    await_prefect(600.0)
