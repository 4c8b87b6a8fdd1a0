"""ITI-40 as a service user: what stands in the assertions that come with what the system asks.

It is made to fetch a study, as for the consumers' suites: the assertion of its query is looked at, and that of its
retrieval. Where it takes assertions too a person asks through it, and is to stay the same.

Source: ITI TF-2 3.40.4.1.2; SAML 2.0 core 2; WS-Security 1.1, 5.
"""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from lxml import etree

from conformance.assertions import SentAssertionTerms, signature_fault, signed
from conformance.case import case
from conformance.expect import expect
from conformance.simulators.soap_server import Asked
from conformance.suites.asking import TRUE, asked_for
from conformance.suites.communities import Listening, communities
from conformance.suites.xds.registry_query import a_question
from conformance.suites.xua import provider
from conformance.target import Target
from conformance.verdict import Failed, Unclaimed
from profiles.errors import MalformedMessage
from profiles.transaction import Actor
from profiles.wire.soap.names import MUST_UNDERSTAND
from profiles.wire.soap.security import ASSERTION, SAML, SECURITY
from profiles.xca.iti38 import ITI_38
from profiles.xds.iti18 import ITI_18
from profiles.xdsi.rad69 import RAD_69
from profiles.xua.iti40 import BEARER, Assertion, decode_assertion

USER = Actor.SERVICE_USER
SKEW = timedelta(seconds=60)  # both clocks are this machine's, or nearly so
PURPOSE = "urn:oasis:names:tc:xspa:1.0:subject:purposeofuse"


def terms(target: Target) -> SentAssertionTerms:
    """As whom the system sends assertions.

    Raises:
        Unclaimed: Nobody told us.
    """
    told = target.system.sent_assertion
    if told is None:
        raise Unclaimed("by which certificate its assertions are signed is not told: describe it as [sent_assertion]")
    return told


def read(element: etree._Element) -> Assertion:
    """What an assertion says.

    Raises:
        Failed: It cannot be read.
    """
    try:
        return decode_assertion(etree.tostring(element, with_tail=False)).value
    except MalformedMessage as error:
        raise Failed(f"its assertion cannot be read: {error.detail}") from error


async def of_query(target: Target) -> tuple[etree._Element, Assertion]:
    """The assertion of its query: as it came, and as it is read."""
    terms(target)
    _, asked = await asked_for(target, ITI_18)
    element = the_assertion(asked)
    return element, read(element)


def the_assertion(asked: Asked) -> etree._Element:
    """The one in the one security header.

    Raises:
        Failed: There is none, or are several.
    """
    assert asked.message is not None
    header = asked.message.header
    found = [] if header is None else header.findall(SECURITY)
    expect(len(found), "the number of security headers").equals(1)
    expect(sum(1 for _ in asked.message.body.getroottree().iter(ASSERTION)), "the number of assertions").equals(1)
    inside = found[0].find(ASSERTION)
    expect(inside is not None, "whether the assertion is a child of the security header").equals(True)
    assert inside is not None
    return inside


@case("ITI40/one-sent", transaction="ITI-40", actor=USER, title="A query brings one assertion, in one security header")
async def one(target: Target) -> None:
    """Which must be understood."""
    terms(target)
    _, asked = await asked_for(target, ITI_18)
    security = the_assertion(asked).getparent()
    assert security is not None
    expect(security.get(MUST_UNDERSTAND, "") in TRUE, "whether the security header must be understood").equals(True)


@case("ITI40/signs", transaction="ITI-40", actor=USER, title="The assertion is signed by who it says made it")
async def signed_by_issuer(target: Target) -> None:
    """The signature is over all of it, by the certificate that we were given."""
    element, said = await of_query(target)
    expect(said.issuer, "the issuer").equals(terms(target).issuer)
    expect(signature_fault(element, terms(target).certificate), "what is wrong with the signature").is_absent()


@case(
    "ITI40/subject", transaction="ITI-40", actor=USER, title="The assertion names a person, and its bearer may show it"
)
async def subject(target: Target) -> None:
    """NameID, and confirmation by bearer."""
    _, said = await of_query(target)
    expect(said.subject.name_id, "NameID").is_there()
    expect([each.method for each in said.confirmations], "the confirmation").contains(BEARER)


