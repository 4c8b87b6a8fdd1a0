"""Assertions read and written: by the book, as the field writes them, and not at all."""

import base64
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from profiles.errors import MalformedMessage
from profiles.findings import Decoded
from profiles.model.codes import Code
from profiles.model.identifiers import Oid
from profiles.wire.signature import DS
from profiles.wire.xml import parse
from profiles.xua.iti40 import (
    HOLDER_OF_KEY,
    Assertion,
    Confirmation,
    ProviderId,
    Subject,
    claimed,
    decode_assertion,
    encode_assertion,
)
from profiles.xua.iti40.codec import DSIG_11, MAX_OF_A_KIND, NPI, NPI_OF_XSPA_2, ORGANIZATION
from tests.support.assertions import good_assertion
from tests.support.certificates import make_certificate
from tests.support.judges import standards

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
GOOD = good_assertion(NOW)
WHOLE = replace(
    GOOD,
    subject=Subject(name_id="dr&bob", format="urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified", alias='b"ob'),
    conditions=replace(GOOD.conditions, audiences=(("a", "b"), ("c",)), one_time_use=True),
    organization_ids=("urn:oid:1.2.3", "https://lakeside.example"),
    organizations=("Lakeside <Hospital>", "Valley"),
    provider_ids=(ProviderId(root="1.2.9", extension="77"), ProviderId(root="1.2.8")),
    roles=(*GOOD.roles, Code(value="physician", system="1.2.7")),
    purposes=(*GOOD.purposes, Code(value="ETREAT", system="2.16.840.1.113883.5.8")),
    patient="V123^^^&1.2.3&ISO",
    consents=("urn:oid:1.2.3.4",),
    policies=("urn:oid:1.2.3.5", "urn:oid:1.2.3.6"),
)


@pytest.mark.parametrize("assertion", [GOOD, WHOLE], ids=["short", "whole"])
def test_an_assertion_reads_as_it_was_written(assertion: Assertion) -> None:
    assert decode_assertion(encode_assertion(assertion)) == Decoded(assertion)


PRINTED = st.text(st.characters(exclude_categories=("Cc", "Cn", "Cs", "Zs", "Zl", "Zp")), min_size=1, max_size=40)


@given(PRINTED, PRINTED)
@settings(max_examples=100, deadline=None)
def test_whatever_a_name_is_it_stays_one_name(name: str, display: str) -> None:
    written = encode_assertion(replace(GOOD, subject=Subject(name_id=name), display_name=display))
    read = decode_assertion(written).value
    assert (read.subject.name_id, read.display_name) == (name, display)


@pytest.mark.judge_standard
def test_a_sample_of_the_field_is_read_with_what_is_odd_in_it() -> None:
    """Escaped values, the NPI of XSPA 2.0, an organisation that is no URI."""
    envelope = parse(standards("samples", "xds", "iti-39", "xcads-iti39-with-xua-saml.xml").read_bytes())
    (assertion,) = envelope.iter("{urn:oasis:names:tc:SAML:2.0:assertion}Assertion")
    read = decode_assertion(etree.tostring(assertion, with_tail=False))
    value = read.value
    assert value.issuer == "sikkerhet.helsenorge.no"
    assert value.subject.name_id == value.npi == "27888498775"
    assert value.organization_ids == ("994598759",)
    assert value.home_community_id == Oid("2.16.578.1.12.4.1.7.1.1")
    assert [(code.value, code.system, code.display) for code in value.purposes] == [
        ("13", "1.0.14265.1", "Subject of care uses")
    ]
    assert value.provider_ids == (ProviderId(root="2.16.578.1.12.4.1.4.1", extension="27888498775"),)
    assert value.patient == "21821999925^^^&2.16.578.1.12.4.1.4.1&ISO"
    assert value.policies == ("urn:oid:2.16.578.1.12.4.1.7.2.1.1",)
    assert value.conditions.not_on_or_after == datetime(2025, 8, 29, 10, 1, 56, 145000, UTC)
    assert {finding.rule for finding in read.findings} == {"xua-escaped-value", "xua-attribute-name"}


def changed(was: str, now_is: str) -> bytes:
    document = encode_assertion(GOOD).decode()
    assert was in document
    return document.replace(was, now_is).encode()


PURPOSE = (
    '<PurposeOfUse xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CE" code="TREAT" '
    'codeSystem="2.16.840.1.113883.5.8" displayName="treatment"/>'
)
TREAT = Code(value="TREAT", system="2.16.840.1.113883.5.8", display="treatment")


def test_a_purpose_as_plain_text_is_read_and_told() -> None:
    read = decode_assertion(changed(PURPOSE, "TREATMENT"))
    assert read.value.purposes == (Code(value="TREATMENT", system=""),)
    assert [finding.rule for finding in read.findings] == ["xua-plain-code"]


def test_a_purpose_that_was_escaped_is_read_and_told() -> None:
    read = decode_assertion(changed(PURPOSE, PURPOSE.replace("<", "&lt;")))
    assert read.value.purposes == (TREAT,)
    assert [finding.rule for finding in read.findings] == ["xua-escaped-value"]


