"""gSOAP as a peer: its tools read one of our WSDLs and make a client of it, which a C compiler builds."""

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path

from tests.support.judges import require_program

SHARED = Path("/usr/share/gsoap")
SOURCE = Path(__file__).with_name("gsoap_client.c")


@dataclass(frozen=True, slots=True, kw_only=True)
class GsoapClient:
    """A program for one operation."""

    program: Path
    address: str

    async def ask(
        self, action: str, inside: bytes, *, document: bytes | None = None, content_id: str = ""
    ) -> tuple[str, list[bytes]]:
        """Ask with this XML inside the operation's element: the answer's children as XML, and its parts."""
        folder = self.program.parent / "answer"
        folder.mkdir(exist_ok=True)
        (folder.parent / "body").write_bytes(inside)
        words = [str(self.program), self.address, action, str(folder.parent / "body"), str(folder)]
        if document is not None:
            (folder.parent / "document").write_bytes(document)
            words += [str(folder.parent / "document"), content_id]
        out = await _run(folder, *words)
        return out, [path.read_bytes() for path in sorted(folder.iterdir(), key=lambda path: int(path.name))]


async def gsoap_client(folder: Path, wsdl: bytes, address: str, operation: str) -> GsoapClient:
    """Make one of what `?wsdl` says of an operation. A machine without the tools has no such judge."""
    for program in ("wsdl2h", "soapcpp2", "gcc"):
        require_program(program)
    folder.mkdir()
    (folder / "service.wsdl").write_bytes(wsdl)
    await _run(folder, "wsdl2h", "-c", "-s", "-o", "service.h", "service.wsdl")
    with_addressing = '#import "wsa5.h"\n' + (folder / "service.h").read_text()
    (folder / "service.h").write_text(with_addressing)
    await _run(folder, "soapcpp2", "-c", "-C", "-L", "-x", f"-I{SHARED / 'import'}", "service.h")
    made = re.search(
        rf"(soap_call___\w+__{operation})\(struct soap \*\w+, [^)]*?struct (\w+) \*\w+, struct (\w+) \*\w+\)",
        (folder / "soapStub.h").read_text(),
    )
    assert made is not None, f"gSOAP found no operation {operation}"
    defined = [
        f"-D{name}={value}" for name, value in zip(("OPERATION", "REQUEST", "RESPONSE"), made.groups(), strict=True)
    ]
    await _run(
        folder, "gcc", "-w", *defined, "-I.", f"-I{SHARED / 'plugin'}", str(SOURCE), "soapC.c", "soapClient.c",
        str(SHARED / "plugin" / "wsaapi.c"), "-lgsoap", "-o", "client",
    )  # fmt: skip
    return GsoapClient(program=folder / "client", address=address)


async def _run(folder: Path, *words: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *words, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, (words[0], process.returncode, (err or out).decode(errors="replace")[-2000:])
    return out.decode()
