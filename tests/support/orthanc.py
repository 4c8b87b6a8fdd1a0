"""Orthanc with its DICOMweb plugin on loopback, for one test or one session: the archive that nobody here wrote."""

import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.judges import require_program
from tests.support.ports import free_port

PLUGINS = (Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so"), Path("/usr/lib/orthanc/libOrthancDicomWeb.so.1.7"))
START_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Orthanc:
    """A running one."""

    http_port: int
    dicom_port: int
    log: Path

    @property
    def native(self) -> str:
        """Its own REST interface."""
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def dicomweb(self) -> str:
        """The base of its DICOMweb services."""
        return f"{self.native}/dicom-web"

    def ask(self, path: str, *, method: str = "GET", body: bytes | None = None) -> Any:
        """One call of its own interface; what it answers as JSON."""
        asked = urllib.request.Request(f"{self.native}{path}", data=body, method=method)
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return json.loads(answer.read() or b"null")

    def read(self, path: str, body: bytes) -> bytes:
        """One call of its own interface that answers with a file."""
        asked = urllib.request.Request(f"{self.native}{path}", data=body, method="POST")
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return bytes(answer.read())

    def clear(self) -> None:
        """Forget every patient."""
        for each in self.ask("/patients"):
            self.ask(f"/patients/{each}", method="DELETE")


@contextmanager
def orthanc(folder: Path, **settings: object) -> Iterator[Orthanc]:
    """Run it on this folder until the block is left. `settings` go into its configuration as they are."""
    program = require_program("Orthanc")
    plugin = next((each for each in PLUGINS if each.exists()), None)
    if plugin is None:
        require_program("libOrthancDicomWeb.so")
    folder.mkdir(parents=True, exist_ok=True)
    running = Orthanc(free_port(), free_port(), folder / "orthanc.log")
    configuration = folder / "orthanc.json"
    configuration.write_text(
        json.dumps(
            {
                "Name": "judge",
                "StorageDirectory": str(folder / "storage"),
                "IndexDirectory": str(folder / "index"),
                "HttpPort": running.http_port,
                "DicomPort": running.dicom_port,
                "DicomAet": "ORTHANC",
                "DicomCheckCalledAet": False,
                "DicomAlwaysAllowStore": True,
                "RemoteAccessAllowed": False,
                "AuthenticationEnabled": False,
                "Plugins": [str(plugin)],
                "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "Host": f"127.0.0.1:{running.http_port}"},
                **settings,
            }
        )
    )
    with running.log.open("wb") as log:
        process = subprocess.Popen([program, str(configuration)], stdout=log, stderr=log, cwd=folder)
    try:
        _wait(running, process)
        yield running
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(running: Orthanc, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        try:
            running.ask("/dicom-web/studies?limit=1")
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"Orthanc did not start: {running.log.read_text(errors='replace')[-2000:]}")
