"""A fault, and how messages are changed for it.

A fault changes requests (the house seems to overlook something) or answers (it seems to say something else) on their way.
Each names the cases that must catch it; others may catch it too.

What a newcomer gets wrong: a fault that changes nothing proves nothing; the tests see that each has changed a byte.
"""

import base64
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from conformance.around import Around
from conformance.in_flight import Incoming, Outgoing
from conformance.system import System
from profiles.wire.ebxml.response import ResponseStatus

RequestEdit = Callable[[Outgoing, System], Outgoing]
AnswerEdit = Callable[[Incoming], Incoming]
SUCCESS = ResponseStatus.SUCCESS.encode()
PARTIAL = ResponseStatus.PARTIAL_SUCCESS.encode()
FAILURE = ResponseStatus.FAILURE.encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """`transactions` are those whose messages are changed; `caught_by` are ids of cases, 1..n."""

    text: str
    transactions: tuple[str, ...]
    caught_by: tuple[str, ...]
    request: RequestEdit | None = field(default=None, repr=False)
    answer: AnswerEdit | None = field(default=None, repr=False)


class Sabotage:
    """Implements `InFlight` with one fault; `changed` counts the messages that it changed."""

    def __init__(self, fault: Fault, system: System) -> None:
        """`system` is the one whose messages pass."""
        self.changed = 0
        self._fault = fault
        self._system = system

    def request(self, transaction: str, outgoing: Outgoing) -> Outgoing:
        """See `InFlight.request`."""
        if self._fault.request is None or transaction not in self._fault.transactions:
            return outgoing
        edited = self._fault.request(outgoing, self._system)
        self.changed += edited != outgoing
        return edited

    def answer(self, transaction: str, incoming: Incoming) -> Incoming:
        """See `InFlight.answer`."""
        if self._fault.answer is None or transaction not in self._fault.transactions:
            return incoming
        edited = self._fault.answer(incoming)
        self.changed += edited != incoming
        return edited

    def stand_around(self, around: Around) -> None:
        """Change what the system says itself: its audit as ITI-20, its requests as `from RAD-69`.

        Answers on connections of their own are `brought`. What it is answered is `to ITI-41`: so a system looks that takes
        an answer for another one. What it says of an answer that was brought to it is `told of ITI-18`.
        """
        if around.audit is not None:
            around.audit.edit = lambda message: self.answer("ITI-20", Incoming(body=message)).body
        if around.mailbox is not None:
            around.mailbox.edit = lambda incoming: self.answer("brought", incoming)
        if around.hl7 is not None:
            around.hl7.edit = lambda message: self.answer("from ORU^R01", Incoming(body=message)).body
            around.hl7.edit_answer = lambda answer: self.answer("to ORU^R01", Incoming(body=answer)).body
        if around.west is not None:
            around.west.counterpart.told = lambda name, said: self.answer(f"told of {name}", said)
        for each in (around.community, around.west, *around.foreign):
            if each is not None:
                each.counterpart.edit = lambda name, incoming: self.answer(f"from {name}", incoming)
                each.counterpart.reply = lambda name, answer: self.answer(f"to {name}", answer)


# --- how messages are changed -----------------------------------------------------------------------------------------


def answers(pattern: bytes, replacement: bytes, count: int = 0) -> AnswerEdit:
    """Change what the pattern finds in an answer."""
    compiled = re.compile(pattern, re.DOTALL)
    return lambda incoming: replace(incoming, body=compiled.sub(replacement, incoming.body, count=count))


def requests(pattern: bytes, replacement: bytes | Callable[[System], bytes]) -> RequestEdit:
    """Change what the pattern finds in a request."""
    compiled = re.compile(pattern, re.DOTALL)

    def edit(outgoing: Outgoing, system: System) -> Outgoing:
        new = replacement if isinstance(replacement, bytes) else replacement(system)
        return replace(outgoing, body=compiled.sub(lambda _: new, outgoing.body))

    return edit


def addresses(pattern: str, replacement: str | Callable[[System], str]) -> RequestEdit:
    """Change what the pattern finds in the address of a request."""
    compiled = re.compile(pattern)

    def edit(outgoing: Outgoing, system: System) -> Outgoing:
        new = replacement if isinstance(replacement, str) else replacement(system)
        return replace(outgoing, address=compiled.sub(lambda _: new, outgoing.address))

    return edit


def with_status(new: int, *old: int) -> AnswerEdit:
    """Change the HTTP status of those answers that have one of these."""
    return lambda incoming: replace(incoming, status=new) if incoming.status in old else incoming


def without_header(*names: str) -> AnswerEdit:
    """Take headers away; names are lower-case."""
    return lambda incoming: replace(
        incoming, headers={key: value for key, value in incoming.headers.items() if key not in names}
    )


def with_header(name: str, value: str) -> AnswerEdit:
    """Set a header; its name is lower-case."""
    return lambda incoming: replace(incoming, headers={**incoming.headers, name: value})


def inline(incoming: Incoming) -> Incoming:
    """Plain SOAP with base64 instead of MTOM."""
    found = re.search(r'boundary="([^"]+)"', incoming.headers.get("content-type", ""))
    if found is None:
        return incoming
    root, *parts = [part.partition(b"\r\n\r\n") for part in incoming.body.split(b"--" + found[1].encode())[1:-1]]
    envelope = root[2].removesuffix(b"\r\n")
    for head, _, content in parts:
        named = re.search(rb"Content-ID: <([^>]+)>", head)
        if named is not None:
            reference = rb"<xop:Include [^>]*cid:" + re.escape(named[1]) + rb'"[^>]*/>'
            envelope = re.sub(reference, base64.b64encode(content.removesuffix(b"\r\n")), envelope)
    plain = {**incoming.headers, "content-type": "application/soap+xml; charset=UTF-8"}
    return replace(incoming, headers=plain, body=envelope)


def last_byte_changed(incoming: Incoming) -> Incoming:
    """The last byte of the last part is another one; what has no part but a root stays."""
    body, kind = incoming.body, incoming.headers.get("content-type", "")
    if "multipart/related" not in kind or ("xop" in kind and b"<xop:Include" not in body):
        return incoming
    place = body.rfind(b"\r\n--") - 1
    return replace(incoming, body=body[:place] + bytes([body[place] ^ 0xFF]) + body[place + 1 :])


def mtom(incoming: Incoming) -> Incoming:
    """MTOM with nothing but a root instead of plain SOAP."""
    if not incoming.headers.get("content-type", "").startswith("application/soap+xml"):
        return incoming
    head = b'--odd\r\nContent-Type: application/xop+xml; type="application/soap+xml"\r\nContent-ID: <root>\r\n\r\n'
    packed = 'multipart/related; type="application/xop+xml"; start="<root>"; boundary="odd"'
    return replace(
        incoming, headers={**incoming.headers, "content-type": packed}, body=head + incoming.body + b"\r\n--odd--\r\n"
    )


def told(edit: Callable[[Any], Any]) -> AnswerEdit:
    """Change what an answer in JSON says; an answer that is none stays. `edit` may change its argument or give another."""

    def edited(incoming: Incoming) -> Incoming:
        if "json" not in incoming.headers.get("content-type", "") or not incoming.body:
            return incoming
        value = json.loads(incoming.body)
        changed = edit(value)
        return replace(incoming, body=json.dumps(value if changed is None else changed).encode())

    return edited
