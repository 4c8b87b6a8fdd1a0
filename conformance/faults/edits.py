"""A fault, and how messages are changed for it.

A fault changes requests (the house seems to overlook something) or answers (it seems to say something else) on their way.
Each names the cases that must catch it; others may catch it too.

What a newcomer gets wrong: a fault that changes nothing proves nothing; the tests see that each has changed a byte.
"""

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from conformance.system import System

RequestEdit = Callable[[dict[str, str], bytes, System], tuple[dict[str, str], bytes]]
AnswerEdit = Callable[[int, dict[str, str], bytes], tuple[int, dict[str, str], bytes]]


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

    def request(self, transaction: str, headers: dict[str, str], body: bytes) -> tuple[dict[str, str], bytes]:
        """See `InFlight.request`."""
        if self._fault.request is None or transaction not in self._fault.transactions:
            return headers, body
        edited = self._fault.request(headers, body, self._system)
        self.changed += edited != (headers, body)
        return edited

    def response(
        self, transaction: str, status: int, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """See `InFlight.response`."""
        if self._fault.answer is None or transaction not in self._fault.transactions:
            return status, headers, body
        edited = self._fault.answer(status, headers, body)
        self.changed += edited != (status, headers, body)
        return edited


# --- how messages are changed -----------------------------------------------------------------------------------------


def answers(pattern: bytes, replacement: bytes, count: int = 0) -> AnswerEdit:
    """Change what the pattern finds in an answer."""
    compiled = re.compile(pattern, re.DOTALL)

    def edit(status: int, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        return status, headers, compiled.sub(replacement, body, count=count)

    return edit


def requests(pattern: bytes, replacement: bytes | Callable[[System], bytes]) -> RequestEdit:
    """Change what the pattern finds in a request."""
    compiled = re.compile(pattern, re.DOTALL)

    def edit(headers: dict[str, str], body: bytes, system: System) -> tuple[dict[str, str], bytes]:
        new = replacement if isinstance(replacement, bytes) else replacement(system)
        return headers, compiled.sub(lambda _: new, body)

    return edit


def with_status(new: int, old: tuple[int, ...]) -> AnswerEdit:
    """Change the HTTP status of those answers that have one of these."""

    def edit(status: int, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        return new if status in old else status, headers, body

    return edit


def inline(status: int, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
    """Plain SOAP with base64 instead of MTOM."""
    found = re.search(r'boundary="([^"]+)"', headers.get("content-type", ""))
    if found is None:
        return status, headers, body
    root, *parts = [part.partition(b"\r\n\r\n") for part in body.split(b"--" + found[1].encode())[1:-1]]
    envelope = root[2].removesuffix(b"\r\n")
    for head, _, content in parts:
        named = re.search(rb"Content-ID: <([^>]+)>", head)
        if named is not None:
            reference = rb"<xop:Include [^>]*cid:" + re.escape(named[1]) + rb'"[^>]*/>'
            envelope = re.sub(reference, base64.b64encode(content.removesuffix(b"\r\n")), envelope)
    return status, {**headers, "content-type": "application/soap+xml; charset=UTF-8"}, envelope


def last_byte_changed(status: int, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
    """The last byte of the last part is another one."""
    place = body.rfind(b"\r\n--") - 1
    if b"<xop:Include" not in body:
        return status, headers, body
    return status, headers, body[:place] + bytes([body[place] ^ 0xFF]) + body[place + 1 :]


def mtom(status: int, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
    """MTOM with nothing but a root instead of plain SOAP."""
    if not headers.get("content-type", "").startswith("application/soap+xml"):
        return status, headers, body
    head = b'--odd\r\nContent-Type: application/xop+xml; type="application/soap+xml"\r\nContent-ID: <root>\r\n\r\n'
    packed = 'multipart/related; type="application/xop+xml"; start="<root>"; boundary="odd"'
    return status, {**headers, "content-type": packed}, head + body + b"\r\n--odd--\r\n"
