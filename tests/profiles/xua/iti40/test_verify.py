"""An assertion is believed only if what is read is what was signed, by whom, when, for whom. Attacks have known names.

Where a program that nobody here wrote can have an opinion of the signature, it is asked: xmlsec1.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from profiles.errors import ExchangeError, Unauthenticated
from profiles.findings import Decoded
from profiles.model.content import Content
from profiles.model.identifiers import Oid
from profiles.wire.signature import DS, ENVELOPED, EXCLUSIVE, signed
from profiles.wire.soap.envelope import EnvelopeReader, envelope_header
from profiles.wire.soap.names import WSU
from profiles.wire.soap.security import SAML, secured
from profiles.xua.iti40 import (
    BEARER,
    HOLDER_OF_KEY,
    Assertion,
    Authentication,
    Circumstances,
    Confirmation,
    Subject,
    TrustedIssuer,
    encode_assertion,
    verify,
)
from tests.support.assertions import (
    AUDIENCE,
    ISSUER,
    MTE,
    asked,
    good_assertion,
    security,
    signed_assertion,
    signed_by_xmlsec1,
    template,
    unsigned_with,
    xmlsec1_believes,
)
from tests.support.certificates import MadeCertificate, make_certificate

NOW = datetime.now(UTC).replace(microsecond=0)
WHERE = Circumstances(now=NOW, audiences=frozenset({AUDIENCE}), recipient="https://valley.example.org/soap/registry")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("xua")


@pytest.fixture(scope="module")
def idp(folder: Path) -> MadeCertificate:
    return make_certificate(folder, "idp", rsa_bits=2048)


@pytest.fixture(scope="module")
def stranger(folder: Path) -> MadeCertificate:
    return make_certificate(folder, "stranger", rsa_bits=2048)


def trusting(*made: MadeCertificate, **more: Any) -> dict[str, TrustedIssuer]:
    return {ISSUER: TrustedIssuer(entity_id=ISSUER, certificates=tuple(each.made for each in made), **more)}


class NoSink:
    """Nothing is inline in these envelopes."""

    def write(self, chunk: bytes) -> None:
        raise AssertionError

    def finish(self, media_type: str) -> Content:
        raise AssertionError


def believed(envelope: bytes, issuers: dict[str, TrustedIssuer], where: Circumstances = WHERE) -> Decoded[Assertion]:
    """From the bytes of a request to the assertion that is believed, the way the house goes."""
    reader = EnvelopeReader(1_000_000, NoSink)
    reader.feed(envelope)
    root, _ = reader.close()
    found = secured(envelope_header(root))
    assert found is not None
    return verify(found.assertion, issuers, where, expires=found.expires)


def person(envelope: bytes, issuers: dict[str, TrustedIssuer], where: Circumstances = WHERE) -> str:
    """Who is believed to ask."""
    return believed(envelope, issuers, where).value.subject.name_id


def refusal(envelope: bytes, issuers: dict[str, TrustedIssuer], where: Circumstances = WHERE) -> str:
    """The fault's code."""
    with pytest.raises(ExchangeError) as raised:
        believed(envelope, issuers, where)
    assert "drbob" not in raised.value.detail and "mallory" not in raised.value.detail
    return raised.value.code.removeprefix("wsse:")


# --- believed ---------------------------------------------------------------------------------------------------------


def test_an_assertion_that_we_made_is_believed_whole(idp: MadeCertificate) -> None:
    assert believed(asked(security(signed_assertion(idp, NOW))), trusting(idp)) == Decoded(good_assertion(NOW))


@pytest.mark.judge_program
@pytest.mark.parametrize("bits", [0, 2048])
def test_what_we_sign_xmlsec1_believes(folder: Path, bits: int) -> None:
    signer = make_certificate(folder, f"signer-{bits}", rsa_bits=bits)
    document = signed_assertion(signer, NOW)
    assert xmlsec1_believes(document, signer, folder)
    assert not xmlsec1_believes(document.replace(b"drbob", b"mallory"), signer, folder)


