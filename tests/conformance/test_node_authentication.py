"""The cases of ITI-19 can fail: a house without locks is found out."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from conformance.around import Around
from conformance.case import Case
from conformance.certificates import Authority
from conformance.runner import run
from conformance.simulators.audit_repository import AuditRepository
from conformance.suites import cases
from conformance.system import System, tls_of
from conformance.verdict import Verdict
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.transaction import Actor

CASES: dict[str, Case] = {
    case.id.partition("/")[2]: case for case in cases() if case.suite == "atna.node_authentication"
}
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\nConnection: close\r\n\r\n<AdhocQueryResponse>"
PATIENT = PatientIdentifier(value="x", authority=Oid("1.2.3"))


@asynccontextmanager
async def unlocked(folder: Path, context: ssl.SSLContext | None) -> AsyncIterator[System]:
    """A house that answers whoever comes, and audits nothing."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(64 * 1024)
        writer.write(ANSWER)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with server:
        yield System(
            name="unlocked",
            endpoints={"ITI-18": f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/registry"},
            claims=frozenset({(Actor.SECURE_NODE, "ITI-19")}),
            known_patients=(PATIENT,),
            tls=tls_of(),
        )


def lax(folder: Path) -> ssl.SSLContext:
    """TLS that asks nobody who they are, in whatever version."""
    identity = Authority(folder / "lax").issue("Lax")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.certificate, identity.key)
    return context


@pytest.mark.parametrize("name", ["no_certificate", "unknown_authority"])
async def test_a_door_that_asks_nobody_is_found_out(tmp_path: Path, name: str) -> None:
    async with unlocked(tmp_path, lax(tmp_path)) as system:
        done = await run([CASES[name]], system, tmp_path / "evidence")
    assert [result.verdict for result in done.results] == [Verdict.FAIL]


async def test_a_door_without_tls_is_found_out(tmp_path: Path) -> None:
    async with unlocked(tmp_path, None) as system:
        done = await run([CASES["without_tls"]], system, tmp_path / "evidence")
    assert [result.verdict for result in done.results] == [Verdict.FAIL]


async def test_a_door_that_speaks_old_tls_is_found_out(tmp_path: Path) -> None:
    """Where this machine can speak it at all."""
    context = lax(tmp_path)
    context.minimum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    async with unlocked(tmp_path, context) as system:
        done = await run([CASES["old_version"]], system, tmp_path / "evidence")
    assert [result.verdict for result in done.results] == [Verdict.FAIL]


async def test_a_node_that_keeps_failures_to_itself_is_found_out(tmp_path: Path) -> None:
    audit = AuditRepository("127.0.0.1", 0, ssl=None)
    await audit.start()
    try:
        async with unlocked(tmp_path, lax(tmp_path)) as system:
            done = await run([CASES["alerted"]], system, tmp_path / "evidence", around=Around(audit=audit, wait_s=0.2))
    finally:
        await audit.stop()
    assert [result.verdict for result in done.results] == [Verdict.FAIL]


async def test_a_registry_that_is_asked_in_the_clear_cannot_be_judged(tmp_path: Path) -> None:
    async with unlocked(tmp_path, None) as system:
        plain = replace(system, endpoints={"ITI-18": system.endpoints["ITI-18"].replace("https", "http")})
        done = await run([CASES["without_tls"]], plain, tmp_path / "evidence")
    assert [result.verdict for result in done.results] == [Verdict.SKIP]
