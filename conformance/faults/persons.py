"""Wrong service providers, who believe what they should not or write down somebody else; and wrong service users.

A house that overlooks something about an assertion is made of a right one by showing it a good assertion instead, wherever
that is what the request has wrong.

Source: ITI TF-2 3.40; WS-Security 1.1, 12; SAML 2.0 core 5.4.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from lxml import etree

from conformance.assertions import HMAC_SHA256, AssertionTerms, security, signature_fault, signed
from conformance.faults.edits import AnswerEdit, Fault, RequestEdit, answers
from conformance.in_flight import Outgoing
from conformance.suites.xua.provider import FORGED, good
from conformance.system import System
from profiles.wire.signature import DS
from profiles.wire.soap.names import WSA, S
from profiles.wire.soap.security import ASSERTION
from profiles.wire.xml import parse
from profiles.xua.iti40 import Assertion, Subject, decode_assertion

SUITE = "xua.provider/"
_HEADER = re.compile(rb"<s:Header>.*</s:Header>", re.DOTALL)
_OPEN = f'<s:Envelope xmlns:s="{S}" xmlns:wsa="{WSA}">'.encode()
TIMES = ("expired", "not_yet_valid")
ONE = ("forged_first", "forged_last", "two_headers", "around")
COVERS = (
    "in_the_signature", "moved_aside", "same_id", "whole_document", "two_references", "xpath", "part", "signed_twice",
)  # fmt: skip
ALL = (
    "missing", "empty", *TIMES, "wrong_audience", "no_audience", "no_authentication", "unsigned", "changed",
    "another_issuer", "another_key", "sha1", "public_key", *ONE, *COVERS, "alerted",
)  # fmt: skip

Wrong = Callable[[etree._Element, AssertionTerms], bool]
"""Whether this is what a header of a request has wrong."""


def _believing(wrong: Wrong) -> RequestEdit:
    """What has this wrong is taken for a good one."""

    def edit(outgoing: Outgoing, system: System) -> Outgoing:
        found, told = _HEADER.search(outgoing.body), system.assertion
        assert told is not None  # or the cases would have been omitted
        if found is None:
            return outgoing
        (header,) = parse(_OPEN + found[0] + b"</s:Envelope>")
        if not wrong(header, told):
            return outgoing
        bare = re.sub(rb"<(wsse:Security|x:Aside) .*</\1>", b"", found[0], flags=re.DOTALL)
        block = security(signed(good(told, subject=Subject(name_id=FORGED)), told.issuer))
        whole = outgoing.body.replace(found[0], bare.replace(b"</s:Header>", block + b"</s:Header>"), 1)
        return replace(outgoing, body=whole)

    return edit


def _assertions(header: etree._Element) -> list[etree._Element]:
    return list(header.iter(ASSERTION))


def _read(header: etree._Element) -> Assertion | None:
    found = _assertions(header)
    return decode_assertion(etree.tostring(found[0])).value if found else None


def _not_now(header: etree._Element, told: AssertionTerms) -> bool:
    said, now = _read(header), datetime.now(UTC)
    if said is None or said.conditions.not_before is None or said.conditions.not_on_or_after is None:
        return False
    return not said.conditions.not_before <= now < said.conditions.not_on_or_after


def _not_for_it(header: etree._Element, told: AssertionTerms) -> bool:
    said = _read(header)
    return said is not None and (told.audience,) not in said.conditions.audiences


def _of_nobody(header: etree._Element, told: AssertionTerms) -> bool:
    said = _read(header)
    return said is not None and said.issuer != told.issuer.entity_id


def _unauthenticated(header: etree._Element, told: AssertionTerms) -> bool:
    said = _read(header)
    return said is not None and not said.authentications


def _unsigned(header: etree._Element, told: AssertionTerms) -> bool:
    return bool(_assertions(header)) and not list(header.iter(f"{{{DS}}}Signature"))


def _several(header: etree._Element, told: AssertionTerms) -> bool:
    return len(_assertions(header)) > 1


def _weak(header: etree._Element, told: AssertionTerms) -> bool:
    used = {each.get("Algorithm", "") for each in header.iter(f"{{{DS}}}SignatureMethod")}
    return any("sha1" in each or each == HMAC_SHA256 for each in used)


def _unproved(header: etree._Element, told: AssertionTerms) -> bool:
    """The first signature does not prove what stands around it."""
    return any(signature_fault(each, told.issuer.certificate) for each in _assertions(header)[:1])


def _nothing(header: etree._Element, told: AssertionTerms) -> bool:
    return not _assertions(header)


def _anything(header: etree._Element, told: AssertionTerms) -> bool:
    found = _assertions(header)
    return not found or _several(header, told) or FORGED in "".join(found[0].itertext())


def _used_before(outgoing: Outgoing, system: System) -> Outgoing:
    """Nothing asks to be used once."""
    said = _read(parse(outgoing.body)) if b"OneTimeUse" in outgoing.body else None
    told = system.assertion
    if said is None or told is None:
        return outgoing
    open_ended = replace(said, id=f"{said.id}x", conditions=replace(said.conditions, one_time_use=False))
    block = security(signed(open_ended, told.issuer))
    return replace(
        outgoing, body=re.sub(rb"<wsse:Security .*</wsse:Security>", lambda _: block, outgoing.body, flags=re.DOTALL)
    )


def _fault(text: str, *caught_by: str, request: RequestEdit | None = None, answer: AnswerEdit | None = None) -> Fault:
    return Fault(
        text=text, transactions=("ITI-18", "RAD-69"), caught_by=tuple(SUITE + name for name in caught_by),
        request=request, answer=answer,
    )  # fmt: skip


def _audit(text: str, *caught_by: str, answer: AnswerEdit) -> Fault:
    return Fault(
        text=text, transactions=("ITI-20",), caught_by=tuple(SUITE + name for name in caught_by), answer=answer
    )


def _without_security(outgoing: Outgoing, system: System) -> Outgoing:
    block = rb"<wsse:Security .*</wsse:Security>"
    return replace(outgoing, body=re.sub(block, b"", outgoing.body, flags=re.DOTALL))


def _tampering(outgoing: Outgoing, system: System) -> Outgoing:
    """A good one cannot be verified any more."""
    return replace(outgoing, body=re.sub(rb">conform|>Robin", b">Other", outgoing.body))


USER = "xua.user/"
_SECURITY = rb"<wsse:Security .*</wsse:Security>"
OF_QUERY = (
    "one", "signed_by_issuer", "subject", "times", "audience", "authentication", "purpose", "home",
)  # fmt: skip


def _sent(transaction: str, text: str, *caught_by: str, answer: AnswerEdit) -> Fault:
    """Of what a system sends with a request of its own."""
    return Fault(
        text=text, transactions=(f"from {transaction}",), caught_by=tuple(USER + name for name in caught_by),
        answer=answer,
    )  # fmt: skip


SENT: Mapping[str, Fault] = {
    "from ITI-18/no-assertion": _sent("ITI-18", "brings no assertion", *OF_QUERY, answer=answers(_SECURITY, b"")),
    "from RAD-69/no-assertion": _sent(
        "RAD-69", "brings no assertion with a retrieval", "with_retrieval", answer=answers(_SECURITY, b"")
    ),
    "from ITI-18/two-assertions": _sent(
        "ITI-18", "brings its assertion twice", *OF_QUERY, answer=answers(b"(" + _SECURITY + b")", rb"\1\1")
    ),
    "from ITI-18/need-not-understand": _sent(
        "ITI-18", "does not mark the security header", "one",
        answer=answers(rb'(<wsse:Security [^>]*) s:mustUnderstand="1"', rb"\1"),
    ),
    "from ITI-18/unsigned": _sent(
        "ITI-18", "does not sign", "signed_by_issuer", answer=answers(rb"<ds:Signature .*</ds:Signature>", b"")
    ),
    "from ITI-18/changed": _sent(
        "ITI-18", "changes what is signed", "signed_by_issuer", answer=answers(rb"(<saml2:NameID[^>]*>)", rb"\1x")
    ),
    "from ITI-18/another-issuer": _sent(
        "ITI-18", "gives another issuer", "signed_by_issuer", answer=answers(rb"(<saml2:Issuer>)[^<]*", rb"\1nobody")
    ),
    "from ITI-18/nobody": _sent(
        "ITI-18", "names nobody", "subject", answer=answers(rb"(<saml2:NameID[^>]*>)[^<]*", rb"\1")
    ),
    "from ITI-18/vouches": _sent(
        "ITI-18", "vouches instead", "subject", answer=answers(b"cm:bearer", b"cm:sender-vouches")
    ),
    "from ITI-18/over": _sent(
        "ITI-18", "shows one that has ended", "times", answer=answers(rb' NotOnOrAfter="\d{4}', b' NotOnOrAfter="2001')
    ),
    "from ITI-18/since-long": _sent(
        "ITI-18", "says that it was valid before it was made", "times",
        answer=answers(rb' NotBefore="\d{4}', b' NotBefore="2001'),
    ),
    "from ITI-18/for-another": _sent(
        "ITI-18", "shows one that is for another", "audience",
        answer=answers(rb"(<saml2:Audience>)[^<]*", rb"\1https://nobody.example.org"),
    ),
    "from ITI-18/for-all": _sent(
        "ITI-18", "shows one that is for anybody", "audience",
        answer=answers(rb"<saml2:AudienceRestriction>.*</saml2:AudienceRestriction>", b""),
    ),
    "from ITI-18/not-authenticated": _sent(
        "ITI-18", "does not say how the person was authenticated", "authentication",
        answer=answers(rb"<saml2:AuthnStatement.*?</saml2:AuthnStatement>", b""),
    ),
    "from ITI-18/plain-purpose": _sent(
        "ITI-18", "tells the purpose as text", "purpose", answer=answers(rb"<PurposeOfUse [^>]*/>", b"TREAT")
    ),
    "from ITI-18/no-code-system": _sent(
        "ITI-18", "tells a code without its system", "purpose",
        answer=answers(rb'(<PurposeOfUse [^>]*) codeSystem="[^"]*"', rb"\1"),
    ),
    "from ITI-18/another-home": _sent(
        "ITI-18", "names another home", "home",
        answer=answers(rb'(homeCommunityId"><saml2:AttributeValue>)[^<]*', rb"\1urn:oid:1.2.3"),
    ),
    "from ITI-38/itself": _sent(
        "ITI-38", "asks in its own name", "same_person", answer=answers(rb"(<saml2:NameID[^>]*>)[^<]*", rb"\1House")
    ),
    "from ITI-38/no-role": _sent(
        "ITI-38", "does not pass on the role", "same_person", answer=answers(rb"<Role [^>]*/>", b"")
    ),
    "from ITI-38/no-person": _sent(
        "ITI-38", "does not say for whom it asks", "same_person", answer=answers(_SECURITY, b"")
    ),
}  # fmt: skip

FAULTS: Mapping[str, Fault] = {
    **SENT,
    "ITI-40/believes-all": _fault("believes whatever comes", *ALL, request=_believing(_anything)),
    "ITI-40/overlooks-times": _fault("overlooks when it is valid", *TIMES, request=_believing(_not_now)),
    "ITI-40/overlooks-audience": _fault(
        "overlooks whom it is for", "wrong_audience", "no_audience", request=_believing(_not_for_it)
    ),
    "ITI-40/overlooks-issuer": _fault("believes any issuer", "another_issuer", request=_believing(_of_nobody)),
    "ITI-40/overlooks-authentication": _fault(
        "does not ask how the person was authenticated", "no_authentication", request=_believing(_unauthenticated)
    ),
    "ITI-40/takes-unsigned": _fault("verifies only what is signed", "unsigned", request=_believing(_unsigned)),
    "ITI-40/overlooks-signature": _fault(
        "does not verify signatures", "unsigned", "changed", "another_key", *COVERS, request=_believing(_unproved)
    ),
    "ITI-40/takes-several": _fault("takes one of several assertions", *ONE, request=_believing(_several)),
    "ITI-40/any-algorithm": _fault("takes any algorithm", "sha1", "public_key", request=_believing(_weak)),
    "ITI-40/asks-for-none": _fault("lets in who shows nothing", "missing", "empty", request=_believing(_nothing)),
    "ITI-40/takes-twice": _fault("overlooks OneTimeUse", "replayed", request=_used_before),
    "ITI-40/believes-none": _fault(
        "believes no assertion", "accepted", "accepted_in_mtom", "several_statements", "reused", "audited",
        request=_tampering,
    ),
    "ITI-40/reads-none": _fault(
        "does not look for assertions", "accepted", "accepted_in_mtom", "several_statements", "reused", "replayed",
        request=_without_security,
    ),
    "ITI-40/another-fault": _fault(
        "says of all faults that they are of the sender, and no more", "missing", "expired", "unsigned", "around", "part",
        answer=answers(rb"<s:Subcode><s:Value>wsse:.*?</s:Subcode>", b""),
    ),
    "ITI-40/our-own-fault": _fault(
        "takes the fault for its own", "missing", "expired", "unsigned",
        answer=answers(rb"<s:Value>s:Sender<", b"<s:Value>s:Receiver<"),
    ),
    "ITI-40/nobody-is-named": _audit(
        "does not write down who it was", "audited", "commented", answer=answers(rb' UserName="[^"]*@[^"]*"', b"")
    ),
    "ITI-40/no-role": _audit(
        "does not write down the role", "audited", answer=answers(rb'<RoleIDCode [^>]*csd-code="112247003"[^>]*/>', b"")
    ),
    "ITI-40/no-purpose": _audit(
        "does not write down the purpose", "audited", answer=answers(rb"<PurposeOfUse [^>]*/>", b"")
    ),
    "ITI-40/cuts-names": _audit(
        "reads names up to the first comment", "commented", answer=answers(rb"&lt;robin\.[^@]*@", b"&lt;robin@")
    ),
    "ITI-40/no-alert": _audit(
        "keeps quiet about what it refused", "alerted",
        answer=lambda incoming: replace(incoming, body=b"") if b'"110113"' in incoming.body else incoming,
    ),
    "ITI-40/claims-are-people": _audit(
        "writes down as a participant who was only claimed", "alerted",
        answer=answers(rb'(<EventIdentification .*"110113".*<ActiveParticipant UserID=")[^"]*', rb"\g<1>mallory"),
    ),
}  # fmt: skip