METHODS = [
    ("rsa-sha256", 2048), ("rsa-sha384", 2048), ("rsa-sha512", 2048), ("ecdsa-sha256", 0), ("ecdsa-sha384", 0),
    ("ecdsa-sha512", 0),
]  # fmt: skip


@pytest.mark.judge_program
@pytest.mark.parametrize(("method", "bits"), METHODS)
def test_what_xmlsec1_signs_is_believed(folder: Path, method: str, bits: int) -> None:
    signer = make_certificate(folder, f"idp-{bits}", rsa_bits=bits)
    document = unsigned_with(template(method=f"{MTE}{method}"), NOW)
    made = signed_by_xmlsec1(document, folder, "--privkey-pem", str(signer.key))
    assert believed(asked(security(made)), trusting(signer)).value == good_assertion(NOW)


@pytest.mark.judge_program
def test_prefixes_that_the_signer_wants_kept_are_kept(folder: Path, idp: MadeCertificate) -> None:
    """Issuers of the field list `xs`, because xsi:type names it inside a value."""
    inclusive = f'<ec:InclusiveNamespaces xmlns:ec="{EXCLUSIVE}" PrefixList="xs saml2"/>'
    transforms = (
        f'<ds:Transform Algorithm="{ENVELOPED}"/><ds:Transform Algorithm="{EXCLUSIVE}">{inclusive}</ds:Transform>'
    )
    document = unsigned_with(template(transforms=transforms), NOW).replace(
        b"<saml2:Assertion ", b'<saml2:Assertion xmlns:xs="http://www.w3.org/2001/XMLSchema" '
    )
    made = signed_by_xmlsec1(document, folder, "--privkey-pem", str(idp.key))
    assert believed(asked(security(made)), trusting(idp)).value == good_assertion(NOW)


def test_the_clocks_of_both_may_differ_by_a_minute(idp: MadeCertificate) -> None:
    envelope = asked(security(signed_assertion(idp, NOW)))
    for seconds in (-60, 0, 300 + 59):
        assert person(envelope, trusting(idp), replace(WHERE, now=NOW + timedelta(seconds=seconds))) == "drbob"


def test_an_issuer_that_changes_its_key_is_believed_with_either(
    idp: MadeCertificate, stranger: MadeCertificate
) -> None:
    both = trusting(stranger, idp)
    for signer in (idp, stranger):
        assert person(asked(security(signed_assertion(signer, NOW))), both) == "drbob"


def test_a_comment_does_not_cut_a_name_short(idp: MadeCertificate) -> None:
    """`drbob<!-- -->.evil` is one name for the signer, and no other for us."""
    document = signed_assertion(idp, NOW, subject=Subject(name_id="drbob.evil.example"))
    commented = document.replace(b"drbob.evil", b"drbob<!-- -->.evil")
    assert commented != document
    assert believed(asked(security(commented)), trusting(idp)).value.subject.name_id == "drbob.evil.example"


# --- wrapped ----------------------------------------------------------------------------------------------------------

FORGED = re.compile(rb"drbob")


def bare(document: bytes) -> bytes:
    """The assertion without its signature."""
    return re.sub(rb"<ds:Signature.*</ds:Signature>", b"", document, flags=re.DOTALL)


def forged(document: bytes, identifier: bytes = b"_evil") -> bytes:
    """The same assertion about another person, with another ID and no signature of its own."""
    return FORGED.sub(b"mallory", bare(document)).replace(b'ID="_4f1a"', b'ID="%b"' % identifier)


def signature_of(document: bytes) -> bytes:
    found = re.search(rb"<ds:Signature.*</ds:Signature>", document, re.DOTALL)
    assert found is not None
    return found[0]


def with_signature(document: bytes, signature: bytes) -> bytes:
    return document.replace(b"</saml2:Issuer>", b"</saml2:Issuer>" + signature, 1)


def wrapped_elsewhere_in_the_header(good: bytes) -> bytes:
    evil = with_signature(forged(good), signature_of(good))
    return asked(security(evil) + f'<x:Object xmlns:x="urn:x">{bare(good).decode()}</x:Object>')


def wrapped_in_the_body(good: bytes) -> bytes:
    evil = with_signature(forged(good), signature_of(good))
    return asked(security(evil), f'<Ask xmlns="urn:toy">{bare(good).decode()}</Ask>')


