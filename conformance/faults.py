"""Faults: what a wrong house would do, done to the messages of a right one. A tester that misses one is blind.

A fault changes requests (the house seems to overlook something) or answers (it seems to say something else) on their way.
Each names the cases that must catch it; others may catch it too.

What a newcomer gets wrong: a fault that changes nothing proves nothing; the tests see that each has changed a byte.
"""

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from conformance.samples import sample_uid
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


def _answers(pattern: bytes, replacement: bytes, count: int = 0) -> AnswerEdit:
    """Change what the pattern finds in an answer."""
    compiled = re.compile(pattern, re.DOTALL)

    def edit(status: int, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        return status, headers, compiled.sub(replacement, body, count=count)

    return edit


def _requests(pattern: bytes, replacement: bytes | Callable[[System], bytes]) -> RequestEdit:
    """Change what the pattern finds in a request."""
    compiled = re.compile(pattern, re.DOTALL)

    def edit(headers: dict[str, str], body: bytes, system: System) -> tuple[dict[str, str], bytes]:
        new = replacement if isinstance(replacement, bytes) else replacement(system)
        return headers, compiled.sub(lambda _: new, body)

    return edit


def _with_status(new: int, old: tuple[int, ...]) -> AnswerEdit:
    """Change the HTTP status of those answers that have one of these."""

    def edit(status: int, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        return new if status in old else status, headers, body

    return edit


def _inline(status: int, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
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


def _pixel_changed(status: int, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
    """The last byte of the last part is another one."""
    place = body.rfind(b"\r\n--") - 1
    if place < 0 or b"DICM" not in body:
        return status, headers, body
    return status, headers, body[:place] + bytes([body[place] ^ 0xFF]) + body[place + 1 :]


def _to_own(name: str) -> Callable[[System], bytes]:
    return lambda system: str(getattr(system, name)).encode()


def _first_instance(system: System) -> bytes:
    return system.studies[0].study.instances[0].sop_instance_uid.encode()


def _first_study(system: System) -> bytes:
    return system.studies[0].study.study_instance_uid.encode()


def _in_its_own_series(headers: dict[str, str], body: bytes, system: System) -> tuple[dict[str, str], bytes]:
    """Whatever series a request names, the one of the instance."""
    study = system.studies[0].study
    for series in study.series:
        for instance in series.instances:
            if instance.sop_instance_uid.encode() in body and series.series_instance_uid.encode() not in body:
                return headers, re.sub(
                    rb'seriesInstanceUID="[^"]*"',
                    b'seriesInstanceUID="' + series.series_instance_uid.encode() + b'"',
                    body,
                )
    return headers, body


def _soap_action(headers: dict[str, str], body: bytes, system: System) -> tuple[dict[str, str], bytes]:
    """The action of the Content-Type stands in the envelope too."""
    found = re.search(r'action="([^"]+)"', headers.get("Content-Type", ""))
    if found is None:
        return headers, body
    return headers, re.sub(rb"(<wsa:Action[^>]*>)[^<]*", rb"\g<1>" + found[1].encode(), body)


NOBODY = sample_uid("nobody").encode()
_DOCUMENT = rb"<xds:DocumentResponse>(?:(?!</xds:DocumentResponse>).)*</xds:DocumentResponse>"
RETRIEVE = ("RAD-69",)
_SOURCE = "xdsi.source_retrieve/"
SUCCESS = b"urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success"
FAILURE = b"urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Failure"
PARTIAL = b"urn:ihe:iti:2007:ResponseStatusType:PartialSuccess"


def _source(text: str, *caught_by: str, request: RequestEdit | None = None, answer: AnswerEdit | None = None) -> Fault:
    return Fault(
        text=text, transactions=RETRIEVE, caught_by=tuple(_SOURCE + name for name in caught_by), request=request,
        answer=answer,
    )  # fmt: skip


FAULTS: Mapping[str, Fault] = {
    # --- the envelope ---
    "wrong-response-action": _source(
        "answers with an action of RAD-69's own", "response_action",
        answer=_answers(
            rb"urn:ihe:iti:2007:RetrieveDocumentSetResponse", b"urn:ihe:rad:2009:RetrieveImagingDocumentSetResponse"
        ),
    ),
    "missing-relates-to": _source(
        "does not say which request it answers", "one_instance",
        answer=_answers(rb"<wsa:RelatesTo>.*?</wsa:RelatesTo>", b""),
    ),
    "foreign-relates-to": _source(
        "answers another request", "one_instance",
        answer=_answers(rb"<wsa:RelatesTo>.*?<", b"<wsa:RelatesTo>urn:uuid:00000000-0000-4000-8000-000000000000<"),
    ),
    "not-mtom": _source("answers in plain SOAP", "mtom_without_documents", "one_instance", answer=_inline),
    "error-status": _source("answers well with HTTP 500", "one_instance", answer=_with_status(500, (200,))),
    "fault-with-200": _source(
        "refuses with HTTP 200", "broken_xml", "unknown_action", answer=_with_status(200, (400, 500))
    ),
    "understands-everything": _source(
        "overlooks a header that must be understood", "must_understand",
        request=_requests(rb"<x:Odd [^>]*/>", b""),
    ),
    "takes-doctype": _source(
        "reads a document type declaration", "document_type", request=_requests(rb"<!DOCTYPE.*?\]>", b"")
    ),
    "guesses-the-transaction": _source(
        "goes by the body where it does not know the action", "unknown_action",
        request=_requests(rb"urn:ihe:rad:2009:NoSuchTransaction", b"urn:ihe:rad:2009:RetrieveImagingDocumentSet"),
    ),
    "mends-xml": _source(
        "reads what is no XML", "broken_xml",
        request=_requests(rb"(?<=</iherad:SeriesRequest>)<iherad:StudyRequest>", b"</iherad:StudyRequest>"),
    ),
    # --- status and errors ---
    "partial-as-success": _source(
        "reports a partial success as success", "missing_instance", answer=_answers(re.escape(PARTIAL), SUCCESS)
    ),
    "partial-as-failure": _source(
        "reports a partial success as failure", "missing_instance", answer=_answers(re.escape(PARTIAL), FAILURE)
    ),
    "partial-in-oasis": _source(
        "writes PartialSuccess in the wrong namespace", "missing_instance",
        answer=_answers(re.escape(PARTIAL), b"urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:PartialSuccess"),
    ),
    "failure-as-success": _source(
        "reports a failure as success", "nothing_held", answer=_answers(re.escape(FAILURE), SUCCESS)
    ),
    "success-as-partial": _source(
        "reports a success as partial", "one_instance", answer=_answers(re.escape(SUCCESS), PARTIAL)
    ),
    "no-error-location": _source(
        "does not say which instance is missing", "missing_instance", answer=_answers(rb' location="[^"]*"', b"")
    ),
    "another-error-code": _source(
        "gives a code of its own", "missing_instance", "another_series",
        answer=_answers(rb"XDSDocumentUniqueIdError", b"XDSRepositoryError"),
    ),
    "another-repository-code": _source(
        "does not name an unknown repository as such", "another_repository",
        answer=_answers(rb"XDSUnknownRepositoryId", b"XDSRepositoryError"),
    ),
    "silent-failure": _source(
        "fails without saying why", "nothing_held",
        answer=_answers(rb"<rs:RegistryErrorList.*?</rs:RegistryErrorList>", b""),
    ),
    # --- what comes ---
    "altered-pixels": _source("hands out other pixels", "same_pixels", answer=_pixel_changed),
    "foreign-instance": _source(
        "hands out another instance than it says", "one_instance",
        answer=_answers(rb"(DICM.{0,400}?\x08\x00\x18\x00UI..)(\d+\.\d+\.\d)", rb"\g<1>1.2.3", 1),
    ),
    "another-syntax": _source(
        "names another transfer syntax in the file", "asked_syntax",
        answer=_answers(rb"(DICM.{0,400}?\x02\x00\x10\x00UI..1\.2\.840\.10008\.1\.2\.)1", rb"\g<1>2"),
    ),
    "media-type": _source(
        "says that an instance is something else", "one_instance",
        answer=_answers(rb"<xds:mimeType>application/dicom<", b"<xds:mimeType>application/octet-stream<"),
    ),
    "forgets-one": _source(
        "leaves an instance out without a word", "whole_study",
        answer=_answers(_DOCUMENT + rb"(?=<xds:DocumentResponse>)", b"", 1),
    ),
    "invents-home": _source(
        "names a home that was not asked", "home_absent",
        answer=_answers(
            rb"(?<=<xds:DocumentResponse>)", b"<xds:HomeCommunityId>urn:oid:1.2.3</xds:HomeCommunityId>"
        ),
    ),
    "forgets-home": _source(
        "does not repeat the home that was asked", "home_echoed",
        answer=_answers(rb"<xds:HomeCommunityId>.*?</xds:HomeCommunityId>", b""),
    ),
    "element-order": _source(
        "writes mimeType behind Document", "element_order",
        answer=_answers(rb"(<xds:mimeType>.*?</xds:mimeType>)(<xds:Document>.*?</xds:Document>)", rb"\2\1"),
    ),
    # --- what is overlooked ---
    "any-series": _source(
        "finds an instance in whatever series", "another_series", "unknown_series", "empty_series",
        request=_in_its_own_series,
    ),
    "any-study": _source(
        "finds an instance in whatever study", "another_study", "empty_study",
        request=_requests(rb'(?<=studyInstanceUID=")[^"]*', _first_study),
    ),
    "empty-is-any": _source(
        "finds an instance where none is named", "empty_instance",
        request=_requests(rb"(?<=<xds:DocumentUniqueId>)(?=<)", _first_instance),
    ),
    "chokes-on-twice": _source(
        "does not find an instance that is named a second time", "named_twice",
        request=_requests(rb"(?<=<xds:DocumentUniqueId>)([^<]*)(?=<.*<xds:DocumentUniqueId>\1<)", NOBODY),
    ),
    "first-syntax-only": _source(
        "reads only the first transfer syntax", "several_syntaxes",
        request=_requests(rb"(?<=</iherad:TransferSyntaxUID>)<iherad:Tr.*?</iherad:TransferSyntaxUID>", b""),
    ),
    "goes-by-soap-action": _source(
        "believes the Content-Type rather than wsa:Action", "soap_action_ignored", request=_soap_action
    ),
    "any-repository": _source(
        "answers for whatever repository", "another_repository", "empty_repository",
        request=_requests(rb"(?<=<xds:RepositoryUniqueId>)[^<]*", _to_own("retrieve_location_uid")),
    ),
    "any-syntax": _source(
        "answers in its own syntax whatever was asked", "impossible_syntax",
        request=_requests(
            re.escape(sample_uid("no such syntax").encode()), b"1.2.840.10008.1.2.1"
        ),
    ),
}  # fmt: skip
"""By name; `radgate conformance run --self --fault NAME` shows what the suite makes of it."""
