"""ITI-40 at a service provider: whom it believes, whom it refuses and with which fault, and what its audit says of them.

A person asks by ITI-18 and by RAD-69. Who is to be refused is called `FORGED`: so it can be seen where that name turns up.

Source: ITI TF-2 3.40.4.1; WS-Security 1.1, 12; SAML 2.0 core 2.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from lxml import etree

from conformance.assertions import (
    AssertionTerms,
    Issuer,
    Manner,
    PrivateKey,
    new_assertion,
    security,
    signed,
)
from conformance.case import Case, case
from conformance.expect import expect
from conformance.suites.envelope import is_fault
from conformance.suites.xds.registry_query import a_question
from conformance.suites.xdsi.source_retrieve import of
from conformance.target import Answer, Target, Wrong
from conformance.verdict import Failed, Unclaimed
from profiles.model.audit import AuditRecord, Outcome
from profiles.transaction import Actor
from profiles.wire.signature import DS, EXCLUSIVE
from profiles.wire.soap.names import WSSE
from profiles.wire.xml import parse
from profiles.xds.iti18 import ITI_18
from profiles.xdsi.rad69 import RAD_69
from profiles.xua.iti40 import Assertion, Subject, encode_assertion

PROVIDER = Actor.SERVICE_PROVIDER
FORGED = "mallory"
LATER = timedelta(days=1)
COUNTED_S = 60.0  # within which more alerts about one address may be counted and not written: nobody may fill a disk so
CODES = frozenset(
    f"{{{WSSE}}}{name}"
    for name in (
        "UnsupportedSecurityToken", "UnsupportedAlgorithm", "InvalidSecurity", "InvalidSecurityToken",
        "FailedAuthentication", "FailedCheck", "SecurityTokenUnavailable", "MessageExpired",
    )
)  # fmt: skip
SECURITY_ALERT, NODE_AUTHENTICATION = "110113", "110126"
XPATH = (
    '<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116">'
    f'<ds:XPath xmlns:ds="{DS}">not(ancestor-or-self::ds:Signature)</ds:XPath></ds:Transform>'
    f'<ds:Transform Algorithm="{EXCLUSIVE}"/>'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a request shows: `tokens` stand in the security header, `blocks` beside it."""

    tokens: tuple[bytes, ...]
    blocks: bytes = b""


Make = Callable[[AssertionTerms], Shown]


def terms(target: Target) -> AssertionTerms:
    """On which terms the system takes assertions.

    Raises:
        Unclaimed: Nobody told us.
    """
    told = target.system.assertion
    if told is None:
        raise Unclaimed("whose assertions it believes is not told: describe it as [assertion]")
    return told


def good(told: AssertionTerms, **changes: Any) -> Assertion:
    """One that it should believe, but for the changes."""
    return replace(new_assertion(told.issuer.entity_id, told.audience), **changes)


def forged(told: AssertionTerms, **changes: Any) -> Assertion:
    """The same of somebody for whom the issuer never spoke."""
    return good(told, **{"subject": Subject(name_id=FORGED), **changes})


async def query(target: Target, shown: Shown) -> Answer[Any]:
    """Ask for the documents of the known patient, as the system is told of whom."""
    request = await a_question(target)
    return await target.known_as(terms(target).tls).call(ITI_18, request, wrong=showing(shown))


def showing(shown: Shown) -> Wrong:
    """A request with this in its header."""
    block = (security(*shown.tokens) if shown.tokens else b"") + shown.blocks
    return Wrong(body=lambda body: body.replace(b"</s:Header>", block + b"</s:Header>", 1))


async def person(target: Target, **changes: Any) -> tuple[Assertion, Answer[Any]]:
    """Ask as somebody new."""
    told = terms(target)
    said = good(told, **changes)
    return said, await query(target, Shown(tokens=(signed(said, told.issuer),)))


# --- who is believed --------------------------------------------------------------------------------------------------