def original_in_an_object_of_the_signature(good: bytes) -> bytes:
    inner = signature_of(good).replace(b"</ds:Signature>", b"<ds:Object>" + bare(good) + b"</ds:Object></ds:Signature>")
    return asked(security(with_signature(forged(good), inner)))


def forged_contains_the_original(good: bytes) -> bytes:
    evil = forged(good).replace(b"</saml2:Issuer>", b"</saml2:Issuer><saml2:Advice>" + good + b"</saml2:Advice>", 1)
    return asked(security(evil))


def signed_first_forged_second(good: bytes) -> bytes:
    return asked(security(good + forged(good)))


def forged_first_signed_second(good: bytes) -> bytes:
    return asked(security(forged(good) + good))


def two_headers(good: bytes) -> bytes:
    return asked(security(good) + security(forged(good)))


def the_same_id_on_both(good: bytes) -> bytes:
    return asked(security(good), f'<Ask xmlns="urn:toy">{forged(good, b"_4f1a").decode()}</Ask>')


def the_same_id_on_something_else(good: bytes) -> bytes:
    return asked(security(good), '<Ask xmlns="urn:toy" Id="_4f1a">hello</Ask>')


def another_kind_of_id_inside(good: bytes) -> bytes:
    return asked(security(good.replace(b"<saml2:Subject>", b'<saml2:Subject xml:id="_4f1a">')))


def the_other_spelling_of_id(good: bytes) -> bytes:
    evil = FORGED.sub(b"mallory", good).replace(b'ID="_4f1a"', b'ID="_evil" Id="_4f1a"')
    return asked(security(evil))


def only_a_part_is_signed(good: bytes) -> bytes:
    evil = FORGED.sub(b"mallory", good).replace(b'ID="_4f1a"', b'ID="_evil"')
    return asked(security(evil.replace(b"<saml2:Subject>", b'<saml2:Subject ID="_4f1a">')))


def signed_twice(good: bytes) -> bytes:
    return asked(security(with_signature(good, signature_of(good))))


def the_signature_somewhere_below(good: bytes) -> bytes:
    moved = bare(good).replace(b"<saml2:SubjectConfirmation ", signature_of(good) + b"<saml2:SubjectConfirmation ", 1)
    return asked(security(moved))


WRAPPED: list[tuple[Callable[[bytes], bytes], str]] = [
    (wrapped_elsewhere_in_the_header, "InvalidSecurity"),
    (wrapped_in_the_body, "InvalidSecurity"),
    (original_in_an_object_of_the_signature, "InvalidSecurity"),
    (forged_contains_the_original, "InvalidSecurity"),
    (signed_first_forged_second, "InvalidSecurity"),
    (forged_first_signed_second, "InvalidSecurity"),
    (two_headers, "InvalidSecurity"),
    (the_same_id_on_both, "InvalidSecurity"),
    (the_same_id_on_something_else, "InvalidSecurity"),
    (another_kind_of_id_inside, "InvalidSecurity"),
    (the_other_spelling_of_id, "FailedCheck"),
    (only_a_part_is_signed, "FailedCheck"),
    (signed_twice, "FailedCheck"),
    (the_signature_somewhere_below, "FailedCheck"),
]


@pytest.mark.parametrize(("wrap", "code"), WRAPPED, ids=lambda value: getattr(value, "__name__", value))
def test_a_wrapped_assertion_is_refused(idp: MadeCertificate, wrap: Callable[[bytes], bytes], code: str) -> None:
    envelope = wrap(signed_assertion(idp, NOW))
    assert refusal(envelope, trusting(idp)) == code


@pytest.mark.parametrize("wrap", [each for each, _ in WRAPPED], ids=lambda each: str(each.__name__))
def test_the_verifier_alone_reads_nobody_but_the_signed_person(
    idp: MadeCertificate, wrap: Callable[[bytes], bytes]
) -> None:
    """Were the header not looked at first: whatever stands as an assertion is refused or is the signed one."""
    for match in re.finditer(rb"<saml2:Assertion .*?</saml2:Assertion>", wrap(signed_assertion(idp, NOW)), re.DOTALL):
        try:
            read = verify(match[0], trusting(idp), WHERE).value.subject.name_id
        except Unauthenticated:
            continue
        assert read == "drbob"


