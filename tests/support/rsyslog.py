"""rsyslog with GnuTLS on loopback, for one test: the collector that nobody here wrote. It writes what it got to a file."""

import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.certificates import MadeCertificate
from tests.support.judges import require_program

_START_S = 20.0
_CONFIGURATION = """
global(
  workDirectory="{folder}"
  maxMessageSize="64k"
  parser.escapeControlCharactersOnReceive="off"
  defaultNetstreamDriver="gtls"
  defaultNetstreamDriverCAFile="{authority}"
  defaultNetstreamDriverCertFile="{certificate}"
  defaultNetstreamDriverKeyFile="{key}"
)
module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="x509/certvalid")
input(type="imtcp" address="127.0.0.1" port="{port}")
template(name="asReceived" type="string" string="%rawmsg%\\n")
action(type="omfile" file="{received}" template="asReceived" asyncWriting="off" flushOnTXEnd="on")
"""


@dataclass
class Rsyslog:
    """One collector on one port; it can be stopped and started again."""

    folder: Path
    authority: MadeCertificate
    identity: MadeCertificate
    port: int
    _process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.program = require_program("rsyslogd")
        if not Path("/usr/lib/x86_64-linux-gnu/rsyslog/lmnsd_gtls.so").exists() and not list(
            Path("/usr/lib").glob("*/rsyslog/lmnsd_gtls.so")
        ):
            require_program("rsyslog-gnutls")
        (self.folder / "rsyslog.conf").write_text(
            _CONFIGURATION.format(
                folder=self.folder,
                authority=self.authority.certificate,
                certificate=self.identity.certificate,
                key=self.identity.key,
                port=self.port,
                received=self.received,
            )
        )

    @property
    def received(self) -> Path:
        return self.folder / "received"

    def messages(self) -> list[bytes]:
        """What came, in order, as far as it is written whole. Our messages have no line breaks."""
        written = self.received.read_bytes() if self.received.exists() else b""
        return written[: written.rfind(b"\n") + 1].splitlines()

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self.program, "-n", "-f", self.folder / "rsyslog.conf", "-i", self.folder / "pid"],
                stdout=log,
                stderr=log,
            )
        until = time.monotonic() + _START_S
        while time.monotonic() < until and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        pytest.fail(f"rsyslog did not start: {(self.folder / 'log').read_text(errors='replace')[-2000:]}")

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill(self) -> None:
        """At once, with what it had in memory."""
        process, self._process = self._process, None
        assert process is not None
        process.kill()
        process.wait()