@case("ITI40/bearer", transaction="ITI-40", actor=PROVIDER, title="Who asks with a good assertion is answered")
async def accepted(target: Target) -> None:
    """By a query."""
    _, answer = await person(target)
    expect(answer.response, "an answer").is_there()


@case("ITI40/any-transaction", transaction="ITI-40", actor=PROVIDER, title="An assertion counts in MTOM too")
async def accepted_in_mtom(target: Target) -> None:
    """It stands in the root part; images are asked for."""
    told, study = terms(target), target.study().study
    shown = Shown(tokens=(signed(good(told), told.issuer),))
    request = of(target, study, study.instances[:1])
    answer = await target.known_as(told.tls).call(RAD_69, request, wrong=showing(shown))
    expect([each.sop_instance_uid for each in answer.received], "what came").equals(
        [str(study.instances[0].sop_instance_uid)]
    )


@case(
    "ITI40/statements",
    transaction="ITI-40",
    actor=PROVIDER,
    title="Several statements, and attributes that nobody knows, are taken",
)
async def several_statements(target: Target) -> None:
    """One attribute in a statement of its own, and one of nobody."""
    told = terms(target)
    more = (
        b"<saml2:AttributeStatement>"
        b'<saml2:Attribute Name="urn:oasis:names:tc:xspa:1.0:subject:npi"><saml2:AttributeValue>1234567893'
        b'</saml2:AttributeValue></saml2:Attribute><saml2:Attribute Name="urn:example:of-nobody"><saml2:AttributeValue>x'
        b"</saml2:AttributeValue></saml2:Attribute></saml2:AttributeStatement></saml2:Assertion>"
    )
    document = encode_assertion(good(told)).replace(b"</saml2:Assertion>", more)
    answer = await query(target, Shown(tokens=(signed(document, told.issuer),)))
    expect(answer.response, "an answer").is_there()


@case("ITI40/reuse", transaction="ITI-40", actor=PROVIDER, title="One assertion is good for several requests")
async def reused(target: Target) -> None:
    """Until it ends."""
    told = terms(target)
    shown = Shown(tokens=(signed(good(told), told.issuer),))
    for _ in range(2):
        expect((await query(target, shown)).response, "an answer").is_there()


# --- who is refused ---------------------------------------------------------------------------------------------------


def is_refused(answer: Answer[Any], *codes: str) -> None:
    """A fault of the sender with a code of WS-Security (one of these)."""
    is_fault(answer, "Sender")
    assert answer.fault is not None
    expect(answer.http_status, "the HTTP status").equals(400)
    names = [f"{{{WSSE}}}{code}" for code in codes] or sorted(CODES)
    expect(answer.fault.codes[1] if len(answer.fault.codes) > 1 else "", "the fault's subcode").is_one_of(*names)


@case(
    "ITI40/required", transaction="ITI-40", actor=PROVIDER, title="Who must show an assertion and does not is refused"
)
async def missing(target: Target) -> None:
    """Where the system asks for one."""
    if not terms(target).required:
        raise Unclaimed("it does not say that it refuses who comes without: tell it as `required` of [assertion]")
    is_refused(await query(target, Shown(tokens=())), "InvalidSecurity", "SecurityTokenUnavailable")


@case("ITI40/required", transaction="ITI-40", actor=PROVIDER, title="A security header without an assertion is refused")
async def empty(target: Target) -> None:
    """It must be understood, and says nothing."""
    terms(target)
    is_refused(await query(target, Shown(tokens=(), blocks=security())))


@case(
    "ITI40/one-time",
    transaction="ITI-40",
    actor=PROVIDER,
    title="An assertion that is good for one request is refused the second time",
)
async def replayed(target: Target) -> None:
    """OneTimeUse."""
    told = terms(target)
    if not told.one_time_use:
        raise Unclaimed("it may overlook OneTimeUse: tell `one_time_use` of [assertion] where it does not")
    said = good(told)
    said = replace(said, conditions=replace(said.conditions, one_time_use=True))
    shown = Shown(tokens=(signed(said, told.issuer),))
    expect((await query(target, shown)).response, "an answer").is_there()
    is_refused(await query(target, shown))


