"""Wrong managers of patients by HL7 V3: what of ITI-44, ITI-45, ITI-47 and ITI-55 they overlook, forget or say otherwise.

Source: ITI TF-2 3.44, 3.45, 3.47, 3.55; ITI TF-2x Appendix O.
"""

from collections.abc import Mapping
from typing import Any

from conformance.faults.edits import Fault, answers, requests

DISCOVERY, FEED, IDS, PEOPLE = "xcpd.responding_gateway/", "pixv3.feed/", "pixv3.query/", "pdqv3.supplier/"
_SUBJECT = rb"<subject .*</subject>"
_QUESTION = rb"<queryByParameter.*?</queryByParameter>"
_BIRTH = (
    b'<livingSubjectBirthTime><value value="19700131"/><semanticsText>LivingSubject.birthTime</semanticsText>'
    b"</livingSubjectBirthTime>"
)


def _fault(transaction: str, suite: str, text: str, *caught_by: str, **edits: Any) -> Fault:
    return Fault(text=text, transactions=(transaction,), caught_by=tuple(suite + name for name in caught_by), **edits)


def of_answers(transaction: str, suite: str) -> Mapping[str, Fault]:
    """What can be wrong with how any message of theirs is answered."""

    def fault(text: str, pattern: bytes, replacement: bytes) -> Fault:
        return _fault(transaction, suite, text, "acknowledged", answer=answers(pattern, replacement))

    return {
        f"{transaction}/another-target": fault(
            "answers another message", rb'(?<=<targetMessage><id root=")[^"]*', b"00000000-0000-4000-8000-000000000000"
        ),
        f"{transaction}/wants-acknowledgement": fault(
            "wants its answer acknowledged", rb'<acceptAckCode code="NE"/>', b'<acceptAckCode code="AL"/>'
        ),
        f"{transaction}/another-receiver": fault(
            "answers somebody else", rb'(<receiver .*?<id root=")[^"]*', rb"\g<1>1.2.3"
        ),
    }


def _of_queries(transaction: str, suite: str) -> Mapping[str, Fault]:
    """What can be wrong with how a question is repeated."""

    def fault(text: str, pattern: bytes, replacement: bytes) -> Fault:
        return _fault(transaction, suite, text, "echoed", answer=answers(pattern, replacement))

    return {
        f"{transaction}/no-question": fault("does not repeat the question", _QUESTION, b""),
        f"{transaction}/other-question": fault(
            "repeats another question", rb"(<queryByParameter.*?<parameterList>).*?(</parameterList>)", rb"\1\2"
        ),
        f"{transaction}/question-first": fault(
            "repeats the question before it says how it went",
            rb"(<queryAck>.*?</queryAck>)(" + _QUESTION + rb")",
            rb"\2\1",
        ),
        f"{transaction}/other-query-id": fault(
            "names another question", rb'(<queryAck><queryId [^>]*extension=")[^"]*', rb"\g<1>1"
        ),
    }


def _discovery(text: str, *caught_by: str, **edits: Any) -> Fault:
    return _fault("ITI-55", DISCOVERY, text, *caught_by, **edits)


def _feed(text: str, *caught_by: str, **edits: Any) -> Fault:
    return _fault("ITI-44", FEED, text, *caught_by, **edits)


def _ids(text: str, *caught_by: str, **edits: Any) -> Fault:
    return _fault("ITI-45", IDS, text, *caught_by, **edits)


def _people(text: str, *caught_by: str, **edits: Any) -> Fault:
    return _fault("ITI-47", PEOPLE, text, *caught_by, **edits)