@pytest.mark.judge_program
def test_xmlsec1_alone_would_believe_the_signature_of_a_wrapped_assertion(folder: Path, idp: MadeCertificate) -> None:
    """That is the attack: the signature *is* good, of something that nobody reads."""
    envelope = wrapped_elsewhere_in_the_header(signed_assertion(idp, NOW))
    assert xmlsec1_believes(envelope, idp, folder)
    assert refusal(envelope, trusting(idp)) == "InvalidSecurity"


# --- signed in a way that is not accepted -----------------------------------------------------------------------------

XPATH = (
    '<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116"><ds:XPath>not(ancestor-or-self::*[local-name()'
    "='Subject'])</ds:XPath></ds:Transform>"
)
BOTH = f'<ds:Transform Algorithm="{ENVELOPED}"/><ds:Transform Algorithm="{EXCLUSIVE}"/>'
ONLY_ENVELOPED = f'<ds:Transform Algorithm="{ENVELOPED}"/>'
INCLUSIVE = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
SHA_1 = f"{DS}sha1"

UNACCEPTABLE: list[tuple[str, dict[str, str], str]] = [
    ("RSA with SHA-1", {"method": f"{DS}rsa-sha1"}, "UnsupportedAlgorithm"),
    ("a digest with SHA-1", {"digest": SHA_1}, "UnsupportedAlgorithm"),
    ("RSA with SHA-224", {"method": f"{MTE}rsa-sha224"}, "UnsupportedAlgorithm"),
    ("an XPath that leaves the subject out", {"transforms": BOTH + XPATH}, "UnsupportedAlgorithm"),
    ("an XPath before", {"transforms": XPATH + BOTH}, "UnsupportedAlgorithm"),
    ("no canonicalization", {"transforms": ONLY_ENVELOPED}, "UnsupportedAlgorithm"),
    ("comments that are signed", {"transforms": BOTH.replace("c14n#", "c14n#WithComments")}, "UnsupportedAlgorithm"),
    ("inclusive canonicalization", {"canonicalization": INCLUSIVE}, "UnsupportedAlgorithm"),
    ("the whole document by an empty URI", {"uri": ""}, "FailedCheck"),
]


@pytest.mark.judge_program
@pytest.mark.parametrize(("_", "how", "code"), UNACCEPTABLE, ids=[each[0] for each in UNACCEPTABLE])
def test_a_signature_that_xmlsec1_made_in_another_way_is_refused(
    folder: Path, idp: MadeCertificate, _: str, how: dict[str, str], code: str
) -> None:
    made = signed_by_xmlsec1(unsigned_with(template(**how), NOW), folder, "--privkey-pem", str(idp.key))
    assert xmlsec1_believes(made, idp, folder)
    assert refusal(asked(security(made)), trusting(idp)) == code


@pytest.mark.judge_program
def test_a_second_reference_is_refused(folder: Path, idp: MadeCertificate) -> None:
    second = template().partition("<ds:Reference")[2].partition("</ds:Reference>")[0]
    made = signed_by_xmlsec1(
        unsigned_with(template(more=f"<ds:Reference{second}</ds:Reference>"), NOW),
        folder,
        "--privkey-pem",
        str(idp.key),
    )
    assert refusal(asked(security(made)), trusting(idp)) == "FailedCheck"


@pytest.mark.judge_program
@pytest.mark.parametrize("method", [f"{DS}hmac-sha1", f"{MTE}hmac-sha256"])
def test_the_public_key_is_no_secret_to_sign_with(folder: Path, idp: MadeCertificate, method: str) -> None:
    """Algorithm confusion: an HMAC whose secret is the certificate or the public key, which everybody has."""
    secrets = (
        idp.certificate.read_bytes(),
        idp.made.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        idp.made.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    )
    for secret in secrets:
        (folder / "secret").write_bytes(secret)
        made = signed_by_xmlsec1(
            unsigned_with(template(method=method), NOW), folder, "--hmackey", str(folder / "secret")
        )
        assert refusal(asked(security(made)), trusting(idp)) == "UnsupportedAlgorithm"


