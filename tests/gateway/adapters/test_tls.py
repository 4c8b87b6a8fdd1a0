"""TLS both ways: who gets in, who is believed, and what is too old."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.adapters.tls import (
    ClientCertificate,
    TlsIdentity,
    WrongCertificate,
    client_context,
    expiry_of_file,
    fingerprint_of_file,
    peer_fingerprint,
    renew,
    server_context,
)
from tests.support.certificates import MadeCertificate, make_certificate
from tests.support.judges import require_program

Make = Callable[..., MadeCertificate]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def made(name: str, **how: object) -> MadeCertificate:
        return make_certificate(tmp_path, name, **how)  # type: ignore[arg-type]

    return made


def identity(made: MadeCertificate) -> TlsIdentity:
    return TlsIdentity(certificate=made.certificate, key=made.key)


@asynccontextmanager
async def listening(context: ssl.SSLContext) -> AsyncIterator[tuple[int, list[str | None]]]:
    """A server that says who it sees, on a free port."""
    seen: list[str | None] = []

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(peer_fingerprint(writer.get_extra_info("ssl_object")))
        writer.write(b"hello")
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1], seen


async def greeted(port: int, context: ssl.SSLContext, name: str = "localhost") -> ssl.SSLObject:
    """Connect and read, so that a refusal of our certificate shows."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
    try:
        if await reader.read() != b"hello":
            raise ConnectionError("closed without a word")  # as asyncio's server does where it trusts nobody it sees
        return writer.get_extra_info("ssl_object")  # type: ignore[no-any-return]
    finally:
        writer.transport.abort()


async def test_both_sides_know_each_other_by_pinned_certificates(make: Make) -> None:
    ours, theirs = make("ours"), make("theirs")
    async with listening(server_context(identity(theirs), pinned=(ours.certificate,))) as (port, seen):
        spoken = await greeted(port, client_context(identity(ours), pins=(theirs.sha256,)), name="any.name")
    assert seen == [ours.sha256]
    assert spoken.version() == "TLSv1.3"
    assert peer_fingerprint(spoken) == theirs.sha256 == fingerprint_of_file(theirs.certificate)


async def test_both_sides_know_each_other_by_an_authority(make: Make) -> None:
    authority = make("authority", authority=True)
    ours, theirs = make("ours", signed_by=authority), make("theirs", signed_by=authority)
    async with listening(server_context(identity(theirs), trust=(authority.certificate,))) as (port, seen):
        await greeted(port, client_context(identity(ours), trust=(authority.certificate,)))
    assert seen == [ours.sha256]


async def test_a_leaf_that_is_pinned_is_trusted_without_its_authority(make: Make) -> None:
    authority = make("authority", authority=True)
    ours, theirs = make("ours", signed_by=authority), make("theirs", signed_by=authority)
    async with listening(server_context(identity(theirs), pinned=(ours.certificate,))) as (port, seen):
        await greeted(port, client_context(identity(ours), pins=(theirs.sha256,)))
        other = make("other", signed_by=authority)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await greeted(port, client_context(identity(other), pins=(theirs.sha256,)))
    assert seen == [ours.sha256]


@pytest.mark.parametrize("who", ["nobody", "stranger", "expired", "not yet valid"])
async def test_a_client_that_is_not_trusted_does_not_get_in(make: Make, who: str) -> None:
    authority = make("authority", authority=True)
    theirs = make("theirs", signed_by=authority)
    shown = {
        "nobody": None,
        "stranger": identity(make("stranger")),
        "expired": identity(make("expired", signed_by=authority, until=timedelta(seconds=-1))),
        "not yet valid": identity(make("early", signed_by=authority, since=timedelta(hours=1))),
    }[who]
    async with listening(server_context(identity(theirs), trust=(authority.certificate,))) as (port, seen):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await greeted(port, client_context(shown, pins=(theirs.sha256,)))
    assert seen == []


async def test_where_a_certificate_is_optional_nobody_is_nobody_and_a_stranger_is_refused(make: Make) -> None:
    ours, theirs, stranger = make("ours"), make("theirs"), make("stranger")
    context = server_context(
        identity(theirs), pinned=(ours.certificate,), client_certificate=ClientCertificate.OPTIONAL
    )
    async with listening(context) as (port, seen):
        await greeted(port, client_context(None, pins=(theirs.sha256,)))
        await greeted(port, client_context(identity(ours), pins=(theirs.sha256,)))
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await greeted(port, client_context(identity(stranger), pins=(theirs.sha256,)))
    assert seen == [None, ours.sha256]