FAULTS: Mapping[str, Fault] = {
    # --- ITI-55 ---
    **of_answers("ITI-55", DISCOVERY),
    **_of_queries("ITI-55", DISCOVERY),
    "ITI-55/forgets-match": _discovery(
        "finds somebody and does not tell", "by_demographics", "by_identifier", "one_identifier", "home_named",
        "locator_told", answer=answers(_SUBJECT, b""),
    ),
    "ITI-55/another-id": _discovery(
        "tells another id", "by_demographics", "by_identifier", "one_identifier",
        answer=answers(rb'(<patient [^>]*><id [^>]*extension=")[^"]*', rb"\g<1>X1"),
    ),
    "ITI-55/another-name": _discovery(
        "tells another name", "by_demographics", answer=answers(rb"(<patientPerson.*?<family>)[^<]*", rb"\g<1>Nobody")
    ),
    "ITI-55/two-ids": _discovery(
        "tells two ids to ask by", "one_identifier",
        answer=answers(rb"(?<=<patient classCode=\"PAT\">)", b'<id root="1.2.3" extension="X1"/>'),
    ),
    "ITI-55/nobody-is-an-error": _discovery(
        "takes it for an error that nobody is found", "no_match",
        answer=answers(rb'<typeCode code="AA"/>', b'<typeCode code="AE"/>'),
    ),
    "ITI-55/nobody-is-found": _discovery(
        "says that it found, and tells nobody", "no_match",
        answer=answers(rb'<queryResponseCode code="NF"/>', b'<queryResponseCode code="OK"/>'),
    ),
    "ITI-55/home-as-urn": _discovery(
        "writes its home as a URN", "home_named",
        answer=answers(rb'(<custodian .*?<assignedEntity [^>]*><id root=")', rb"\g<1>urn:oid:"),
    ),
    "ITI-55/no-home": _discovery(
        "does not say who keeps the record", "home_named", "locator_told",
        answer=answers(rb"<custodian .*?</custodian>", b""),
    ),
    "ITI-55/no-locator": _discovery(
        "does not say whether it locates health data", "locator_told",
        answer=answers(rb'<code code="NotHealthDataLocator"[^>]*/>', b""),
    ),
    "ITI-55/takes-less": _discovery(
        "looks for a name without a birth date", "too_little",
        request=requests(rb"(?<=<parameterList>)(?=<livingSubjectName>)", _BIRTH),
    ),
    # --- ITI-44 ---
    **of_answers("ITI-44", FEED),
    "ITI-44/forgets": _feed(
        "takes a patient under another id", "added", "revised", "merged",
        request=requests(rb'(?<= extension="V)[0-9A-F]{12}', b"000000000000"),
    ),
    "ITI-44/refuses": _feed(
        "takes a patient and says that it did not", "added",
        answer=answers(rb'<typeCode code="CA"/>', b'<typeCode code="CE"/>'),
    ),
    "ITI-44/overlooks-revisions": _feed(
        "keeps the old name", "revised", request=requests(rb"(?<=<family>)Revised", b"")
    ),
    "ITI-44/overlooks-who-goes": _feed(
        "does not merge", "merged", request=requests(rb"<replacementOf.*?</replacementOf>", b"")
    ),
    "ITI-44/mends": _feed(
        "accepts what is about no patient", "no_patient", request=requests(rb"registrationEvening", b"registrationEvent")
    ),
    "ITI-44/loses": _fault(
        "ITI-47", FEED, "loses whom it was told of", "added", "bad_merge", answer=answers(_SUBJECT, b"")
    ),
    # --- ITI-45 ---
    **of_answers("ITI-45", IDS),
    **_of_queries("ITI-45", IDS),
    "ITI-45/forgets-ids": _ids(
        "finds ids and does not tell them", "other_ids", "of_a_domain", answer=answers(_SUBJECT, b"")
    ),
    "ITI-45/one-more": _ids(
        "tells an id of somebody else", "other_ids", "of_a_domain",
        answer=answers(rb'(?<=<patient classCode="PAT">)', b'<id root="1.2.3" extension="X1"/>'),
    ),
    "ITI-45/overlooks-domains": _ids(
        "tells ids of whatever domain", "none_there", "unknown_domain",
        request=requests(rb"<dataSource>.*</dataSource>", b""),
    ),
    "ITI-45/none-is-an-error": _ids(
        "takes it for an error that there is no id", "none_there",
        answer=answers(rb'<typeCode code="AA"/>', b'<typeCode code="AE"/>'),
    ),
    "ITI-45/errors-as-none": _ids(
        "answers what it does not know by no id", "unknown_id", "unknown_domain",
        answer=answers(rb'(<typeCode|<queryResponseCode) code="AE"/>', rb'\1 code="AA"/>'),
    ),
    "ITI-45/no-place": _ids(
        "does not say what it does not know", "unknown_id", "unknown_domain",
        answer=answers(rb"<location>.*?</location>", b""),
    ),
    # --- ITI-47 ---
    **of_answers("ITI-47", PEOPLE),
    **_of_queries("ITI-47", PEOPLE),
    "ITI-47/forgets-match": _people(
        "finds somebody and does not tell", "by_demographics", "by_identifier", "of_a_domain", "continued",
        answer=answers(_SUBJECT, b""),
    ),
    "ITI-47/another-name": _people(
        "tells another name", "by_demographics", "by_identifier",
        answer=answers(rb"(<patientPerson.*?<family>)[^<]*", rb"\g<1>Nobody"),
    ),
    "ITI-47/nobody-is-found": _people(
        "says that it found, and tells nobody", "nobody",
        answer=answers(rb'<queryResponseCode code="NF"/>', b'<queryResponseCode code="OK"/>'),
    ),
    "ITI-47/overlooks-birth": _people(
        "does not narrow by birth date", "another_birth_date",
        request=requests(rb"<livingSubjectBirthTime>.*?</livingSubjectBirthTime>", b""),
    ),
    "ITI-47/overlooks-domains": _people(
        "tells ids of whatever domain", "of_a_domain", "unknown_domain",
        request=requests(rb"<otherIDsScopingOrganization>.*</otherIDsScopingOrganization>", b""),
    ),
    "ITI-47/no-place": _people(
        "does not say what it does not know", "unknown_domain", answer=answers(rb"<location>.*?</location>", b"")
    ),
    "ITI-47/overlooks-cancellation": _people(
        "cancels another query", "cancelled",
        request=requests(rb'(?<=extension=")[0-9a-f]{32}(?="/><statusCode code="aborted")', b"1"),
    ),
    "ITI-47/overlooks-quantity": _people(
        "tells all at once", "continued", "cancelled", request=requests(rb"<initialQuantity [^>]*/>", b"")
    ),
}  # fmt: skip