@pytest.mark.parametrize(
    "uri", ["https://evil.example/x.xml", "file:///etc/passwd", "#xpointer(/)", "#_other", "_4f1a"]
)
def test_a_reference_that_leads_elsewhere_is_refused(idp: MadeCertificate, uri: str) -> None:
    document = signed_assertion(idp, NOW).replace(b'URI="#_4f1a"', f'URI="{uri}"'.encode())
    assert refusal(asked(security(document)), trusting(idp)) == "FailedCheck"


def test_a_key_that_comes_along_is_not_believed(idp: MadeCertificate, stranger: MadeCertificate) -> None:
    """The certificate in KeyInfo is the signer's own word."""
    document = signed_assertion(stranger, NOW)
    assert b"X509Certificate" in document
    assert refusal(asked(security(document)), trusting(idp)) == "FailedCheck"


def test_one_issuer_cannot_sign_for_another(idp: MadeCertificate, stranger: MadeCertificate) -> None:
    issuers = trusting(idp) | {"https://other": TrustedIssuer(entity_id="https://other", certificates=(stranger.made,))}
    assert person(asked(security(signed_assertion(stranger, NOW, issuer="https://other"))), issuers) == "drbob"
    assert refusal(asked(security(signed_assertion(stranger, NOW))), issuers) == "FailedCheck"


def test_a_short_key_is_not_believed_though_it_is_trusted(folder: Path) -> None:
    short = make_certificate(folder, "short", rsa_bits=1024)
    assert refusal(asked(security(signed_assertion(short, NOW))), trusting(short)) == "FailedCheck"


@pytest.mark.parametrize("days", [-400, 400])
def test_the_certificate_of_the_issuer_is_valid_now_or_not_believed(idp: MadeCertificate, days: int) -> None:
    then = NOW + timedelta(days=days)
    envelope = asked(security(signed_assertion(idp, then)))
    assert refusal(envelope, trusting(idp), replace(WHERE, now=then)) == "FailedCheck"


CHANGED = [
    (b"drbob", b"mallory"),
    (b"TREAT", b"HRESCH"),
    (b"urn:oid:1.2.4.1", b"urn:oid:1.2.9.1"),
    (AUDIENCE.encode(), b"https://valley.example.net"),
    (b"</saml2:AttributeStatement>", b"</saml2:AttributeStatement><saml2:AttributeStatement/>"),
    (b'Version="2.0"', b'Version="2.0" Extra="1"'),
    (b"<ds:DigestValue>", b"<ds:DigestValue>AA"),
    (b"<ds:SignatureValue>", b"<ds:SignatureValue>AA"),
    (b"<saml2:Subject>", b"<saml2:Subject>&#xfeff;"),
]


@pytest.mark.judge_program
@pytest.mark.parametrize(("was", "now_is"), CHANGED)
def test_what_was_changed_is_refused_by_us_and_by_xmlsec1(
    folder: Path, idp: MadeCertificate, was: bytes, now_is: bytes
) -> None:
    document = signed_assertion(idp, NOW)
    assert was in document
    changed = document.replace(was, now_is, 1)
    assert not xmlsec1_believes(changed, idp, folder)
    assert refusal(asked(security(changed)), trusting(idp)) == "FailedCheck"


def test_a_processing_instruction_is_no_hiding_place(idp: MadeCertificate) -> None:
    """It is left out of what we read; the signer signed none, so what is read is what was signed."""
    document = signed_assertion(idp, NOW).replace(b"drbob", b"dr<?x y?>bob")
    assert believed(asked(security(document)), trusting(idp)).value.subject.name_id == "drbob"


def test_an_unsigned_assertion_is_refused(idp: MadeCertificate) -> None:
    assert refusal(asked(security(encode_assertion(good_assertion(NOW)))), trusting(idp)) == "InvalidSecurityToken"