def test_a_code_without_the_oid_of_its_system_keeps_its_name() -> None:
    read = decode_assertion(changed('codeSystem="2.16.840.1.113883.5.8"', 'codeSystemName="ActReason"'))
    assert read.value.purposes == (replace(TREAT, system="ActReason"),)
    assert [finding.rule for finding in read.findings] == ["xua-code-system"]


def test_statements_and_values_may_be_several() -> None:
    """ITI TF-2 3.40.4.1.2: several statements, attributes and values are all accepted."""
    more = "</saml2:AttributeStatement><saml2:AttributeStatement>"
    split = changed(f'<saml2:Attribute Name="{ORGANIZATION}">', f'{more}<saml2:Attribute Name="{ORGANIZATION}">')
    assert decode_assertion(split) == Decoded(GOOD)
    two = decode_assertion(changed(PURPOSE, f"{PURPOSE}</saml2:AttributeValue><saml2:AttributeValue>{PURPOSE}")).value
    assert two.purposes == (TREAT, TREAT)


def test_an_attribute_that_nobody_knows_is_passed_over() -> None:
    strange = '<saml2:Attribute Name="urn:x"><saml2:AttributeValue>1</saml2:AttributeValue></saml2:Attribute>'
    assert (
        decode_assertion(changed("</saml2:AttributeStatement>", f"{strange}</saml2:AttributeStatement>")).value == GOOD
    )


@pytest.mark.parametrize("written", ['<id code="1234567890"/>', '<id extension="1234567890"/>', "1234567890"])
def test_an_npi_may_be_a_code_an_id_or_text(written: str) -> None:
    assert decode_assertion(changed("1234567890", written)).value.npi == "1234567890"
    assert decode_assertion(changed(f'Name="{NPI}"', f'Name="{NPI_OF_XSPA_2}"')).value.npi == "1234567890"


def test_a_time_without_a_zone_is_utc() -> None:
    naive = changed('IssueInstant="2026-03-01T12:00:00.000Z"', 'IssueInstant="2026-03-01T12:00:00"')
    assert decode_assertion(naive).value.issued_at == NOW
    offset = decode_assertion(changed('"2026-03-01T12:00:00.000Z" NotOn', '"2026-03-01T13:00:00+01:00" NotOn')).value
    assert offset.conditions.not_before == NOW


REFUSED: list[tuple[str, str, str, str]] = [
    ("a time that is none", 'IssueInstant="2026-03-01T12:00:00.000Z"', 'IssueInstant="soon"', "time"),
    ("a time of week 9", 'IssueInstant="2026-03-01T12:00:00.000Z"', 'IssueInstant="2026-W09-7"', "time"),
    ("two subjects", "<saml2:Subject>", "<saml2:Subject/><saml2:Subject>", "one Subject"),
    ("no name", "saml2:NameID", "saml2:BaseID", "one NameID"),
    ("two issuers", "<saml2:Issuer>", "<saml2:Issuer>x</saml2:Issuer><saml2:Issuer>", "one Issuer"),
    ("two conditions", "<saml2:Conditions ", "<saml2:Conditions/><saml2:Conditions ", "one Conditions"),
    ("no confirmation", "saml2:SubjectConfirmation", "saml2:Other", "0 of SubjectConfirmation"),
    ("an encrypted name", "<saml2:NameID ", "<saml2:EncryptedID/><saml2:NameID ", "encrypted"),
    ("two homes", "urn:oid:1.2.4.1</saml2:AttributeValue>",
     "urn:oid:1.2.4.1</saml2:AttributeValue><saml2:AttributeValue>urn:oid:1.2.5.1</saml2:AttributeValue>", "more than one"),
    ("a home that is no OID", "urn:oid:1.2.4.1", "Lakeside", "OID"),
    ("an empty id", 'ID="_4f1a"', 'ID=""', "ID is empty"),
    ("a code without a value", 'code="TREAT"', "", "code is empty"),
    ("two codes in one value", PURPOSE, PURPOSE * 2, "more than one child"),
    ("escaped rubbish", PURPOSE, "&lt;rubbish", "well-formed"),
    ("an escaped DOCTYPE", PURPOSE, '&lt;!DOCTYPE a [&lt;!ENTITY b "c">]>&lt;a code="&amp;b;"/>', "DOCTYPE"),
    ("a name of a novel's length", ">drbob<", f">{'x' * 5000}<", "4096 characters"),
    ("a thousand purposes", f"{PURPOSE}</saml2:AttributeValue>",
     f"{PURPOSE}</saml2:AttributeValue>" + "<saml2:AttributeValue>x</saml2:AttributeValue>" * MAX_OF_A_KIND, "than 64"),
    ("another kind of document", "saml2:Assertion", "saml2:Response", "not an assertion"),
]  # fmt: skip