def _moved(told: AssertionTerms, by: timedelta) -> Shown:
    said = forged(told)
    since, until = said.conditions.not_before, said.conditions.not_on_or_after
    assert since is not None
    assert until is not None
    at = said.issued_at + by
    moved = replace(
        said, issued_at=at, conditions=replace(said.conditions, not_before=since + by, not_on_or_after=until + by),
        authentications=(replace(said.authentications[0], at=min(at, said.issued_at)),),
    )  # fmt: skip
    return Shown(tokens=(signed(moved, told.issuer),))


def _expired(told: AssertionTerms) -> Shown:
    return _moved(told, -LATER)


def _not_yet(told: AssertionTerms) -> Shown:
    return _moved(told, LATER)


def _for_another(told: AssertionTerms) -> Shown:
    said = forged(told)
    said = replace(said, conditions=replace(said.conditions, audiences=(("https://nobody.example.org",),)))
    return Shown(tokens=(signed(said, told.issuer),))


def _for_nobody(told: AssertionTerms) -> Shown:
    said = forged(told)
    return Shown(tokens=(signed(replace(said, conditions=replace(said.conditions, audiences=())), told.issuer),))


def _unproved(told: AssertionTerms) -> Shown:
    return Shown(tokens=(signed(forged(told, authentications=()), told.issuer),))


def _unsigned(told: AssertionTerms) -> Shown:
    return Shown(tokens=(encode_assertion(forged(told)),))


def _changed(told: AssertionTerms) -> Shown:
    document = signed(forged(told, subject=Subject(name_id="alice")), told.issuer)
    return Shown(tokens=(document.replace(b">alice<", f">{FORGED}<".encode()),))


def _of_another_issuer(told: AssertionTerms) -> Shown:
    return Shown(tokens=(signed(forged(told, issuer="https://nobody.example.org"), told.issuer),))


def _by_another_key(told: AssertionTerms) -> Shown:
    return Shown(tokens=(signed(forged(told), replace(told.issuer, key=_new_key(told.issuer))),))


def _new_key(issuer: Issuer) -> PrivateKey:
    if isinstance(issuer.key, rsa.RSAPrivateKey):
        return rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    return ec.generate_private_key(issuer.key.curve)


def _weak(told: AssertionTerms) -> Shown:
    return Shown(tokens=(signed(forged(told), told.issuer, Manner(weak=True)),))


def _by_public_key(told: AssertionTerms) -> Shown:
    public = told.issuer.certificate.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return Shown(tokens=(signed(forged(told), told.issuer, Manner(secret=public)),))


REFUSED: tuple[tuple[str, str, str, Make], ...] = (
    ("expired", "ITI40/times", "An assertion that has expired is refused", _expired),
    ("not_yet_valid", "ITI40/times", "An assertion that is not valid yet is refused", _not_yet),
    ("wrong_audience", "ITI40/audience", "An assertion that is meant for another is refused", _for_another),
    ("no_audience", "ITI40/audience", "An assertion that is meant for nobody in particular is refused", _for_nobody),
    ("no_authentication", "ITI40/authentication", "An assertion without an authentication is refused", _unproved),
    ("unsigned", "ITI40/signed", "An assertion that is not signed is refused", _unsigned),
    ("changed", "ITI40/signed", "An assertion that was changed after it was signed is refused", _changed),
    ("another_issuer", "ITI40/issuer", "An assertion of an issuer whom nobody knows is refused", _of_another_issuer),
    ("another_key", "ITI40/issuer", "An assertion in the issuer's name by another key is refused", _by_another_key),
    ("sha1", "ITI40/algorithms", "A signature by SHA-1 is refused", _weak),
    ("public_key", "ITI40/algorithms", "A signature whose secret is the issuer's public key is refused", _by_public_key),
)  # fmt: skip


# --- signatures that are good, around something that is not -----------------------------------------------------------