def test_an_issuer_whom_we_do_not_know_is_refused(idp: MadeCertificate) -> None:
    document = signed_assertion(idp, NOW, issuer="https://elsewhere")
    assert refusal(asked(security(document)), trusting(idp)) == "InvalidSecurityToken"
    assert refusal(asked(security(signed_assertion(idp, NOW))), {}) == "InvalidSecurityToken"


# --- signed, and not for now, not for us, not for them ----------------------------------------------------------------

HOUR = timedelta(hours=1)
AT = good_assertion(NOW).conditions


RULES: list[tuple[str, dict[str, Any], str]] = [
    ("expired", {"conditions": replace(AT, not_before=NOW - HOUR, not_on_or_after=NOW - timedelta(minutes=1))}, ""),
    ("not valid yet", {"conditions": replace(AT, not_before=NOW + timedelta(minutes=2))}, ""),
    ("issued in the future", {"issued_at": NOW + timedelta(minutes=2)}, ""),
    ("without an end", {"conditions": replace(AT, not_on_or_after=None)}, ""),
    ("without a beginning", {"conditions": replace(AT, not_before=None)}, ""),
    ("for a day", {"conditions": replace(AT, not_on_or_after=NOW + timedelta(days=1))}, ""),
    ("for another audience", {"conditions": replace(AT, audiences=(("https://region.example.org",),))}, ""),
    ("for an audience that begins like us", {"conditions": replace(AT, audiences=((f"{AUDIENCE}.evil",),))}, ""),
    ("for us and for another", {"conditions": replace(AT, audiences=((AUDIENCE,), ("https://region",)))}, ""),
    ("for nobody in particular", {"conditions": replace(AT, audiences=())}, ""),
    ("sender vouches", {"confirmations": (Confirmation(method="urn:oasis:names:tc:SAML:2.0:cm:sender-vouches"),)},
     "UnsupportedSecurityToken"),
    ("to be shown elsewhere", {"confirmations": (Confirmation(method=BEARER, recipient="https://region/soap"),)}, ""),
    ("to be shown earlier", {"confirmations": (Confirmation(method=BEARER, not_on_or_after=NOW - HOUR),)}, ""),
    ("to be shown later", {"confirmations": (Confirmation(method=BEARER, not_before=NOW + HOUR),)}, ""),
    ("nobody was authenticated", {"authentications": ()}, ""),
    ("authenticated in no way", {"authentications": (Authentication(at=NOW, context_class=""),)}, ""),
    ("authenticated tomorrow", {"authentications": (Authentication(at=NOW + 24 * HOUR, context_class="x"),)}, ""),
    ("logged out", {"authentications": (Authentication(
        at=NOW - HOUR, context_class="x", session_not_on_or_after=NOW - timedelta(minutes=2)),)}, ""),
    ("about nobody", {"subject": Subject(name_id="")}, ""),
    ("of another's key", {"confirmations": (Confirmation(method=HOLDER_OF_KEY, keys=(b"",)),)}, "InvalidSecurityToken"),
]  # fmt: skip


@pytest.mark.parametrize(("_", "changes", "code"), RULES, ids=[each[0] for each in RULES])
def test_a_signed_assertion_that_breaks_a_rule_is_refused(
    idp: MadeCertificate, _: str, changes: dict[str, Any], code: str
) -> None:
    envelope = asked(security(signed_assertion(idp, NOW, **changes)))
    assert refusal(envelope, trusting(idp)) == (code or "InvalidSecurityToken")


def test_one_audience_of_several_is_enough(idp: MadeCertificate) -> None:
    several = replace(AT, audiences=(("https://region", AUDIENCE), (AUDIENCE, "urn:oid:1.2.9")))
    assert person(asked(security(signed_assertion(idp, NOW, conditions=several))), trusting(idp)) == "drbob"


def test_one_confirmation_of_several_is_enough(idp: MadeCertificate) -> None:
    two = (Confirmation(method="urn:oasis:names:tc:SAML:2.0:cm:sender-vouches"), Confirmation(method=BEARER))
    assert person(asked(security(signed_assertion(idp, NOW, confirmations=two))), trusting(idp)) == "drbob"


