"""Wrong initiating gateways: whom they ask for what, and what they make of the answers.

The system's requests are changed on their way to the communities, and its answers on their way to its own people.

Source: ITI TF-2 3.38, 3.39, 3.55, 3.80; RAD TF-2 4.75.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from conformance.faults.asking import addressing
from conformance.faults.documents import ERROR_LIST
from conformance.faults.edits import FAILURE, PARTIAL, SUCCESS, Fault, answers, inline, last_byte_changed, requests
from conformance.in_flight import Incoming
from conformance.system import Foreign
from profiles.model.identifiers import PatientIdentifier
from profiles.model.patient import Patient, PersonName
from profiles.transaction import Actor, SoapTransaction
from profiles.xca.iti38 import ITI_38
from profiles.xca.iti39 import ITI_39
from profiles.xcai.rad75 import RAD_75
from profiles.xcdr.iti80 import ITI_80
from profiles.xcpd.iti55 import ITI_55, Candidate, CandidatesResponse, DiscoveryResponse

DISCOVERY, PROVIDE = "xcpd.initiating_gateway/", "xcdr.initiating_gateway/"
QUERY, FETCH, IMAGES = "xca.initiating_query/", "xca.initiating_retrieve/", "xcai.initiating_gateway/"
NORTH, SOUTH = (Foreign(name=name, port=1).home_community_id.urn.encode() for name in ("North", "South"))
_NORTH, _FOREIGN = re.escape(NORTH), b"(?:%b|%b)" % (re.escape(NORTH), re.escape(SOUTH))
_COMPLAINS = ("homeless", "partly", "silent", "gone", "faulty", "unexplained")
_ENTRY = rb"<rim:ExtrinsicObject (?:(?!</rim:ExtrinsicObject>).)*</rim:ExtrinsicObject>"


def _asks(transaction: str, suite: str, text: str, *caught_by: str, **edits: Any) -> Fault:
    """What reaches the communities is wrong."""
    return Fault(
        text=text, transactions=(f"from {transaction}",), caught_by=tuple(suite + name for name in caught_by), **edits
    )


def _merges(transaction: str, suite: str, text: str, *caught_by: str, **edits: Any) -> Fault:
    """What is asked is overlooked, or what is answered is something else."""
    return Fault(text=text, transactions=(transaction,), caught_by=tuple(suite + name for name in caught_by), **edits)


def _query(text: str, *caught_by: str, **edits: Any) -> Fault:
    return _asks("ITI-38", QUERY, text, *caught_by, **edits)


def _found(text: str, *caught_by: str, **edits: Any) -> Fault:
    return _merges("Initiating Gateway ITI-18", QUERY, text, *caught_by, **edits)


_STRANGERS_ERROR = (
    b'<rs:RegistryErrorList xmlns:rs="urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0"><rs:RegistryError '
    b'errorCode="XDSUnknownPatientId" codeContext="?" severity="urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:Error"'
    b"/></rs:RegistryErrorList>"
)


def _retrieval(inner: str, outer: SoapTransaction[Any, Any], suite: str) -> Mapping[str, Fault]:
    """What can be wrong with what is fetched: `inner` names what the gateway is asked, `outer` goes to communities."""

    def asks(text: str, *caught_by: str, **edits: Any) -> Fault:
        return _asks(outer.id, suite, text, *caught_by, **edits)

    def merges(text: str, *caught_by: str, **edits: Any) -> Fault:
        return _merges(inner, suite, text, *caught_by, **edits)

    complained = ("partly", "unknown_home", "silent", "gone", "faulty", "unexplained", "strangers")
    return {
        **addressing(outer, suite + "addressed"),
        f"from {outer.id}/plain": asks("asks in plain SOAP", "addressed", answer=inline),
        f"from {outer.id}/no-home": asks(
            "does not say whom it asks", "shares", "nobody_else",
            answer=answers(rb"<xds:HomeCommunityId>.*?</xds:HomeCommunityId>", b""),
        ),
        f"from {outer.id}/other-repository": asks(
            "asks another source", "shares", answer=answers(rb"(?<=<xds:RepositoryUniqueId>)[^<]*", b"1.2.3")
        ),
        f"from {outer.id}/forgets-one": asks(
            "does not ask for all", "shares", "nobody_else",
            answer=answers(rb"<xds:DocumentRequest>.*?</xds:DocumentRequest>", b"", 1),
        ),
        f"from {outer.id}/others-too": asks(
            "asks for what is another community's", "shares", "own_too", "unknown_home",
            answer=answers(rb"(?<=<xds:DocumentUniqueId>)[^<]*", b"1.2.3.4", 1),
        ),
        f"from {outer.id}/one-by-one": asks(
            "asks the second when the first has answered", "merged", "together",
            answer=answers(rb"^.*<xds:HomeCommunityId>" + re.escape(SOUTH) + rb".*$", b""),
        ),
        f"{inner}/wrong-community": merges(
            "asks another community", "nobody_else", "shares", request=requests(_NORTH, SOUTH)
        ),
        f"{inner}/any-home": merges(
            "asks somebody else where it does not know the home", "unknown_home",
            request=requests(rb"(?<=<xds:HomeCommunityId>)(?!" + _FOREIGN + rb")[^<]*", NORTH),
        ),
        f"{inner}/forgets-community": merges(
            "loses what one community handed out", "merged", "nobody_else", "partly", "together",
            answer=answers(rb"<xds:DocumentResponse><xds:HomeCommunityId>" + _NORTH + rb"<.*?</xds:DocumentResponse>", b""),
        ),
        f"{inner}/forgets-own": merges(
            "loses what is here", "own_too",
            answer=answers(
                rb"<xds:DocumentResponse><xds:HomeCommunityId>(?!" + _FOREIGN + rb"<).*?</xds:DocumentResponse>", b""
            ),
        ),
        f"{inner}/altered": merges("hands out other bytes", "merged", "nobody_else", answer=last_byte_changed),
        f"{inner}/other-ids": merges(
            "hands out under ids that nobody asked for", "merged", "strangers",
            answer=answers(rb"(?<=<xds:DocumentUniqueId>)[^<]*", b"1.2.3.4", 1),
        ),
        f"{inner}/forgets-home": merges(
            "does not say whose it is", "merged", "own_too",
            answer=answers(rb"<xds:HomeCommunityId>.*?</xds:HomeCommunityId>", b""),
        ),
        f"{inner}/bare-home": merges(
            "writes homes as OIDs", "merged", "own_too", answer=answers(rb"(?<=<xds:HomeCommunityId>)urn:oid:", b"")
        ),
        f"{inner}/takes-all-for-its-own": merges(
            "puts one home on everything", "merged", "own_too", "other_home",
            answer=answers(rb"(?<=<xds:HomeCommunityId>)[^<]*", b"urn:oid:1.2.3"),
        ),
        f"{inner}/element-order": merges(
            "writes mimeType behind Document", "element_order",
            answer=answers(rb"(<xds:mimeType>.*?</xds:mimeType>)(<xds:Document>.*?</xds:Document>)", rb"\2\1"),
        ),
        f"{inner}/partial-as-success": merges(
            "reports a partial success as success", *complained, answer=answers(PARTIAL, SUCCESS)
        ),
        f"{inner}/partial-as-failure": merges(
            "reports a partial success as failure", *complained, answer=answers(PARTIAL, FAILURE)
        ),
        f"{inner}/failure-as-success": merges(
            "reports a failure as success", "nothing", answer=answers(FAILURE, SUCCESS)
        ),
        f"{inner}/no-errors": merges(
            "says nothing of what went wrong", *complained, "nothing", answer=answers(ERROR_LIST, b"")
        ),
        f"{inner}/no-location": merges(
            "does not say where it went wrong", *complained, "nothing", answer=answers(rb'(?<= location=")[^"]*', b"")
        ),
    }  # fmt: skip


def _discovery(text: str, *caught_by: str, **edits: Any) -> Fault:
    return _asks("ITI-55", DISCOVERY, text, *caught_by, **edits)


def _believes(text: str, *caught_by: str, **edits: Any) -> Fault:
    """What South says is taken for something else."""
    return _merges("to ITI-55", DISCOVERY, text, *caught_by, **edits)


def _as_nobody(incoming: Incoming) -> Incoming:
    """An error is said as if nobody were known."""
    body = incoming.body.replace(b'typeCode code="AE"', b'typeCode code="AA"')
    return replace(incoming, body=body.replace(b'queryResponseCode code="AE"', b'queryResponseCode code="NF"'))


def _as_somebody(incoming: Incoming) -> Incoming:
    """Where nobody is known, somebody is told."""
    home = Foreign(name="South", port=1).home_community_id
    patient = Patient(identifiers=(PatientIdentifier(value="SOUTH0", authority=home),), name=PersonName())
    response = CandidatesResponse(candidates=(Candidate(patient=patient, home=home),))
    written = b"".join(ITI_55.encode_response(DiscoveryResponse(answer=response)).body)
    subject = re.findall(rb"<subject .*</subject>", written, re.DOTALL)[0]
    body = incoming.body.replace(b'queryResponseCode code="NF"', b'queryResponseCode code="OK"')
    return replace(incoming, body=body.replace(b"<queryAck>", subject + b"<queryAck>"))


# As a gateway hears it that remembers what nobody lets it remember.
_HEADER = b'<s:Header><x:CorrelationTimeToLive xmlns:x="urn:ihe:iti:xcpd:2009">P1D</x:CorrelationTimeToLive>'


def _forwards(text: str, *caught_by: str, **edits: Any) -> Fault:
    return _asks("ITI-80", PROVIDE, text, *caught_by, **edits)


def _submitted(text: str, *caught_by: str, **edits: Any) -> Fault:
    return _merges(f"{Actor.INITIATING_GATEWAY} ITI-41", PROVIDE, text, *caught_by, **edits)


_ANY_HOME = rb"(?<=urn:oid:)2\.25\.\d{20,}"  # one that nobody has
_TOLD = ("refused", "gone", "unknown_home")

FAULTS: Mapping[str, Fault] = {
    # --- ITI-80 ---
    **addressing(ITI_80, PROVIDE + "addressed"),
    "from ITI-80/plain": _forwards("submits in plain SOAP", "addressed", answer=inline),
    "from ITI-80/no-home": _forwards(
        "does not say whom the submission is for", "home_named",
        answer=answers(
            rb"<xdr:homeCommunityBlock.*?</xdr:homeCommunityBlock>|<rim:Slot name=\"homeCommunityId\">.*?</rim:Slot>"
            rb'| home="[^"]*"',
            b"",
        ),
    ),
    "from ITI-80/other-home": _forwards("says another community", "home_named", answer=answers(_NORTH, SOUTH)),
    "from ITI-80/altered": _forwards("submits other bytes", "whole", answer=last_byte_changed),
    "from ITI-80/forgets-document": _forwards(
        "leaves a document out", "whole", answer=answers(rb"<xds:Document .*?</xds:Document>", b"", 1)
    ),
    "from ITI-80/forgets-entry": _forwards("leaves an entry out", "whole", answer=answers(_ENTRY, b"", 1)),
    "from ITI-80/retitled": _forwards(
        "changes what is said of a document", "whole", answer=answers(rb'value="A text"', b'value="Another"', 1)
    ),
    "from ITI-80/other-set": _forwards(
        "makes a submission set of its own", "whole",
        answer=answers(rb'value="[^"]*"(?=[^>]*96fdda7c-d067-4183-912e-bf5ee74998a8)', b'value="1.2.3"'),
    ),
    f"{Actor.INITIATING_GATEWAY} ITI-41/wrong-community": _submitted(
        "passes it on to another community", "whole", "home_named", request=requests(_NORTH, SOUTH)
    ),
    f"{Actor.INITIATING_GATEWAY} ITI-41/any-home": _submitted(
        "passes on to somebody else what is for nobody", "unknown_home",
        request=requests(_ANY_HOME, NORTH.removeprefix(b"urn:oid:")),
    ),
    f"{Actor.INITIATING_GATEWAY} ITI-41/sends-all-away": _submitted(
        "passes on what is for itself", "own_home",
        request=requests(rb"urn:oid:2\.25\.71190522\.(?!1[12]\.1\b)[\d.]+", NORTH),
    ),
    f"{Actor.INITIATING_GATEWAY} ITI-41/keeps-all": _submitted(
        "keeps what is for another community", "whole", "refused",
        request=requests(
            rb"<xdr:homeCommunityBlock.*?</xdr:homeCommunityBlock>|<rim:Slot name=\"homeCommunityId\">.*?</rim:Slot>", b""
        ),
    ),
    f"{Actor.INITIATING_GATEWAY} ITI-41/failure-as-success": _submitted(
        "reports a failure as success", *_TOLD, answer=answers(FAILURE, SUCCESS)
    ),
    f"{Actor.INITIATING_GATEWAY} ITI-41/partial": _submitted(
        "reports a partial success, which a submission has not", *_TOLD, answer=answers(FAILURE, PARTIAL)
    ),
    f"{Actor.INITIATING_GATEWAY} ITI-41/another-code": _submitted(
        "gives codes of its own", *_TOLD, "queued",
        answer=answers(rb'(?<=errorCode=")[^"]*', b"XDSRepositoryError"),
    ),
    f"{Actor.INITIATING_GATEWAY} ITI-41/no-errors": _submitted(
        "says nothing of errors and warnings", *_TOLD, "queued", answer=answers(ERROR_LIST, b"")
    ),
    f"{Actor.INITIATING_GATEWAY} ITI-41/no-location": _submitted(
        "does not say who could not be reached", "gone", answer=answers(rb'(?<= location=")[^"]*', b"")
    ),
    f"{Actor.INITIATING_GATEWAY} ITI-41/warning-as-error": _submitted(
        "makes errors of warnings", "queued", answer=answers(rb"ErrorSeverityType:Warning", b"ErrorSeverityType:Error")
    ),
    # --- ITI-55 ---
    **addressing(ITI_55, DISCOVERY + "addressed"),
    "from ITI-55/no-home": _discovery(
        "does not say which community asks", "home_named", answer=answers(rb"<asAgent .*?</asAgent>", b"")
    ),
    "from ITI-55/urn-home": _discovery(
        "writes its home as a URN", "home_named",
        answer=answers(rb'(?<=<representedOrganization classCode="ORG" determinerCode="INSTANCE"><id root=")', b"urn:oid:"),
    ),
    "from ITI-55/too-little": _discovery(
        "tells a name and no more", "tells_enough",
        answer=answers(rb"<livingSubject(BirthTime|Id)>.*?</livingSubject\1>", b""),
    ),
    "from ITI-55/search": _discovery(
        "asks for whose name begins so", "tells_enough",
        answer=answers(rb'(<livingSubjectName><value xsi:type="PN")', rb'\1 use="SRCH"'),
    ),
    "from ITI-55/order": _discovery(
        "writes the id before the birth time", "written",
        answer=answers(
            rb"(<livingSubjectBirthTime>.*?</livingSubjectBirthTime>)(<livingSubjectId>.*?</livingSubjectId>)", rb"\2\1"
        ),
    ),
    "from ITI-55/interaction": _discovery(
        "calls its question another interaction", "written",
        answer=answers(rb'(<interactionId [^>]*)PRPA_IN201305UV02', rb"\1PRPA_IN201301UV02"),
    ),
    "from ITI-55/no-acknowledgement": _discovery(
        "wants no acknowledgement", "written", answer=answers(rb'acceptAckCode code="AL"', b'acceptAckCode code="NE"')
    ),
    "from ITI-55/other-semantics": _discovery(
        "calls a parameter something else", "written", answer=answers(rb"LivingSubject\.birthTime", b"birthTime")
    ),
    "from ITI-55/other-reverse": _discovery(
        "may be asked back by an id that it does not tell", "reverse",
        answer=answers(rb'(<assignedDevice classCode="ASSIGNED"><id root=")[^"]*', rb"\g<1>1.2.3"),
    ),
    "to ITI-55/another-id": _believes(
        "asks by another id than it was told", "told_id", answer=answers(rb'extension="SOUTH', b'extension="OTHER')
    ),
    "to ITI-55/nobody-for-somebody": _believes(
        "asks for the patient of a community that knows nobody", "no_match",
        answer=_as_somebody,
    ),
    "to ITI-55/remembers": _believes(
        "remembers what it may not", "not_remembered", answer=answers(rb"<s:Header>", _HEADER)
    ),
    "to ITI-55/error-for-nobody": _believes("takes an error for nobody", "error_told", answer=_as_nobody),
    **_retrieval(f"{Actor.INITIATING_GATEWAY} ITI-43", ITI_39, FETCH),
    **_retrieval(f"{Actor.INITIATING_IMAGING_GATEWAY} RAD-69", RAD_75, IMAGES),
    "from RAD-75/other-series": _asks(
        "RAD-75", IMAGES, "asks in another series", "shares",
        answer=answers(rb'(?<=<iherad:SeriesRequest seriesInstanceUID=")[^"]*', b"1.2.3", 1),
    ),
    "from RAD-75/syntaxes-of-its-own": _asks(
        "RAD-75", IMAGES, "does not pass on all transfer syntaxes", "syntaxes",
        answer=answers(rb"<iherad:TransferSyntaxUID>.*?</iherad:TransferSyntaxUID>", b"", 1),
    ),
    # --- ITI-38 ---
    **addressing(ITI_38, QUERY + "addressed"),
    "from ITI-38/other-patient": _query(
        "asks for another patient", "patient", answer=answers(rb"'(?:C\d+|SOUTH\w+)\^\^\^", b"'X1^^^")
    ),
    "from ITI-38/one-by-one": _query(
        "asks the second when the first has answered", "everybody", "together", answer=answers(rb"^.*SOUTH\w+.*$", b"")
    ),
    "from ITI-38/drops-parameter": _query(
        "leaves a parameter out", "parameters",
        answer=answers(rb'<rim:Slot name="\$XDSDocumentEntryFormatCode">.*?</rim:Slot>', b""),
    ),
    "from ITI-38/entries-always": _query(
        "always asks for whole entries", "parameters", answer=answers(rb'returnType="ObjectRef"', b'returnType="LeafClass"')
    ),
    "from ITI-38/no-home": _query(
        "does not pass the home on", "home_passed_on", answer=answers(rb' home="[^"]*"', b"")
    ),
    "Initiating Gateway ITI-18/asks-all": _found(
        "asks everybody whatever home is named", "named", "own_home", request=requests(rb' home="[^"]*"', b"")
    ),
    "Initiating Gateway ITI-18/home-for-granted": _found(
        "guesses a home where none is named", "missing_home",
        request=requests(rb"(?<=<rim:AdhocQuery )(?!home=)(?![^>]* home=)", b'home="' + NORTH + b'" '),
    ),
    "Initiating Gateway ITI-18/any-home": _found(
        "asks somebody else where it does not know the home", "unknown_home",
        request=requests(rb'(?<=home=")urn:oid:[^"]*', NORTH),
    ),
    "Initiating Gateway ITI-18/forgets-community": _found(
        "loses what one community told", "everybody", "named", "home_on_objects", "home_passed_on",
        answer=answers(rb'<rim:ExtrinsicObject (?=[^>]* home="' + _NORTH + rb'").*?</rim:ExtrinsicObject>', b""),
    ),
    "Initiating Gateway ITI-18/forgets-own": _found(
        "loses what is here", "everybody", "home_on_objects",
        answer=answers(
            rb'<rim:ExtrinsicObject (?![^>]* home="' + _FOREIGN + rb'").*?</rim:ExtrinsicObject>', b""
        ),
    ),
    "Initiating Gateway ITI-18/forgets-home": _found(
        "does not say whose the objects are", "home_on_objects", "home_on_references", "homeless",
        answer=answers(rb' home="[^"]*"', b""),
    ),
    "Initiating Gateway ITI-18/forgets-home-of-sets": _found(
        "says the home of documents only", "home_on_sets",
        answer=answers(rb'(<rim:RegistryPackage [^>]*?) home="[^"]*"', rb"\1"),
    ),
    "Initiating Gateway ITI-18/bare-home": _found(
        "writes homes as OIDs", "home_on_objects", "home_on_references", answer=answers(rb' home="urn:oid:', b' home="')
    ),
    "Initiating Gateway ITI-18/takes-all-for-its-own": _found(
        "puts its own home on everything", "home_on_objects", "home_on_references",
        answer=answers(rb' home="' + _FOREIGN + rb'"', b' home="urn:oid:1.2.3"'),
    ),
    "Initiating Gateway ITI-18/partial-as-success": _found(
        "reports a partial success as success", *_COMPLAINS, answer=answers(PARTIAL, SUCCESS)
    ),
    "Initiating Gateway ITI-18/partial-as-failure": _found(
        "reports a partial success as failure", *_COMPLAINS, answer=answers(PARTIAL, FAILURE)
    ),
    "Initiating Gateway ITI-18/no-errors": _found(
        "says nothing of what went wrong", *_COMPLAINS, "missing_home", "unknown_home",
        answer=answers(ERROR_LIST, b""),
    ),
    "Initiating Gateway ITI-18/no-location": _found(
        "does not say where it went wrong", *_COMPLAINS,
        answer=answers(rb'(?<= location=")[^"]*', b""),
    ),
    "Initiating Gateway ITI-18/tells-who-is-unknown": _found(
        "hands on that a community does not know the patient", "unknown_patient",
        answer=answers(rb'(status="[^"]*Success">)', rb"\1" + _STRANGERS_ERROR),
    ),
}  # fmt: skip