@case(
    "ITI40/from-to", transaction="ITI-40", actor=USER, title="The assertion says from when until when, and that is now"
)
async def times(target: Target) -> None:
    """NotBefore is when it was made."""
    _, said = await of_query(target)
    since, until, now = said.conditions.not_before, said.conditions.not_on_or_after, datetime.now(UTC)
    expect(since, "NotBefore").equals(said.issued_at)
    expect(until, "NotOnOrAfter").is_there()
    assert since is not None
    assert until is not None
    expect(since <= now + SKEW, f"whether NotBefore, {since.isoformat()}, has come").equals(True)
    expect(until > since, "whether NotOnOrAfter is later than NotBefore").equals(True)
    expect(until > now - SKEW - timedelta(seconds=target.wait_s), "whether it was valid when it came").equals(True)


@case("ITI40/for-us", transaction="ITI-40", actor=USER, title="The assertion is meant for whom it is shown to")
async def audience(target: Target) -> None:
    """Every restriction has one of the URIs that mean us."""
    _, said = await of_query(target)
    address = urlsplit(target.community.counterpart.address(ITI_18.id))
    us = {terms(target).audience} - {""} or {address.geturl(), f"{address.scheme}://{address.netloc}"}
    expect(said.conditions.audiences, "AudienceRestriction").is_there()
    for each in said.conditions.audiences:
        expect(sorted(us & set(each)), f"those of {', '.join(each)} that mean us").is_there()


@case(
    "ITI40/how", transaction="ITI-40", actor=USER, title="The assertion says how and when the person was authenticated"
)
async def authentication(target: Target) -> None:
    """AuthnContextClassRef, and an instant that has passed."""
    _, said = await of_query(target)
    expect(said.authentications, "AuthnStatement").is_there()
    for each in said.authentications:
        expect(each.context_class, "AuthnContextClassRef").is_there()
        expect(each.at <= datetime.now(UTC) + SKEW, "whether AuthnInstant has passed").equals(True)


@case("ITI40/why", transaction="ITI-40", actor=USER, title="The purpose of use is a code of a code system")
async def purpose(target: Target) -> None:
    """As an element of HL7 V3, not as text."""
    element, _ = await of_query(target)
    path = f"{{{SAML}}}AttributeStatement/{{{SAML}}}Attribute[@Name='{PURPOSE}']/{{{SAML}}}AttributeValue"
    values = element.findall(path)
    expect(values, "the purpose of use").is_there()
    for value in values:
        coded = value.find("{urn:hl7-org:v3}PurposeOfUse")
        expect(coded is not None, "whether the value is a PurposeOfUse of urn:hl7-org:v3").equals(True)
        assert coded is not None
        expect(coded.get("code"), "its code").is_there()
        expect(coded.get("codeSystem"), "its codeSystem").is_there()


@case("ITI40/home", transaction="ITI-40", actor=USER, title="The home community of who asks is told as a URN")
async def home(target: Target) -> None:
    """That of the system."""
    _, said = await of_query(target)
    expect(said.home_community_id, "homeCommunityId").equals(target.system.home_community_id)


@case("ITI40/everywhere", transaction="ITI-40", actor=USER, title="A retrieval brings an assertion too, in MTOM")
async def with_retrieval(target: Target) -> None:
    """In the root part, signed by the same."""
    told = terms(target)
    _, asked = await asked_for(target, RAD_69)
    expect(signature_fault(the_assertion(asked), told.certificate), "what is wrong with the signature").is_absent()


@case(
    "ITI40/same-person", transaction="ITI-40", actor=USER,
    title="Who asks through a gateway is the same to the community that it asks",
)  # fmt: skip
async def same_person(target: Target) -> None:
    """Subject, role and purpose, in an assertion that is signed by the gateway and meant for that community."""
    sent, taken = terms(target), provider.terms(target)
    north, _ = communities(target)
    person = provider.good(taken)
    shown = provider.Shown(tokens=(signed(person, taken.issuer),))
    listening = Listening(target)
    answer = await target.known_as(taken.tls).call(
        ITI_18, await a_question(target), at=Actor.INITIATING_GATEWAY, wrong=provider.showing(shown)
    )
    expect(answer.response, "an answer").is_there()
    element = the_assertion(listening.once(north, ITI_38))
    expect(signature_fault(element, sent.certificate), "what is wrong with the signature").is_absent()
    said = read(element)
    expect(said.subject.name_id, "NameID").equals(person.subject.name_id)
    expect([each.value for each in said.roles], "the roles").equals([each.value for each in person.roles])
    expect([each.value for each in said.purposes], "the purposes").equals([each.value for each in person.purposes])