def test_it_may_be_shown_at_the_address_that_was_asked(idp: MadeCertificate) -> None:
    here = (Confirmation(method=BEARER, recipient=WHERE.recipient),)
    assert person(asked(security(signed_assertion(idp, NOW, confirmations=here))), trusting(idp)) == "drbob"


def key_of(made: MadeCertificate) -> bytes:
    return made.made.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize("bits", [0, 2048])
def test_holder_of_key_is_who_shows_that_key_in_tls(
    folder: Path, idp: MadeCertificate, stranger: MadeCertificate, bits: int
) -> None:
    holder = make_certificate(folder, f"holder-{bits}", rsa_bits=bits)
    document = signed_assertion(idp, NOW, confirmations=(Confirmation(method=HOLDER_OF_KEY, keys=(key_of(holder),)),))
    envelope = asked(security(document))
    assert person(envelope, trusting(idp), replace(WHERE, holder_key=key_of(holder))) == "drbob"
    assert refusal(envelope, trusting(idp), replace(WHERE, holder_key=key_of(stranger))) == "FailedAuthentication"
    assert refusal(envelope, trusting(idp)) == "FailedAuthentication"


def test_an_issuer_speaks_for_its_own_communities(idp: MadeCertificate) -> None:
    envelope = asked(security(signed_assertion(idp, NOW)))
    assert person(envelope, trusting(idp, home_communities=frozenset({Oid("1.2.4.1")}))) == "drbob"
    elsewhere = trusting(idp, home_communities=frozenset({Oid("1.2.5.1")}))
    assert refusal(envelope, elsewhere) == "FailedAuthentication"


def test_a_message_that_has_expired_is_refused_and_says_so(idp: MadeCertificate) -> None:
    def stamped(at: datetime) -> bytes:
        stamp = f'<u:Timestamp xmlns:u="{WSU}"><u:Expires>{at.isoformat()}</u:Expires></u:Timestamp>'
        return asked(security(signed_assertion(idp, NOW), stamp))

    assert person(stamped(NOW + timedelta(seconds=1)), trusting(idp)) == "drbob"
    assert refusal(stamped(NOW - timedelta(minutes=2)), trusting(idp)) == "MessageExpired"


def test_a_condition_that_we_do_not_understand_is_refused(idp: MadeCertificate) -> None:
    document = encode_assertion(good_assertion(NOW)).replace(
        b"</saml2:Conditions>", b'<saml2:Condition xmlns:x="urn:x" x:type="x"/></saml2:Conditions>'
    )
    made = signed(document, idp.private, idp.made)
    assert refusal(asked(security(made)), trusting(idp)) == "UnsupportedSecurityToken"


def test_saml_1_1_and_2_1_are_not_spoken(idp: MadeCertificate) -> None:
    document = encode_assertion(good_assertion(NOW)).replace(b'Version="2.0"', b'Version="2.1"')
    made = signed(document, idp.private, idp.made)
    assert refusal(asked(security(made)), trusting(idp)) == "UnsupportedSecurityToken"


def test_a_doctype_is_refused_before_anything_is_looked_at(idp: MadeCertificate) -> None:
    document = signed_assertion(idp, NOW)
    with pytest.raises(Unauthenticated):
        verify(b'<!DOCTYPE a [<!ENTITY e "drbob">]>' + document, trusting(idp), WHERE)
    assert refusal(b'<!DOCTYPE a [<!ENTITY e "x">]>' + asked(security(document)), trusting(idp)) == ""


def test_an_assertion_of_half_a_megabyte_is_refused(idp: MadeCertificate) -> None:
    document = signed_assertion(idp, NOW, organizations=("x" * 4000,) * 130)
    assert refusal(asked(security(document)), trusting(idp)) == "InvalidSecurity"


def test_whatever_is_fed_it_is_refused_with_a_fault_of_its_own(idp: MadeCertificate) -> None:
    document = signed_assertion(idp, NOW)
    for end in range(0, len(document), 41):
        with pytest.raises(Unauthenticated) as raised:
            verify(document[:end], trusting(idp), WHERE)
        assert raised.value.code.startswith("wsse:")
    assert SAML.encode() in document
