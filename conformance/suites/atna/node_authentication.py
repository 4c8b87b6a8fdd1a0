"""ITI-19 at a secure node: whoever is not known gets nothing, and leaves a trace.

Source: ITI TF-2 3.19; RFC 9325.
"""

import asyncio
import ssl
import uuid
import warnings
from contextlib import suppress
from urllib.parse import urlsplit

from conformance.case import case
from conformance.certificates import Authority
from conformance.expect import expect
from conformance.suites.xds.registry_query import a_question
from conformance.target import Target
from conformance.verdict import Failed, Unreachable
from profiles.transaction import Actor
from profiles.wire.soap.envelope import encode_envelope
from profiles.xds.iti18 import ITI_18

NODE = Actor.SECURE_NODE
CONNECT_S = 10.0
SECURITY_ALERT, NODE_AUTHENTICATION = "110113", "110126"


@case("ITI19/mutual", transaction="ITI-19", actor=NODE, title="Who shows no certificate gets nothing")
async def no_certificate(target: Target) -> None:
    """The handshake fails, or what follows is refused."""
    _refused(await _asked(target, _anybody()), "without a certificate")


@case("ITI19/trust", transaction="ITI-19", actor=NODE, title="Who is vouched for by nobody gets nothing")
async def unknown_authority(target: Target) -> None:
    """A certificate of a root that was made a moment ago."""
    _refused(await _asked(target, _stranger(target)), "with an unknown certificate")


@case("ITI19/plain", transaction="ITI-19", actor=NODE, title="Nothing is spoken without TLS")
async def without_tls(target: Target) -> None:
    """The same port, in the clear."""
    _refused(await _asked(target, None), "in the clear")


@case("ITI19/version", transaction="ITI-19", actor=NODE, title="TLS 1.1 is refused")
async def old_version(target: Target) -> None:
    """Where this machine can speak it at all."""
    context = _anybody()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with suppress(ssl.SSLError):
        context.set_ciphers("ALL:@SECLEVEL=0")
    _refused(await _asked(target, context), "by TLS 1.1")


@case("ITI19/alert", transaction="ITI-19", actor=NODE, title="A handshake that failed is a Security Alert")
async def alerted(target: Target) -> None:
    """Node Authentication, with an outcome that is no success."""
    await _asked(target, _stranger(target))
    message = await target.audited(
        "the failed handshake",
        lambda record: (
            record.event.code == SECURITY_ALERT and NODE_AUTHENTICATION in [each.code for each in record.types]
        ),
    )
    assert message.record is not None
    expect(int(message.record.outcome), "EventOutcomeIndicator").differs_from(0)


def _anybody() -> ssl.SSLContext:
    """A client that believes whatever it meets, and is nobody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _stranger(target: Target) -> ssl.SSLContext:
    identity = Authority(target.scratch() / "stranger", "a root of nobody").issue("Stranger")
    context = _anybody()
    context.load_cert_chain(identity.certificate, identity.key)
    return context


async def _asked(target: Target, context: ssl.SSLContext | None) -> bytes:
    """What comes back to a query that is right: b"" where the connection is not even made."""
    address = target.endpoint("ITI-18")
    parts = urlsplit(address)
    if parts.scheme != "https":
        raise Unreachable("the registry is not asked by https")
    body = b"".join(
        encode_envelope(
            ITI_18.encode_request(await a_question(target)).body, action=ITI_18.request_action,
            message_id=f"urn:uuid:{uuid.uuid4()}", to=address, reply_to=True,
        )
    )  # fmt: skip
    request = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/soap+xml; charset=UTF-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    ).encode() + body
    try:
        async with asyncio.timeout(CONNECT_S):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 443, ssl=context)
            try:
                writer.write(request)
                await writer.drain()
                return await reader.read(64 * 1024)
            finally:
                writer.close()
                with suppress(OSError, ssl.SSLError):
                    await writer.wait_closed()
    except TimeoutError:
        raise Failed("expected a refusal; nothing came") from None
    except (OSError, ssl.SSLError):
        return b""


def _refused(came: bytes, how: str) -> None:
    """Nothing came, or a refusal; never an answer."""
    if came:
        status = came.split(b" ", 2)[1:2]
        expect(b"AdhocQueryResponse" in came, f"whether a query {how} is answered").equals(False)
        expect(status[0] if status else came[:80], f"the HTTP status {how}").is_one_of(b"400", b"401", b"403", b"500")