def _pair(told: AssertionTerms) -> tuple[bytes, bytes]:
    """An assertion that was signed, and one that was not."""
    return signed(good(told), told.issuer), encode_assertion(forged(told))


def _first_counts(told: AssertionTerms) -> Shown:
    good_one, other = _pair(told)
    return Shown(tokens=(other, good_one))


def _last_counts(told: AssertionTerms) -> Shown:
    return Shown(tokens=_pair(told))


def _two_headers(told: AssertionTerms) -> Shown:
    good_one, other = _pair(told)
    return Shown(tokens=(good_one,), blocks=security(other))


def _around(told: AssertionTerms) -> Shown:
    good_one, other = _pair(told)
    advice = b"<saml2:Advice>" + good_one + b"</saml2:Advice>"
    return Shown(tokens=(other.replace(b"</saml2:Conditions>", b"</saml2:Conditions>" + advice, 1),))


def _taken_apart(told: AssertionTerms, *, same_id: bool = False) -> tuple[etree._Element, etree._Element]:
    """What was signed, without its signature; and something else that has this signature."""
    original = parse(signed(good(told), told.issuer))
    signature = original[1]
    original.remove(signature)
    said = forged(told, id=original.get("ID", "")) if same_id else forged(told)
    other = parse(encode_assertion(said))
    other.insert(1, signature)
    return original, other


def _in_signature(told: AssertionTerms) -> Shown:
    original, other = _taken_apart(told)
    etree.SubElement(other[1], f"{{{DS}}}Object").append(original)
    return Shown(tokens=(etree.tostring(other),))


def _moved_aside(told: AssertionTerms) -> Shown:
    original, other = _taken_apart(told)
    block = b'<x:Aside xmlns:x="urn:example:aside">' + etree.tostring(original) + b"</x:Aside>"
    return Shown(tokens=(etree.tostring(other),), blocks=block)


def _same_id(told: AssertionTerms) -> Shown:
    original, other = _taken_apart(told, same_id=True)
    block = b'<x:Aside xmlns:x="urn:example:aside">' + etree.tostring(original) + b"</x:Aside>"
    return Shown(tokens=(etree.tostring(other),), blocks=block)


def _of_the_document(told: AssertionTerms) -> Shown:
    return Shown(tokens=(signed(forged(told), told.issuer, Manner(uri="")),))


def _two_references(told: AssertionTerms) -> Shown:
    return Shown(tokens=(signed(forged(told), told.issuer, Manner(references=2)),))


def _by_xpath(told: AssertionTerms) -> Shown:
    return Shown(tokens=(signed(forged(told), told.issuer, Manner(transforms=XPATH)),))


def _of_a_part(told: AssertionTerms) -> Shown:
    document = encode_assertion(forged(told)).replace(
        b"<saml2:AttributeStatement>", b'<saml2:AttributeStatement ID="_part">', 1
    )
    return Shown(tokens=(signed(document, told.issuer, Manner(part="AttributeStatement")),))


def _twice(told: AssertionTerms) -> Shown:
    return Shown(tokens=(signed(signed(forged(told), told.issuer), told.issuer),))


WRAPPED: tuple[tuple[str, str, str, Make], ...] = (
    ("forged_first", "ITI40/one", "A forged assertion before a good one is refused", _first_counts),
    ("forged_last", "ITI40/one", "A forged assertion behind a good one is refused", _last_counts),
    ("two_headers", "ITI40/one", "Two security headers are refused", _two_headers),
    ("around", "ITI40/one", "A forged assertion around a good one is refused", _around),
    ("in_the_signature", "ITI40/covers", "What was signed, moved into another's signature, is refused", _in_signature),
    ("moved_aside", "ITI40/covers", "What was signed, moved to another header, is refused", _moved_aside),
    ("same_id", "ITI40/covers", "Something else by the ID of what was signed is refused", _same_id),
    ("whole_document", "ITI40/covers", "A signature over a document without a name is refused", _of_the_document),
    ("two_references", "ITI40/covers", "A signature over two things is refused", _two_references),
    ("xpath", "ITI40/covers", "A signature that chooses by XPath what it covers is refused", _by_xpath),
    ("part", "ITI40/covers", "A signature over a part is refused", _of_a_part),
    ("signed_twice", "ITI40/covers", "Two signatures are refused", _twice),
)  # fmt: skip


