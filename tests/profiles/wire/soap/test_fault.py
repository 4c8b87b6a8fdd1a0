"""Faults: a total table, what is written reads back, and a peer's fault becomes the error that it is to us."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from profiles.errors import (
    AccessDenied,
    Busy,
    Condition,
    ExchangeError,
    InternalFault,
    MalformedMessage,
    PeerUnavailable,
    RuleViolation,
    Unauthenticated,
    Unsupported,
)
from profiles.wire.soap.envelope import addressing_of, envelope_body, envelope_header
from profiles.wire.soap.fault import (
    ACTION_NOT_SUPPORTED,
    FAULTS,
    INVALID_CARDINALITY,
    NAMED,
    NOT_UNDERSTOOD,
    VERSION_MISMATCH,
    Code,
    PeerFault,
    decode_fault,
    encode_fault,
    fault_code,
    fault_status,
    is_fault,
    refusal,
)
from profiles.wire.soap.names import ADDRESSING_FAULT_ACTION, SOAP_FAULT_ACTION, WSA, WSSE, S


def test_every_condition_has_a_fault() -> None:
    assert FAULTS.keys() == set(Condition)


def read(error: ExchangeError) -> tuple[etree._Element, PeerFault]:
    root = etree.fromstring(encode_fault(error, relates_to="urn:uuid:1", message_id="urn:uuid:2", exchange_id="x-1"))
    fault = envelope_body(root)
    assert is_fault(fault)
    return root, decode_fault(fault)


@pytest.mark.parametrize(
    ("error", "codes", "status"),
    [
        (MalformedMessage("no"), (f"{{{S}}}Sender",), 400),
        (Busy("later"), (f"{{{S}}}Receiver",), 500),
        (InternalFault("oh"), (f"{{{S}}}Receiver",), 500),
        (PeerUnavailable("gone"), (f"{{{S}}}Receiver",), 500),
        (Unauthenticated("who"), (f"{{{S}}}Sender", f"{{{WSSE}}}FailedAuthentication"), 400),
        (AccessDenied("no"), (f"{{{S}}}Sender", f"{{{WSSE}}}FailedAuthentication"), 400),
        (
            Unauthenticated("old", code="wsse:InvalidSecurityToken"),
            (f"{{{S}}}Sender", f"{{{WSSE}}}InvalidSecurityToken"),
            400,
        ),
        (Unsupported("x", code=ACTION_NOT_SUPPORTED), (f"{{{S}}}Sender", f"{{{WSA}}}ActionNotSupported"), 400),
        (
            RuleViolation("x", code=INVALID_CARDINALITY),
            (f"{{{S}}}Sender", f"{{{WSA}}}InvalidAddressingHeader", f"{{{WSA}}}InvalidCardinality"),
            400,
        ),
        (Unsupported("x", code=VERSION_MISMATCH), (f"{{{S}}}VersionMismatch",), 500),
        (RuleViolation("x", code=NOT_UNDERSTOOD, location="{urn:o}o"), (f"{{{S}}}MustUnderstand",), 500),
        (RuleViolation("x", code="XDSRegistryError"), (f"{{{S}}}Sender",), 400),
    ],
)
def test_an_error_is_written_as_its_fault(error: ExchangeError, codes: tuple[str, ...], status: int) -> None:
    root, fault = read(error)
    assert fault == PeerFault(codes=codes, reason=error.detail)
    assert fault_status(fault_code(error).code) == status
    addressing = addressing_of(envelope_header(root))
    assert addressing.relates_to == "urn:uuid:1"
    assert addressing.message_id == "urn:uuid:2"
    about_addressing = any(code.startswith(f"{{{WSA}}}") for code in codes)
    assert addressing.action == (ADDRESSING_FAULT_ACTION if about_addressing else SOAP_FAULT_ACTION)


def test_what_was_not_understood_is_named() -> None:
    root, _ = read(RuleViolation("x", code=NOT_UNDERSTOOD, location="{urn:a&b}header"))
    (named,) = root.iter(f"{{{S}}}NotUnderstood")
    prefix, _, name = str(named.get("qname")).partition(":")
    assert (named.nsmap[prefix], name) == ("urn:a&b", "header")


def test_a_version_mismatch_says_what_is_spoken() -> None:
    root, _ = read(Unsupported("x", code=VERSION_MISMATCH))
    (supported,) = root.iter(f"{{{S}}}SupportedEnvelope")
    prefix, _, name = str(supported.get("qname")).partition(":")
    assert (supported.nsmap[prefix], name) == (S, "Envelope")


def test_where_it_was_and_which_exchange_it_was_stand_in_the_detail() -> None:
    root, _ = read(MalformedMessage("no", location="/a/b"))
    said = {etree.QName(each).localname: each.text for each in root.iter("{urn:radgate:error}*")}
    assert said == {"error": None, "condition": "malformed", "location": "/a/b", "exchange": "x-1"}


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=20)


@given(TEXT, TEXT, st.sampled_from(["", *NAMED, "XDSError"]))
def test_no_words_break_a_fault(detail: str, location: str, code: str) -> None:
    _, fault = read(MalformedMessage(detail, location=location, code=code))
    assert fault.reason == " ".join(detail.split())
    assert fault.codes


def test_a_subcode_of_a_fault_is_of_a_prefix_that_is_declared() -> None:
    for name, coded in NAMED.items():
        assert all(subcode.partition(":")[0] in ("wsa", "wsse") for subcode in coded.subcodes), name
        assert coded.code in Code


@pytest.mark.parametrize(
    ("fault", "peer_fault"),
    [
        ("", PeerFault(codes=(), reason="")),
        (
            "<s:Code><s:Value>s:Receiver</s:Value></s:Code><s:Reason><s:Text>a\n  b</s:Text><s:Text>c</s:Text></s:Reason>",
            PeerFault(codes=(f"{{{S}}}Receiver",), reason="a b"),
        ),
        ("<s:Code><s:Value>unknown:X</s:Value></s:Code>", PeerFault(codes=("X",), reason="")),
        ("<s:Code><s:Subcode><s:Value>Y</s:Value></s:Subcode></s:Code>", PeerFault(codes=("Y",), reason="")),
        (f"<s:Reason><s:Text>{'x' * 1000}</s:Text></s:Reason>", PeerFault(codes=(), reason="x" * 300)),
    ],
)
def test_a_peers_fault_is_read_whatever_is_missing(fault: str, peer_fault: PeerFault) -> None:
    element = etree.fromstring(f'<s:Fault xmlns:s="{S}">{fault}</s:Fault>')
    assert decode_fault(element) == peer_fault
    assert refusal(peer_fault).cure


def test_a_peers_words_are_for_our_operator_and_not_for_strangers() -> None:
    refused = refusal(PeerFault(codes=(f"{{{S}}}Sender", f"{{{WSA}}}ActionNotSupported"), reason="Doe^Jane"))
    assert refused.code == f"{{{WSA}}}ActionNotSupported"
    assert "Doe" not in refused.detail
    assert "Doe" in refused.cure
    assert "endpoint" in refused.cure
    assert not refused.temporary


def test_what_a_receiver_could_not_do_may_be_asked_again() -> None:
    assert refusal(PeerFault(codes=(f"{{{S}}}Receiver", "x"), reason="")).temporary
    assert not refusal(PeerFault(codes=(f"{{{S}}}Sender", f"{{{S}}}Receiver"), reason="")).temporary
    assert not refusal(PeerFault(codes=(), reason="")).temporary