@pytest.mark.parametrize(("_", "was", "now_is", "said"), REFUSED, ids=[each[0] for each in REFUSED])
def test_what_cannot_be_read_is_malformed_and_tells_nothing_of_the_person(
    _: str, was: str, now_is: str, said: str
) -> None:
    with pytest.raises(MalformedMessage, match=said) as raised:
        decode_assertion(changed(was, now_is))
    assert "drbob" not in raised.value.detail


def test_a_person_does_not_print_themselves() -> None:
    for each in (WHOLE, WHOLE.subject, Decoded(WHOLE)):
        for secret in ("bob", "Müller", "V123", "1234567890"):
            assert secret not in repr(each)


def test_a_refused_assertion_is_claimed_and_not_more() -> None:
    assert claimed(encode_assertion(GOOD)) == "<drbob@https://idp.example.org>"
    assert claimed(b"<x/>") == claimed(b"") == claimed(b"<!DOCTYPE a>") == ""


# --- holder of key ----------------------------------------------------------------------------------------------------


def spki(key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def base(value: bytes) -> str:
    return base64.b64encode(value).decode()


def by_certificate(folder: Path) -> tuple[str, bytes]:
    made = make_certificate(folder, "holder")
    written = base(made.made.public_bytes(Encoding.DER))
    return f"<ds:X509Data><ds:X509Certificate>{written}</ds:X509Certificate></ds:X509Data>", spki(
        made.private.public_key()
    )


def by_modulus(folder: Path) -> tuple[str, bytes]:
    key = rsa.generate_private_key(65537, 2048).public_key()
    numbers = key.public_numbers()
    modulus, exponent = base(numbers.n.to_bytes(256)), base(numbers.e.to_bytes(3))
    return (
        f"<ds:KeyValue><ds:RSAKeyValue><ds:Modulus>{modulus}</ds:Modulus><ds:Exponent>{exponent}</ds:Exponent>"
        "</ds:RSAKeyValue></ds:KeyValue>",
        spki(key),
    )


def by_point(folder: Path) -> tuple[str, bytes]:
    key = ec.generate_private_key(ec.SECP384R1()).public_key()
    point = base(key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))
    return (
        f'<ds:KeyValue><e:ECKeyValue xmlns:e="{DSIG_11}"><e:NamedCurve URI="urn:oid:1.3.132.0.34"/>'
        f"<e:PublicKey>{point}</e:PublicKey></e:ECKeyValue></ds:KeyValue>",
        spki(key),
    )


@pytest.mark.parametrize("form", [by_certificate, by_modulus, by_point], ids=lambda form: str(form.__name__))
def test_a_holders_key_is_read_in_each_form(tmp_path: Path, form: Callable[[Path], tuple[str, bytes]]) -> None:
    written, key = form(tmp_path)
    (confirmation,) = decode_assertion(held_by(written)).value.confirmations
    assert confirmation.keys == (key,)


CURVE = f'<e:ECKeyValue xmlns:e="{DSIG_11}"><e:NamedCurve URI="urn:oid:1.3.132.0.'
BROKEN_KEYS = [
    "<ds:X509Data><ds:X509Certificate>AAAA</ds:X509Certificate></ds:X509Data>",
    "<ds:X509Data><ds:X509Certificate>not base64</ds:X509Certificate></ds:X509Data>",
    "<ds:KeyValue><ds:RSAKeyValue><ds:Modulus>AAAA</ds:Modulus></ds:RSAKeyValue></ds:KeyValue>",
    "<ds:KeyValue><ds:RSAKeyValue><ds:Modulus>AA==</ds:Modulus><ds:Exponent>AA==</ds:Exponent></ds:RSAKeyValue></ds:KeyValue>",
    f'<ds:KeyValue>{CURVE}1"/></e:ECKeyValue></ds:KeyValue>',
    f'<ds:KeyValue>{CURVE}34"/><e:PublicKey>AAAA</e:PublicKey></e:ECKeyValue></ds:KeyValue>',
    f'<e:DEREncodedKeyValue xmlns:e="{DSIG_11}">AAAA</e:DEREncodedKeyValue>',
]


def held_by(written: str) -> bytes:
    """An assertion whose holder's key is written like this."""
    assertion = replace(GOOD, confirmations=(Confirmation(method=HOLDER_OF_KEY, recipient="x"),))
    end = "</saml2:SubjectConfirmationData>"
    info = f'<ds:KeyInfo xmlns:ds="{DS}">{written}</ds:KeyInfo>'
    return encode_assertion(assertion).decode().replace(end, info + end).encode()


@pytest.mark.parametrize("written", BROKEN_KEYS)
def test_a_holders_key_that_cannot_be_read_is_malformed(written: str) -> None:
    with pytest.raises(MalformedMessage, match="a key of the assertion"):
        decode_assertion(held_by(written))


def test_a_holders_key_by_name_alone_is_no_key() -> None:
    assert decode_assertion(held_by("<ds:KeyName>holder</ds:KeyName>")).value.confirmations[0].keys == ()