async def test_a_server_that_is_not_the_pinned_one_is_not_talked_to(make: Make) -> None:
    ours, theirs, other = make("ours"), make("theirs"), make("other")
    async with listening(server_context(identity(theirs), pinned=(ours.certificate,))) as (port, seen):
        with pytest.raises(WrongCertificate, match="not the one"):
            await greeted(port, client_context(identity(ours), pins=(other.sha256,)))
    assert seen in ([], [ours.sha256])  # in TLS 1.3 it may have seen us; it got no request


async def test_a_pinned_certificate_that_has_expired_is_not_talked_to(make: Make) -> None:
    old = make("old", until=timedelta(seconds=-1))
    context = server_context(identity(old), client_certificate=ClientCertificate.OPTIONAL)
    async with listening(context) as (port, _):
        with pytest.raises(WrongCertificate, match="valid until"):
            await greeted(port, client_context(None, pins=(old.sha256,)))


@pytest.mark.parametrize("why", ["another authority", "another name", "expired"])
async def test_a_server_that_its_authority_does_not_vouch_for_is_not_talked_to(make: Make, why: str) -> None:
    authority, other = make("authority", authority=True), make("other", authority=True)
    until = timedelta(seconds=-1) if why == "expired" else timedelta(days=1)
    theirs = make("theirs", signed_by=other if why == "another authority" else authority, until=until)
    context = server_context(identity(theirs), client_certificate=ClientCertificate.OPTIONAL)
    async with listening(context) as (port, _):
        with pytest.raises(ssl.SSLCertVerificationError):
            await greeted(
                port,
                client_context(None, trust=(authority.certificate,)),
                name="elsewhere.example" if why == "another name" else "localhost",
            )


def too_old(maximum: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = maximum
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def with_ciphers(ciphers: str) -> ssl.SSLContext:
    context = too_old(ssl.TLSVersion.TLSv1_2)
    context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
    return context


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_what_is_below_the_floor_is_not_talked_to(make: Make) -> None:
    theirs = make("theirs")
    context = server_context(identity(theirs), client_certificate=ClientCertificate.OPTIONAL)
    async with listening(context) as (port, seen):
        for client in (
            too_old(ssl.TLSVersion.TLSv1),
            too_old(ssl.TLSVersion.TLSv1_1),
            with_ciphers("AES128-SHA"),
            with_ciphers("ECDHE-ECDSA-AES128-SHA256"),
            with_ciphers("aNULL"),
        ):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await greeted(port, client)
        spoken = await greeted(port, with_ciphers("ECDHE-ECDSA-AES256-GCM-SHA384"))
    assert spoken.version() == "TLSv1.2"
    assert seen == [None]


async def test_a_certificate_is_renewed_while_connections_are_open(make: Make) -> None:
    old, new = make("old"), make("new", until=timedelta(days=9))
    context = server_context(identity(old), client_certificate=ClientCertificate.OPTIONAL)
    async with listening(context) as (port, _):
        await greeted(port, client_context(None, pins=(old.sha256,)))
        renew(context, identity(new))
        await greeted(port, client_context(None, pins=(old.sha256, new.sha256)))
        with pytest.raises(WrongCertificate):
            await greeted(port, client_context(None, pins=(old.sha256,)))
    assert expiry_of_file(new.certificate) == new.made.not_valid_after_utc > expiry_of_file(old.certificate)


@pytest.mark.judge_program
async def test_openssl_agrees_about_the_floor(make: Make) -> None:
    openssl = require_program("openssl")
    theirs = make("theirs")
    context = server_context(identity(theirs), client_certificate=ClientCertificate.OPTIONAL)
    async with listening(context) as (port, _):
        for option, ok in (("-tls1_3", True), ("-tls1_2", True), ("-tls1_1", False)):
            process = await asyncio.create_subprocess_exec(
                openssl, "s_client", "-connect", f"127.0.0.1:{port}", option, "-brief",
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            )  # fmt: skip
            output, _ = await asyncio.wait_for(process.communicate(), 20)
            assert (b"CONNECTION ESTABLISHED" in output) is ok, (option, output)
