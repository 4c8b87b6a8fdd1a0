"""npm `soap` as a peer: a JavaScript client that reads one of our WSDLs and sends MTOM.

`tests/support/npm/fetch` brings the package, by its lock file, into a cache outside the source tree.
"""

import asyncio
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from tests.support.judges import absent, require_program, unable

HERE = Path(__file__).with_name("npm")


def packages() -> Path:
    """The folder in whose `node_modules` the pinned packages are; skips here, fails in CI, where they were not fetched."""
    if os.environ.get("RADGATE_NPM") == "unreachable":
        unable("npm's registry could not be reached")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    lock = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
    folder = cache / "radgate" / f"npm-{lock[:12]}"
    if not folder.is_dir():
        absent("npm's soap was not fetched (tests/support/npm/fetch)")
    return folder


@dataclass(frozen=True, slots=True, kw_only=True)
class NpmAnswer:
    """What it read: the operation's element as an object, or a `fault`; and the parts, in their order."""

    told: dict[str, Any]
    parts: list[bytes]

    @property
    def read(self) -> dict[str, Any]:
        """The operation's element."""
        assert "fault" not in self.told, self.told
        found: dict[str, Any] = self.told["read"]
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class NpmClient:
    """One operation of one address."""

    folder: Path
    address: str
    operation: str

    async def ask(
        self, action: str, inside: bytes, *, mtom: bool = True, document: bytes | None = None, content_id: str = ""
    ) -> NpmAnswer:
        """Ask with this XML inside the operation's element. It does not read a WSDL's policy: `mtom` tells it."""
        node, answer = require_program("node"), self.folder / "answer"
        answer.mkdir(exist_ok=True)
        for old in answer.iterdir():
            old.unlink()
        (self.folder / "body").write_bytes(inside)
        words = [
            node, HERE / "soap_client.js", packages(), self.folder / "service.wsdl", self.address, self.operation, action,
            "mtom" if mtom else "simple", self.folder / "body", answer,
        ]  # fmt: skip
        if document is not None:
            (self.folder / "document").write_bytes(document)
            words += [self.folder / "document", content_id]
        process = await asyncio.create_subprocess_exec(
            *map(str, words), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, err = await process.communicate()
        assert process.returncode == 0, err.decode(errors="replace")[-2000:]
        parts = [path.read_bytes() for path in sorted(answer.iterdir(), key=lambda path: int(path.name))]
        return NpmAnswer(told=orjson.loads(out), parts=parts)


def npm_client(folder: Path, wsdl: bytes, address: str, operation: str) -> NpmClient:
    """Make one of what `?wsdl` says of an operation. A machine without node or the package has no such judge."""
    require_program("node")
    packages()
    folder.mkdir()
    (folder / "service.wsdl").write_bytes(wsdl)
    return NpmClient(folder=folder, address=address, operation=operation)
