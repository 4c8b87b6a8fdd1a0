"""The security header: one assertion, or a fault that says why not."""

from datetime import UTC, datetime

import pytest
from lxml import etree

from profiles.errors import Unauthenticated
from profiles.wire.soap.envelope import encode_envelope, envelope_header
from profiles.wire.soap.names import WSSE, WSU, S
from profiles.wire.soap.security import SAML, SECURITY, encode_security, secured
from profiles.wire.xml import parse

ONE = f'<a:Assertion xmlns:a="{SAML}" ID="_1"><a:Issuer>i</a:Issuer></a:Assertion>'


def header(*securities: str) -> etree._Element:
    found = envelope_header(
        parse(
            f'<s:Envelope xmlns:s="{S}" xmlns:w="{WSSE}" xmlns:u="{WSU}"><s:Header>{"".join(securities)}</s:Header>'
            "<s:Body><x/></s:Body></s:Envelope>".encode()
        )
    )
    assert found is not None
    return found


def security(inner: str, attributes: str = "") -> str:
    return f"<w:Security{attributes}>{inner}</w:Security>"


def test_a_message_without_a_security_header_brings_nothing() -> None:
    assert secured(None) is None
    assert secured(header()) is None


def test_an_assertion_leaves_as_bytes_that_stand_alone() -> None:
    found = secured(header(security(ONE)))
    assert found is not None
    root = parse(found.assertion)
    assert (root.tag, root.get("ID"), root.getparent()) == (f"{{{SAML}}}Assertion", "_1", None)
    assert (found.expires, found.findings) == (None, ())


def test_a_header_for_somebody_else_is_not_ours() -> None:
    elsewhere = security(ONE, ' s:role="urn:proxy"')
    assert secured(header(elsewhere)) is None
    with pytest.raises(Unauthenticated):  # two assertions in one message, whomever they are for
        secured(header(elsewhere, security(ONE.replace("_1", "_2"))))


def test_when_the_message_expires_is_told() -> None:
    found = secured(header(security(ONE + "<u:Timestamp><u:Expires>2026-01-01T12:00:00Z</u:Expires></u:Timestamp>")))
    assert found is not None
    assert found.expires == datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_what_is_not_looked_at_is_told() -> None:
    found = secured(header(security(ONE + "<w:BinarySecurityToken>AAAA</w:BinarySecurityToken>")))
    assert found is not None
    assert [finding.rule for finding in found.findings] == ["wsse-unread"]


@pytest.mark.parametrize(
    ("inner", "code"),
    [
        ("", "InvalidSecurity"),
        ("<u:Timestamp/>", "InvalidSecurity"),
        (ONE * 2, "InvalidSecurity"),
        (ONE + ONE.replace("_1", "_2"), "InvalidSecurity"),
        (ONE + "<u:Timestamp><u:Expires>soon</u:Expires></u:Timestamp>", "InvalidSecurity"),
        (f'<a:EncryptedAssertion xmlns:a="{SAML}"/>', "UnsupportedSecurityToken"),
        ('<a:Assertion xmlns:a="urn:oasis:names:tc:SAML:1.0:assertion"/>', "UnsupportedSecurityToken"),
        ("<w:UsernameToken/>", "UnsupportedSecurityToken"),
        ("<w:SecurityTokenReference/>", "SecurityTokenUnavailable"),
    ],
)
def test_a_header_without_one_assertion_is_refused_by_the_fault_that_says_so(inner: str, code: str) -> None:
    with pytest.raises(Unauthenticated) as raised:
        secured(header(security(inner)))
    assert raised.value.code == f"wsse:{code}"


def test_a_header_that_is_written_is_read_and_must_be_understood() -> None:
    written = b"".join(encode_envelope([b"<x/>"], action="a", message_id="m", blocks=encode_security(ONE.encode())))
    found = envelope_header(parse(written))
    assert found is not None
    block = found.find(SECURITY)
    assert block is not None
    assert block.get(f"{{{S}}}mustUnderstand") == "1"
    brought = secured(found)
    assert brought is not None
    assert parse(brought.assertion).get("ID") == "_1"
