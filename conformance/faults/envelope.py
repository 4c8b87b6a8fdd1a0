"""Wrong envelopes, for every SOAP transaction that has cases for them.

Source: ITI TF-2 Appendix V; SOAP 1.2 part 1.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from conformance.faults.edits import Fault, RequestEdit, answers, inline, mtom, requests, with_status
from conformance.in_flight import Outgoing
from conformance.suites.envelope import DOCTYPE, NOBODYS_ACTION, ODD_HEADER, another_action_than
from conformance.system import System
from profiles.transaction import SoapTransaction
from profiles.wire.soap.message import Packaging
from profiles.wire.soap.names import S11, S


def envelope_faults(transaction: SoapTransaction[Any, Any], suite: str) -> Mapping[str, Fault]:
    """What can be wrong with the envelopes of one transaction, each caught by the cases of its suite."""
    id, action = transaction.id, transaction.request_action
    asked = re.escape(action.encode())
    another = another_action_than(transaction)

    def fault(text: str, *caught_by: str, **edits: Any) -> Fault:
        return Fault(text=text, transactions=(id,), caught_by=tuple(f"{suite}/{name}" for name in caught_by), **edits)

    return {
        f"{id}/wrong-response-action": fault(
            "answers with another action", "response_action",
            answer=answers(re.escape(f">{transaction.response_action}<".encode()), b">urn:ihe:iti:2007:Other<"),
        ),
        f"{id}/missing-relates-to": fault(
            "does not say which request it answers", "relates_to",
            answer=answers(rb"<wsa:RelatesTo>.*?</wsa:RelatesTo>", b""),
        ),
        f"{id}/foreign-relates-to": fault(
            "answers another request", "relates_to",
            answer=answers(rb"<wsa:RelatesTo>.*?<", b"<wsa:RelatesTo>urn:uuid:00000000-0000-4000-8000-000000000000<"),
        ),
        f"{id}/wrong-packaging": fault(
            "packs its answer otherwise", "packaging",
            answer=inline if transaction.packaging is Packaging.MTOM else mtom,
        ),
        f"{id}/error-status": fault("answers well with HTTP 500", "packaging", answer=with_status(500, 200)),
        f"{id}/fault-with-200": fault(
            "refuses with HTTP 200", "unknown_action", "broken_xml", answer=with_status(200, 400, 500)
        ),
        f"{id}/goes-by-soap-action": fault(
            "believes the Content-Type rather than wsa:Action", "soap_action", request=_soap_action
        ),
        f"{id}/wants-reply-to": fault(
            "refuses a request without ReplyTo", "no_reply_to",
            request=_broken_without(b"<wsa:ReplyTo>"),
        ),
        f"{id}/guesses-the-transaction": fault(
            "goes by the body where it does not know the action", "unknown_action",
            request=requests(NOBODYS_ACTION.encode(), action.encode()),
        ),
        f"{id}/overlooks-the-action": fault(
            "goes by the body where the action says otherwise", "another_action",
            request=requests(rb"(?<=>)" + re.escape(another.encode()) + rb"(?=</wsa:Action>)", action.encode()),
        ),
        f"{id}/mends-xml": fault(
            "reads what is no XML", "broken_xml",
            request=requests(rb"(?<=</s:Body>)(?!</s:Envelope>)", b"</s:Envelope>"),
        ),
        f"{id}/takes-doctype": fault(
            "reads a document type declaration", "document_type", request=requests(re.escape(DOCTYPE), b"")
        ),
        f"{id}/understands-everything": fault(
            "overlooks a header that must be understood", "must_understand", request=requests(re.escape(ODD_HEADER), b"")
        ),
        f"{id}/takes-soap11": fault(
            "takes an envelope of SOAP 1.1 for one of 1.2", "soap11",
            request=requests(re.escape(S11.encode()), S.encode()),
        ),
        f"{id}/any-fault-code": fault(
            "gives every fault the same code", "must_understand", "soap11",
            answer=answers(rb"<s:Value>s:(?:MustUnderstand|VersionMismatch)<", b"<s:Value>s:Sender<"),
        ),
        f"{id}/refuses-all": fault(
            "knows no transaction", "response_action", "packaging",
            request=requests(rb"(?<=>)" + asked + rb"(?=</wsa:Action>)", NOBODYS_ACTION.encode()),
        ),
    }  # fmt: skip


def _soap_action(outgoing: Outgoing, system: System) -> Outgoing:
    """The action of the Content-Type stands in the envelope too."""
    found = re.search(r'action="([^"]+)"', outgoing.headers.get("Content-Type", ""))
    if found is None:
        return outgoing
    return replace(outgoing, body=re.sub(rb"(<wsa:Action[^>]*>)[^<]*", rb"\g<1>" + found[1].encode(), outgoing.body))


def _broken_without(needed: bytes) -> RequestEdit:
    """A request that lacks this cannot be read."""
    return lambda outgoing, _: (
        outgoing if needed in outgoing.body else replace(outgoing, body=outgoing.body.replace(b"</s:Envelope>", b""))
    )