def _refusal(name: str, requirement: str, title: str, make: Make) -> Case:
    async def refused(target: Target) -> None:
        is_refused(await query(target, make(terms(target))))

    refused.__name__ = name
    return case(requirement, transaction="ITI-40", actor=PROVIDER, title=title, suite=__name__)(refused)


REFUSALS = tuple(_refusal(*each) for each in (*REFUSED, *WRAPPED))


# --- what is written down ---------------------------------------------------------------------------------------------


@case("ITI40/audit", transaction="ITI-40", actor=PROVIDER, title="The audit of what was asked names the person")
async def audited(target: Target) -> None:
    """As `alias<user@issuer>`, with role and purpose."""
    said, answer = await person(target)
    expect(answer.response, "an answer").is_there()
    record = await _of_person(target, said)
    user = next(each for each in record.participants if said.subject.name_id in each.user_name)
    expect(user.user_name, "UserName").equals(f"{said.subject.alias}<{said.subject.name_id}@{said.issuer}>")
    expect(user.user_id, "UserID").equals(said.subject.name_id)
    expect([each.code for each in user.roles], "RoleIDCode").contains(said.roles[0].value)
    expect([each.code for each in record.purposes], "PurposeOfUse").contains(said.purposes[0].value)


@case("ITI40/name", transaction="ITI-40", actor=PROVIDER, title="A comment does not cut a name short")
async def commented(target: Target) -> None:
    """Refused, or the whole name is written down."""
    told = terms(target)
    said = good(told, subject=Subject(name_id="robin"))
    whole = f"robin.{said.id}"
    document = encode_assertion(said).replace(b">robin<", f">robin<!-- -->.{said.id}<".encode())
    answer = await query(target, Shown(tokens=(signed(document, told.issuer),)))
    if answer.fault is not None:
        is_refused(answer)
        return
    message = await target.audited("the query", lambda record: _asked_by(record, f"@{said.issuer}>"))
    assert message.record is not None
    names = [each.user_name for each in message.record.participants]
    expect(names, "the names").contains(f"<{whole}@{said.issuer}>")


@case("ITI40/alert", transaction="ITI-40", actor=PROVIDER, title="An assertion that is refused is a Security Alert")
async def alerted(target: Target) -> None:
    """Whom it claimed to be about took no part in it."""
    record = await _alert(target)
    expect(record.outcome, "EventOutcomeIndicator").differs_from(Outcome.SUCCESS)
    names = [f"{each.user_id} {each.user_name}" for each in record.participants]
    expect([each for each in names if FORGED in each], "participants who were only claimed").is_absent()


async def _alert(target: Target) -> AuditRecord:
    """The alert of an assertion that this case shows; again a minute later, for systems that count alerts and write few."""

    def wanted(record: AuditRecord) -> bool:
        return record.event.code == SECURITY_ALERT and NODE_AUTHENTICATION in [each.code for each in record.types]

    is_refused(await query(target, _changed(terms(target))))
    try:
        message = await target.audited("the refusal", wanted)
    except Failed:
        await asyncio.sleep(COUNTED_S)
        is_refused(await query(target, _changed(terms(target))))
        message = await target.audited("the refusal", wanted)
    assert message.record is not None
    return message.record


async def _of_person(target: Target, said: Assertion) -> AuditRecord:
    message = await target.audited("the query", lambda record: _asked_by(record, said.subject.name_id))
    assert message.record is not None
    return message.record


def _asked_by(record: AuditRecord, name: str) -> bool:
    return ITI_18.id in [each.code for each in record.types] and any(
        name in each.user_name for each in record.participants
    )
