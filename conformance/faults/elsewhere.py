"""Wrong ways to bring an answer elsewhere, for every SOAP transaction that has cases for it; and wrong ways to ask for one.

Source: ITI TF-2 Appendix V.5.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from conformance.faults.edits import AnswerEdit, Fault, answers, inline, last_byte_changed, mtom, requests, with_status
from conformance.simulators.mailbox import REPLY
from conformance.suites.elsewhere import NOWHERE
from profiles.transaction import SoapTransaction
from profiles.wire.soap.message import Packaging
from profiles.wire.soap.names import ANONYMOUS

BROUGHT = "brought"
_REPLY_TO = rb"(?<=<wsa:ReplyTo><wsa:Address>)[^<]*" + REPLY.encode()


def elsewhere_faults(transaction: SoapTransaction[Any, Any], suite: str) -> Mapping[str, Fault]:
    """What can be wrong with answers that are brought, each caught by the cases of its suite."""
    id = transaction.id

    def fault(text: str, *caught_by: str, of: str = BROUGHT, **edits: Any) -> Fault:
        return Fault(text=text, transactions=(of,), caught_by=tuple(f"{suite}/{name}" for name in caught_by), **edits)

    return {
        f"{id}/answers-at-once": fault(
            "answers on the connection that asks, wherever the answer is to go", "brought", of=id,
            request=requests(_REPLY_TO + rb"(?=<)", ANONYMOUS.encode()),
        ),
        f"{id}/taken-with-200": fault(
            "says with HTTP 200 that it is taken", "brought", of=id, answer=with_status(200, 202)
        ),
        f"{id}/taken-with-words": fault(
            "says more than that it is taken", "brought", of=id,
            answer=lambda incoming: replace(incoming, body=b"<ok/>") if incoming.status == 202 else incoming,
        ),
        f"{id}/brings-anywhere": fault(
            "takes any address to bring an answer to", "not_brought", of=id,
            request=requests(REPLY.encode() + NOWHERE.encode() + rb"(?=</wsa:Address></wsa:ReplyTo>)", REPLY.encode()),
        ),
        f"{id}/brought-for-another": fault(
            "brings the answer to another request", "brought",
            answer=answers(rb"(<wsa:RelatesTo[^>]*>)[^<]*", rb"\g<1>urn:uuid:00000000-0000-4000-8000-000000000000"),
        ),
        f"{id}/brought-as-another": fault(
            "brings the answer with another action", "brought",
            answer=answers(re.escape(f">{transaction.response_action}<".encode()), b">urn:ihe:iti:2007:Other<"),
        ),
        f"{id}/brought-without-name": fault(
            "brings an answer without an id of its own", "brought",
            answer=answers(rb"<wsa:MessageID>.*?</wsa:MessageID>", b""),
        ),
        f"{id}/brought-to-nobody": fault(
            "does not say to whom it brings it", "brought", answer=answers(rb"<wsa:To>.*?</wsa:To>", b"")
        ),
        f"{id}/brought-otherwise": fault(
            "packs what it brings otherwise", "brought", answer=inline if transaction.packaging is Packaging.MTOM else mtom
        ),
    }  # fmt: skip


def _deferred(text: str, *caught_by: str, of: str = BROUGHT, **edits: Any) -> Fault:
    suite = "xcpd.responding_gateway/"
    return Fault(text=text, transactions=(of,), caught_by=tuple(suite + name for name in caught_by), **edits)


DEFERRED: Mapping[str, Fault] = {
    "ITI-55/deferred-refused": _deferred(
        "does not answer later", "deferred", of="ITI-55",
        answer=answers(rb'<typeCode code="AA"/>', b'<typeCode code="AE"/>'),
    ),
    "ITI-55/deferred-target": _deferred(
        "acknowledges another message", "deferred", of="ITI-55",
        answer=answers(rb'(<targetMessage>\s*<id root=")[^"]*', rb"\g<1>00000000-0000-4000-8000-000000000000"),
    ),
    "ITI-55/deferred-anywhere": _deferred(
        "takes any address to bring an answer to", "deferred_nowhere", of="ITI-55",
        request=requests(REPLY.encode() + NOWHERE.encode() + rb'(?=")', REPLY.encode()),
    ),
    "ITI-55/deferred-unsaid": _deferred(
        "does not say that it does not answer later", "deferred_nowhere", of="ITI-55",
        answer=answers(rb"<acknowledgementDetail.*?</acknowledgementDetail>", b""),
    ),
    "ITI-55/deferred-for-another": _deferred(
        "answers another question", "deferred",
        answer=answers(rb"(<wsa:RelatesTo[^>]*>)[^<]*", rb"\g<1>urn:uuid:00000000-0000-4000-8000-000000000000"),
    ),
    "ITI-55/deferred-as-immediate": _deferred(
        "answers later as it does at once", "deferred", answer=answers(rb":Deferred:Cross", b":Cross")
    ),
    "ITI-55/deferred-query-id": _deferred(
        "names another query", "deferred", answer=answers(rb'(<queryId [^>]*extension=")[^"]*', rb"\g<1>1")
    ),
    "ITI-55/deferred-nobody": _deferred(
        "finds nobody later", "deferred", answer=answers(rb"<subject .*</subject>", b"")
    ),
    "ITI-55/deferred-another-home": _deferred(
        "tells another home later", "deferred",
        answer=answers(rb'(<custodian .*?<assignedEntity [^>]*><id root=")[^"]*', rb"\g<1>1.2.3"),
    ),
}  # fmt: skip


ASKED = "asked_elsewhere/"
_OTHER_THAN_ANONYMOUS = rb"(?<=<wsa:ReplyTo><wsa:Address>)[^<]*"


def _asking(of: str, text: str, *caught_by: str, answer: AnswerEdit) -> Fault:
    return Fault(text=text, transactions=(of,), caught_by=tuple(ASKED + name for name in caught_by), answer=answer)


def _asks(transaction: str, case: str) -> Mapping[str, Fault]:
    """What can be wrong with how somebody asks asynchronously by one transaction, caught by one case."""
    return {
        f"from {transaction}/asks-at-once": _asking(
            f"from {transaction}", "asks for an answer on the connection that asks", case,
            answer=answers(_OTHER_THAN_ANONYMOUS, ANONYMOUS.encode()),
        ),
        f"told of {transaction}/not-taken": _asking(
            f"told of {transaction}", "does not take what it asked for", case, answer=with_status(400, 202)
        ),
        f"told of {transaction}/with-words": _asking(
            f"told of {transaction}", "says more than that it takes it", case,
            answer=lambda said: replace(said, body=b"<ok/>"),
        ),
    }  # fmt: skip


ASKING: Mapping[str, Fault] = {
    **_asks("ITI-18", "query"),
    **_asks("ITI-43", "retrieval"),
    **_asks("RAD-69", "images"),
    **_asks("ITI-39", "through_gateway"),
    **_asks("RAD-75", "images_through_gateway"),
    "told of ITI-18/takes-anything": _asking(
        "told of ITI-18", "takes an answer to nothing", "unasked", answer=with_status(202, 400, 500)
    ),
    "RAD-107/brought-in-vain": _asking(
        "RAD-107", "keeps other images than were brought", "kept", answer=last_byte_changed
    ),
    "Initiating Gateway ITI-43/brought-in-vain": _asking(
        "Initiating Gateway ITI-43", "hands on another document than was brought", "through_gateway",
        answer=last_byte_changed,
    ),
    "Initiating Imaging Gateway RAD-69/brought-in-vain": _asking(
        "Initiating Imaging Gateway RAD-69", "hands on other images than were brought", "images_through_gateway",
        answer=last_byte_changed,
    ),
}  # fmt: skip
