"""A tab of headless Chromium, driven over its DevTools protocol."""

import base64
import contextlib
import json
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_WAIT_S = 20.0


@dataclass
class Tab:
    """One tab: what it said on its console is in `said`."""

    connection: Any
    session: str = ""
    said: list[str] = field(default_factory=list)
    status: int = 0
    is_loaded: bool = False
    _last: int = 0

    def call(self, method: str, **given: Any) -> dict[str, Any]:
        self._last += 1
        asked = {"id": self._last, "method": method, "params": given}
        if self.session:
            asked["sessionId"] = self.session
        self.connection.send(json.dumps(asked))
        while (answer := self._hear()).get("id") != self._last:
            pass
        assert "error" not in answer, answer
        return dict(answer["result"])

    def open(self, url: str) -> int:
        """Load a page; return its status."""
        self.status, self.is_loaded = 0, False
        self.call("Page.navigate", url=url)
        while not (self.is_loaded and self.status):
            self._hear()
        return self.status

    def value(self, expression: str) -> Any:
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return found["result"].get("value")

    def size(self, width: int, height: int = 1200) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def picture(self, path: Path) -> None:
        """Save the whole page as a picture, to look at while working on it."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def _hear(self) -> dict[str, Any]:
        message = dict(json.loads(self.connection.recv(timeout=_WAIT_S)))
        self._listen(message)
        return message

    def _listen(self, message: dict[str, Any]) -> None:
        told = message.get("params", {})
        if message.get("method") == "Network.responseReceived" and told["type"] == "Document":
            self.status = int(told["response"]["status"])
        if message.get("method") == "Page.loadEventFired":
            self.is_loaded = True
        if message.get("method") == "Log.entryAdded":
            entry = told["entry"]
            self.said.append(f"{entry['level']}: {entry['text']} {entry.get('url', '')}")
        if message.get("method") in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled"):
            self.said.append(json.dumps(told)[:300])


@contextlib.contextmanager
def a_tab(folder: Path) -> Iterator[Tab]:
    """Start Chromium with a fresh profile and open a tab in it."""
    from websockets.sync.client import connect

    assert CHROMIUM is not None
    options = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")
    more = ("--remote-debugging-port=0", f"--user-data-dir={folder}", "--lang=en", "about:blank")
    quiet = subprocess.DEVNULL
    with subprocess.Popen([CHROMIUM, *options, *more], stdout=quiet, stderr=quiet) as browser:
        try:
            with connect(_address(folder), max_size=2**26) as connection:
                yield _attached(connection)
        finally:
            browser.terminate()
            browser.wait(timeout=_WAIT_S)


@contextlib.contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """Serve an application on a free port of this machine; yield its address."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            address = f"http://127.0.0.1:{listening.getsockname()[1]}"
            _wait_for(address)
            yield address
        finally:
            server.should_exit = True
            thread.join(timeout=_WAIT_S)


def _wait_for(address: str) -> None:
    end = time.monotonic() + _WAIT_S
    while time.monotonic() < end:
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"{address}/v1/health", timeout=2),
        ):
            return
        time.sleep(0.05)
    raise TimeoutError("the register did not start")


def _address(folder: Path) -> str:
    told = folder / "DevToolsActivePort"
    end = time.monotonic() + _WAIT_S
    while time.monotonic() < end:
        lines = told.read_text().split("\n") if told.exists() else []
        if len(lines) > 1:
            return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
        time.sleep(0.05)
    raise TimeoutError("Chromium did not start")


def _attached(connection: Any) -> Tab:
    tab = Tab(connection)
    target = tab.call("Target.createTarget", url="about:blank")["targetId"]
    tab.session = tab.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    for domain in ("Page", "Network", "Log", "Runtime"):
        tab.call(f"{domain}.enable")
    return tab
