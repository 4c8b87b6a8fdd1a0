"""Wrong initiating gateways: whom they ask for what, and what they make of the answers.

The system's requests are changed on their way to the communities, and its answers on their way to its own people.

Source: ITI TF-2 3.38, 3.39, 3.55, 3.80; RAD TF-2 4.75.
"""

import re
from collections.abc import Mapping
from typing import Any

from conformance.faults.asking import addressing
from conformance.faults.documents import ERROR_LIST
from conformance.faults.edits import FAILURE, PARTIAL, SUCCESS, Fault, answers, requests
from conformance.system import Foreign
from profiles.xca.iti38 import ITI_38

QUERY = "xca.initiating_query/"
NORTH, SOUTH = (Foreign(name=name, port=1).home_community_id.urn.encode() for name in ("North", "South"))
_NORTH, _FOREIGN = re.escape(NORTH), b"(?:%b|%b)" % (re.escape(NORTH), re.escape(SOUTH))
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

FAULTS: Mapping[str, Fault] = {
    # --- ITI-38 ---
    **addressing(ITI_38, QUERY + "addressed"),
    "from ITI-38/other-patient": _query(
        "asks for another patient", "patient", answer=answers(rb"'(?:C\d+|SOUTH1)\^\^\^", b"'X1^^^")
    ),
    "from ITI-38/one-by-one": _query(
        "asks the second when the first has answered", "everybody", "together", answer=answers(rb"^.*SOUTH1.*$", b"")
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
    "IG ITI-18/asks-all": _found(
        "asks everybody whatever home is named", "named", request=requests(rb' home="[^"]*"', b"")
    ),
    "IG ITI-18/home-for-granted": _found(
        "guesses a home where none is named", "missing_home",
        request=requests(rb"(?<=<rim:AdhocQuery )(?!home=)(?![^>]* home=)", b'home="' + NORTH + b'" '),
    ),
    "IG ITI-18/any-home": _found(
        "asks somebody else where it does not know the home", "unknown_home",
        request=requests(rb'(?<=home=")urn:oid:[^"]*', NORTH),
    ),
    "IG ITI-18/forgets-community": _found(
        "loses what one community told", "everybody", "named", "home_on_objects", "home_passed_on",
        answer=answers(rb'<rim:ExtrinsicObject (?=[^>]* home="' + _NORTH + rb'").*?</rim:ExtrinsicObject>', b""),
    ),
    "IG ITI-18/forgets-own": _found(
        "loses what is here", "everybody", "home_on_objects",
        answer=answers(
            rb'<rim:ExtrinsicObject (?![^>]* home="' + _FOREIGN + rb'").*?</rim:ExtrinsicObject>', b""
        ),
    ),
    "IG ITI-18/forgets-home": _found(
        "does not say whose the objects are", "home_on_objects", "home_on_references", "homeless",
        answer=answers(rb' home="[^"]*"', b""),
    ),
    "IG ITI-18/bare-home": _found(
        "writes homes as OIDs", "home_on_objects", "home_on_references", answer=answers(rb' home="urn:oid:', b' home="')
    ),
    "IG ITI-18/takes-all-for-its-own": _found(
        "puts its own home on everything", "home_on_objects", "home_on_references",
        answer=answers(rb' home="' + _FOREIGN + rb'"', b' home="urn:oid:1.2.3"'),
    ),
    "IG ITI-18/partial-as-success": _found(
        "reports a partial success as success", "homeless", "partly", "silent", "gone", answer=answers(PARTIAL, SUCCESS)
    ),
    "IG ITI-18/partial-as-failure": _found(
        "reports a partial success as failure", "homeless", "partly", "silent", "gone", answer=answers(PARTIAL, FAILURE)
    ),
    "IG ITI-18/no-errors": _found(
        "says nothing of what went wrong", "homeless", "partly", "silent", "gone", "missing_home", "unknown_home",
        answer=answers(ERROR_LIST, b""),
    ),
    "IG ITI-18/no-location": _found(
        "does not say where it went wrong", "homeless", "partly", "silent", "gone",
        answer=answers(rb'(?<= location=")[^"]*', b""),
    ),
    "IG ITI-18/tells-who-is-unknown": _found(
        "hands on that a community does not know the patient", "unknown_patient",
        answer=answers(rb'(status="[^"]*Success">)', rb"\1" + _STRANGERS_ERROR),
    ),
}  # fmt: skip
