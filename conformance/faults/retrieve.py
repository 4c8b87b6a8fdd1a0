"""Wrong imaging document sources: statuses, errors, instances and requests of RAD-69 that are not what they should be.

Source: RAD TF-2 4.69.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from conformance.faults.edits import (
    FAILURE,
    PARTIAL,
    SUCCESS,
    AnswerEdit,
    Fault,
    RequestEdit,
    answers,
    inline,
    last_byte_changed,
    requests,
)
from conformance.in_flight import Outgoing
from conformance.samples import sample_uid
from conformance.system import System


def to_own(name: str) -> Callable[[System], bytes]:
    """One of the system's own ids."""
    return lambda system: str(getattr(system, name)).encode()


def first_instance(system: System) -> bytes:
    """The id of one that it holds."""
    return system.studies[0].study.instances[0].sop_instance_uid.encode()


def first_study(system: System) -> bytes:
    """The id of one that it holds."""
    return system.studies[0].study.study_instance_uid.encode()


def in_its_own_series(outgoing: Outgoing, system: System) -> Outgoing:
    """Whatever series a request names, the one of the instance."""
    for series in system.studies[0].study.series:
        own = series.series_instance_uid.encode()
        for instance in series.instances:
            if instance.sop_instance_uid.encode() in outgoing.body and own not in outgoing.body:
                named = b'seriesInstanceUID="' + own + b'"'
                return replace(outgoing, body=re.sub(rb'seriesInstanceUID="[^"]*"', named, outgoing.body))
    return outgoing


NOBODY = sample_uid("nobody").encode()
DOCUMENT = rb"<xds:DocumentResponse>(?:(?!</xds:DocumentResponse>).)*</xds:DocumentResponse>"
RETRIEVE = ("RAD-69",)
_SOURCE = "xdsi.source_retrieve/"


def _source(text: str, *caught_by: str, request: RequestEdit | None = None, answer: AnswerEdit | None = None) -> Fault:
    return Fault(
        text=text, transactions=RETRIEVE, caught_by=tuple(_SOURCE + name for name in caught_by), request=request,
        answer=answer,
    )  # fmt: skip


FAULTS: Mapping[str, Fault] = {
    # --- status and errors ---
    "RAD-69/partial-as-success": _source(
        "reports a partial success as success", "missing_instance", answer=answers(re.escape(PARTIAL), SUCCESS)
    ),
    "RAD-69/partial-as-failure": _source(
        "reports a partial success as failure", "missing_instance", answer=answers(re.escape(PARTIAL), FAILURE)
    ),
    "RAD-69/partial-in-oasis": _source(
        "writes PartialSuccess in the wrong namespace", "missing_instance",
        answer=answers(re.escape(PARTIAL), b"urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:PartialSuccess"),
    ),
    "RAD-69/failure-as-success": _source(
        "reports a failure as success", "nothing_held", answer=answers(re.escape(FAILURE), SUCCESS)
    ),
    "RAD-69/success-as-partial": _source(
        "reports a success as partial", "one_instance", answer=answers(re.escape(SUCCESS), PARTIAL)
    ),
    "RAD-69/no-error-location": _source(
        "does not say which instance is missing", "missing_instance", answer=answers(rb' location="[^"]*"', b"")
    ),
    "RAD-69/another-error-code": _source(
        "gives a code of its own", "missing_instance", "another_series",
        answer=answers(rb"XDSDocumentUniqueIdError", b"XDSRepositoryError"),
    ),
    "RAD-69/another-repository-code": _source(
        "does not name an unknown repository as such", "another_repository",
        answer=answers(rb"XDSUnknownRepositoryId", b"XDSRepositoryError"),
    ),
    "RAD-69/silent-failure": _source(
        "fails without saying why", "nothing_held",
        answer=answers(rb"<rs:RegistryErrorList.*?</rs:RegistryErrorList>", b""),
    ),
    "RAD-69/plain-without-documents": _source(
        "packs an answer without documents as plain SOAP", "mtom_without_documents",
        answer=lambda incoming: incoming if b"<xop:Include" in incoming.body else inline(incoming),
    ),
    # --- what comes ---
    "RAD-69/altered-pixels": _source("hands out other pixels", "same_pixels", answer=last_byte_changed),
    "RAD-69/foreign-instance": _source(
        "hands out another instance than it says", "one_instance",
        answer=answers(rb"(DICM.{0,400}?\x08\x00\x18\x00UI..)(\d+\.\d+\.\d)", rb"\g<1>1.2.3", 1),
    ),
    "RAD-69/another-syntax": _source(
        "names another transfer syntax in the file", "asked_syntax",
        answer=answers(rb"(DICM.{0,400}?\x02\x00\x10\x00UI..1\.2\.840\.10008\.1\.2\.)1", rb"\g<1>2"),
    ),
    "RAD-69/media-type": _source(
        "says that an instance is something else", "one_instance",
        answer=answers(rb"<xds:mimeType>application/dicom<", b"<xds:mimeType>application/octet-stream<"),
    ),
    "RAD-69/forgets-one": _source(
        "leaves an instance out without a word", "whole_study",
        answer=answers(DOCUMENT + rb"(?=<xds:DocumentResponse>)", b"", 1),
    ),
    "RAD-69/invents-home": _source(
        "names a home that was not asked", "home_absent",
        answer=answers(
            rb"(?<=<xds:DocumentResponse>)", b"<xds:HomeCommunityId>urn:oid:1.2.3</xds:HomeCommunityId>"
        ),
    ),
    "RAD-69/forgets-home": _source(
        "does not repeat the home that was asked", "home_echoed",
        answer=answers(rb"<xds:HomeCommunityId>.*?</xds:HomeCommunityId>", b""),
    ),
    "RAD-69/element-order": _source(
        "writes mimeType behind Document", "element_order",
        answer=answers(rb"(<xds:mimeType>.*?</xds:mimeType>)(<xds:Document>.*?</xds:Document>)", rb"\2\1"),
    ),
    # --- what is overlooked ---
    "RAD-69/any-series": _source(
        "finds an instance in whatever series", "another_series", "unknown_series", "empty_series",
        request=in_its_own_series,
    ),
    "RAD-69/any-study": _source(
        "finds an instance in whatever study", "another_study", "empty_study",
        request=requests(rb'(?<=studyInstanceUID=")[^"]*', first_study),
    ),
    "RAD-69/empty-is-any": _source(
        "finds an instance where none is named", "empty_instance",
        request=requests(rb"(?<=<xds:DocumentUniqueId>)(?=<)", first_instance),
    ),
    "RAD-69/chokes-on-twice": _source(
        "does not find an instance that is named a second time", "named_twice",
        request=requests(rb"(?<=<xds:DocumentUniqueId>)([^<]*)(?=<.*<xds:DocumentUniqueId>\1<)", NOBODY),
    ),
    "RAD-69/first-syntax-only": _source(
        "reads only the first transfer syntax", "several_syntaxes",
        request=requests(rb"(?<=</iherad:TransferSyntaxUID>)<iherad:Tr.*?</iherad:TransferSyntaxUID>", b""),
    ),
    "RAD-69/any-repository": _source(
        "answers for whatever repository", "another_repository", "empty_repository",
        request=requests(rb"(?<=<xds:RepositoryUniqueId>)[^<]*", to_own("retrieve_location_uid")),
    ),
    "RAD-69/any-syntax": _source(
        "answers in its own syntax whatever was asked", "impossible_syntax",
        request=requests(
            re.escape(sample_uid("no such syntax").encode()), b"1.2.840.10008.1.2.1"
        ),
    ),
}  # fmt: skip
