"""A real Orthanc from Debian in a folder of its own, on free ports, for the time of a test."""

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

PROGRAM = Path("/usr/sbin/Orthanc")
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
TITLE = "TESTPACS"


def missing() -> str:
    """Return what is not installed, empty when all is."""
    gone = [str(path) for path in (PROGRAM, PLUGIN) if not path.exists()]
    return f"needs Debian's orthanc and orthanc-dicomweb: {', '.join(gone)}" if gone else ""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@dataclass(frozen=True)
class Orthanc:
    web_port: int
    dicom_port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.web_port}"

    def get(self, path: str) -> object:
        return httpx.get(self.url + path, trust_env=False).raise_for_status().json()

    def file(self, instance: str) -> bytes:
        url = f"{self.url}/instances/{instance}/file"
        return httpx.get(url, timeout=60, trust_env=False).raise_for_status().content

    def post(self, path: str, **body: object) -> httpx.Response:
        return httpx.post(self.url + path, timeout=120, trust_env=False, **body)  # type: ignore[arg-type]

    def put(self, path: str, value: object) -> None:
        httpx.put(self.url + path, json=value, trust_env=False).raise_for_status()

    def add(self, *files: Path) -> int:
        """Upload files; return how many were taken."""
        answers = [self.post("/instances", content=path.read_bytes()) for path in files]
        return sum(answer.status_code == 200 for answer in answers)

    def delete_all(self) -> None:
        for patient in self.get("/patients"):  # type: ignore[attr-defined]
            httpx.delete(f"{self.url}/patients/{patient}", trust_env=False)

    def knows(self, title: str, port: int, **more: object) -> None:
        """Make the receiver `title` known under that name."""
        self.put(f"/modalities/{title}", {"AET": title, "Host": "127.0.0.1", "Port": port, **more})


@contextmanager
def running(folder: Path, **more: object) -> Iterator[Orthanc]:
    """Run an Orthanc in a folder until the block ends."""
    orthanc = Orthanc(free_port(), free_port())
    settings = {
        "Name": "test",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "Plugins": [str(PLUGIN)],
        "HttpPort": orthanc.web_port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAet": TITLE,
        "DicomPort": orthanc.dicom_port,
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowGet": True,
        "DicomAlwaysAllowMove": True,
        "OverwriteInstances": True,
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        **more,
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    log = folder / "orthanc.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(PROGRAM), str(folder / "orthanc.json")],
            stdout=out,
            stderr=out,
            cwd=folder,
            env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
        )
        try:
            _wait(orthanc, process)
            yield orthanc
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            shutil.rmtree(folder / "storage", ignore_errors=True)


def _wait(orthanc: Orthanc, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, "Orthanc ended at once"
        try:
            orthanc.get("/system")
        except httpx.HTTPError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("Orthanc does not answer")
