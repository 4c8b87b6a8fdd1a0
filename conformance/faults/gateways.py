"""Wrong gateways: what of ITI-38, ITI-39, ITI-80 and RAD-75 they overlook, forget or say otherwise.

Source: ITI TF-2 3.38, 3.39, 3.80; RAD TF-2 4.75; ITI TF-3 4.2.4.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from conformance.faults.documents import ERROR_LIST
from conformance.faults.edits import FAILURE, PARTIAL, SUCCESS, Fault, answers, last_byte_changed, requests
from conformance.faults.retrieve import DOCUMENT, first_study, in_its_own_series, to_own
from conformance.samples import sample_uid
from conformance.system import System

QUERY, FETCH, IMAGES = "xca.responding_query/", "xca.responding_retrieve/", "xcai.responding_gateway/"
TAKE = "xcdr.responding_gateway/"
_REFUSES = ("missing_home", "unknown_home", "unknown_patient", "wrong_hash", "missing_document", "set_twice")
_ENTRY = rb"<rim:ExtrinsicObject (?:(?!</rim:ExtrinsicObject>).)*</rim:ExtrinsicObject>"
_NO_STATUS = rb'<rim:Slot name="\$NoSuchParameter">'


def _query(text: str, *caught_by: str, **edits: Any) -> Fault:
    return Fault(text=text, transactions=("ITI-38",), caught_by=tuple(QUERY + name for name in caught_by), **edits)


def _fetch(text: str, *caught_by: str, **edits: Any) -> Fault:
    return Fault(text=text, transactions=("ITI-39",), caught_by=tuple(FETCH + name for name in caught_by), **edits)


def _takes(text: str, *caught_by: str, **edits: Any) -> Fault:
    return Fault(text=text, transactions=("ITI-80",), caught_by=tuple(TAKE + name for name in caught_by), **edits)


def _images(text: str, *caught_by: str, **edits: Any) -> Fault:
    return Fault(text=text, transactions=("RAD-75",), caught_by=tuple(IMAGES + name for name in caught_by), **edits)


def _home(written: str) -> Callable[[System], bytes]:
    """The system's home, written so."""
    return lambda system: written.format(system.home_community_id).encode()


FAULTS: Mapping[str, Fault] = {
    # --- ITI-38 ---
    "ITI-38/forgets-entries": _query(
        "finds nothing, and says so with success", "finds", "by_unique_id", "home_on_objects", answer=answers(_ENTRY, b"")
    ),
    "ITI-38/forgets-references": _query(
        "answers no references", "home_on_references", answer=answers(rb"<rim:ObjectRef [^>]*/>", b"")
    ),
    "ITI-38/forgets-home": _query(
        "does not say whose the objects are", "home_on_objects", "home_on_references",
        answer=answers(rb' home="[^"]*"', b""),
    ),
    "ITI-38/bare-home": _query(
        "writes its home as an OID", "home_on_objects", "home_on_references",
        answer=answers(rb' home="urn:oid:', b' home="'),
    ),
    "ITI-38/forgets-home-of-sets": _query(
        "says the home of documents only", "home_on_objects",
        answer=answers(rb'(<rim:RegistryPackage [^>]*?) home="[^"]*"', rb"\1"),
    ),
    "ITI-38/foreign-home": _query(
        "says that the objects are another community's", "home_on_objects",
        answer=answers(rb' home="urn:oid:[^"]*"', b' home="urn:oid:1.2.3"'),
    ),
    "ITI-38/home-for-granted": _query(
        "takes itself to be meant where no home is named", "missing_home",
        request=requests(rb"(?<=<rim:AdhocQuery )(?!home=)(?![^>]* home=)", _home('home="urn:oid:{}" ')),
    ),
    "ITI-38/any-home": _query(
        "answers for whatever home", "unknown_home", request=requests(rb'(?<=home=")urn:oid:[^"]*', _home("urn:oid:{}"))
    ),
    "ITI-38/no-home-known": _query(
        "does not read the home", "by_unique_id", request=requests(rb' home="[^"]*"', b"")
    ),
    "ITI-38/no-location": _query(
        "does not say who refuses", "missing_home", "unknown_home", "error_located", "unknown_query",
        answer=answers(rb'(?<= location=")[^"]*', b""),
    ),
    "ITI-38/another-code": _query(
        "gives codes of its own", "missing_home", "unknown_home", "unknown_query",
        answer=answers(rb"XDS(?:MissingHomeCommunityId|UnknownCommunity|UnknownStoredQuery)", b"XDSRegistryError"),
    ),
    "ITI-38/failure-as-success": _query(
        "reports a failure as success", "error_located", "unknown_query",
        answer=answers(re.escape(FAILURE), SUCCESS),
    ),
    "ITI-38/status-for-granted": _query(
        "does not ask for what a query needs", "error_located",
        request=requests(_NO_STATUS, b'<rim:Slot name="$XDSDocumentEntryStatus">'),
    ),
    # --- ITI-39 ---
    "ITI-39/altered": _fetch("hands out other bytes", "comes", answer=last_byte_changed),
    "ITI-39/media-type": _fetch(
        "says that a document is something else", "comes",
        answer=answers(rb"<xds:mimeType>text/plain<", b"<xds:mimeType>text/xml<"),
    ),
    "ITI-39/forgets-home": _fetch(
        "does not say whose the documents are", "home_on_documents",
        answer=answers(rb"<xds:HomeCommunityId>.*?</xds:HomeCommunityId>", b""),
    ),
    "ITI-39/bare-home": _fetch(
        "writes its home as an OID", "home_on_documents",
        answer=answers(rb"(?<=<xds:HomeCommunityId>)urn:oid:", b""),
    ),
    "ITI-39/forgets-one": _fetch(
        "leaves a document out without a word", "home_on_documents",
        answer=answers(DOCUMENT + rb"(?=<xds:DocumentResponse>)", b"", 1),
    ),
    "ITI-39/partial-as-success": _fetch(
        "reports a partial success as success", "partly", "partly_of_strangers", answer=answers(re.escape(PARTIAL), SUCCESS)
    ),
    "ITI-39/failure-as-success": _fetch(
        "reports a failure as success", "nothing", "another_repository", "missing_home", "unknown_home",
        answer=answers(re.escape(FAILURE), SUCCESS),
    ),
    "ITI-39/silent-failure": _fetch("fails without saying why", "nothing", answer=answers(ERROR_LIST, b"")),
    "ITI-39/no-home-in-errors": _fetch(
        "names only the document where it fails", "partly", "nothing", "another_repository",
        answer=answers(rb'(location="[^" ]*) [^"]*', rb"\1"),
    ),
    "ITI-39/no-document-in-errors": _fetch(
        "names only its home where it fails", "partly", "nothing", answer=answers(rb'(location=")[^" ]* ', rb"\1")
    ),
    "ITI-39/any-repository": _fetch(
        "answers for whatever repository", "another_repository",
        request=requests(rb"(?<=<xds:RepositoryUniqueId>)[^<]*", to_own("repository_unique_id")),
    ),
    "ITI-39/home-for-granted": _fetch(
        "takes itself to be meant where no home is named", "missing_home",
        request=requests(
            rb"(?<=<xds:DocumentRequest>)(?=<xds:RepositoryUniqueId>)",
            _home("<xds:HomeCommunityId>urn:oid:{}</xds:HomeCommunityId>"),
        ),
    ),
    "ITI-39/any-home": _fetch(
        "answers for whatever home", "unknown_home", "partly_of_strangers",
        request=requests(rb"(?<=<xds:HomeCommunityId>)[^<]*", _home("urn:oid:{}")),
    ),
    "ITI-39/element-order": _fetch(
        "writes mimeType behind Document", "element_order",
        answer=answers(rb"(<xds:mimeType>.*?</xds:mimeType>)(<xds:Document>.*?</xds:Document>)", rb"\2\1"),
    ),
    # --- ITI-80 ---
    "ITI-80/forgets": _takes(
        "says that it took what it did not", "taken",
        request=requests(rb"(?<=<xdr:homeCommunityId>)urn:oid:[^<]*", b"urn:oid:1.2.3"),
        answer=answers(re.escape(FAILURE), SUCCESS),
    ),
    "ITI-80/home-for-granted": _takes(
        "takes itself to be meant where no home is named", "missing_home",
        request=requests(
            rb"(?<!</xdr:homeCommunityBlock>)(?=</s:Header>)",
            _home(
                '<xdr:homeCommunityBlock xmlns:xdr="urn:ihe:iti:xdr:2014"><xdr:homeCommunityId>urn:oid:{}'
                "</xdr:homeCommunityId></xdr:homeCommunityBlock>"
            ),
        ),
    ),
    "ITI-80/any-home": _takes(
        "takes what is for whatever home", "unknown_home",
        request=requests(rb"urn:oid:2\.25\.\d{20,}", _home("urn:oid:{}")),
    ),
    "ITI-80/any-patient": _takes(
        "takes documents of whomever", "unknown_patient",
        request=requests(rb"nobody-\d+", lambda system: system.patients[0].value.encode()),
    ),
    "ITI-80/any-hash": _takes(
        "does not look at hash and size", "wrong_hash",
        request=requests(rb'<rim:Slot name="(?:hash|size)">.*?</rim:Slot>', b""),
    ),
    "ITI-80/failure-as-success": _takes(
        "reports a failure as success", *_REFUSES, answer=answers(re.escape(FAILURE), SUCCESS)
    ),
    "ITI-80/partial": _takes(
        "reports a partial success, which a submission has not", *_REFUSES, answer=answers(re.escape(FAILURE), PARTIAL)
    ),
    "ITI-80/another-code": _takes(
        "gives codes of its own", *_REFUSES, answer=answers(rb'(?<=errorCode=")[^"]*', b"XDSRepositoryError")
    ),
    # --- RAD-75 ---
    "RAD-75/altered-pixels": _images("hands out other pixels", "same_pixels", answer=last_byte_changed),
    "RAD-75/foreign-instance": _images(
        "hands out another instance than it says", "one_instance",
        answer=answers(rb"(DICM.{0,400}?\x08\x00\x18\x00UI..)(\d+\.\d+\.\d)", rb"\g<1>1.2.3", 1),
    ),
    "RAD-75/media-type": _images(
        "says that an instance is something else", "one_instance", "whole_study",
        answer=answers(rb"<xds:mimeType>application/dicom<", b"<xds:mimeType>application/octet-stream<"),
    ),
    "RAD-75/forgets-one": _images(
        "leaves an instance out without a word", "whole_study", "home_on_documents", "same_pixels", "asked_syntax",
        answer=answers(DOCUMENT + rb"(?=<xds:DocumentResponse>)", b"", 1),
    ),
    "RAD-75/another-syntax": _images(
        "names another transfer syntax in the file", "asked_syntax",
        answer=answers(rb"(DICM.{0,400}?\x02\x00\x10\x00UI..1\.2\.840\.10008\.1\.2\.)1", rb"\g<1>2"),
    ),
    "RAD-75/syntaxes-of-its-own": _images(
        "asks the source for other syntaxes than it was asked for", "impossible_syntax",
        request=requests(re.escape(sample_uid("no such syntax").encode()), b"1.2.840.10008.1.2.1"),
    ),
    "RAD-75/partial-as-success": _images(
        "reports a partial success as success", "missing_instance", "partly_of_strangers",
        answer=answers(re.escape(PARTIAL), SUCCESS),
    ),
    "RAD-75/partial-as-failure": _images(
        "reports a partial success as failure", "missing_instance", "partly_of_strangers",
        answer=answers(re.escape(PARTIAL), FAILURE),
    ),
    "RAD-75/failure-as-success": _images(
        "reports a failure as success", "nothing_held", "another_repository", "missing_home", "unknown_home",
        answer=answers(re.escape(FAILURE), SUCCESS),
    ),
    "RAD-75/silent-failure": _images("fails without saying why", "nothing_held", answer=answers(ERROR_LIST, b"")),
    "RAD-75/location-of-source": _images(
        "names the instance where it fails, as a source would", "missing_instance", "nothing_held", "another_series",
        answer=answers(rb'(?<= location=")[^"]*', b"1.2.3.4"),
    ),
    "RAD-75/no-location": _images(
        "does not say who refuses", "missing_home", "unknown_home", answer=answers(rb'(?<= location=")[^"]*', b"")
    ),
    "RAD-75/any-series": _images(
        "finds an instance in whatever series", "another_series", request=in_its_own_series
    ),
    "RAD-75/any-study": _images(
        "finds an instance in whatever study", "another_study",
        request=requests(rb'(?<=studyInstanceUID=")[^"]*', first_study),
    ),
    "RAD-75/any-repository": _images(
        "answers for whatever source", "another_repository",
        request=requests(rb"(?<=<xds:RepositoryUniqueId>)[^<]*", to_own("retrieve_location_uid")),
    ),
    "RAD-75/forgets-home": _images(
        "does not say whose the instances are", "home_on_documents",
        answer=answers(rb"<xds:HomeCommunityId>.*?</xds:HomeCommunityId>", b""),
    ),
    "RAD-75/bare-home": _images(
        "writes its home as an OID", "home_on_documents",
        answer=answers(rb"(?<=<xds:HomeCommunityId>)urn:oid:", b""),
    ),
    "RAD-75/home-for-granted": _images(
        "takes itself to be meant where no home is named", "missing_home",
        request=requests(
            rb"(?<=<xds:DocumentRequest>)(?=<xds:RepositoryUniqueId>)",
            _home("<xds:HomeCommunityId>urn:oid:{}</xds:HomeCommunityId>"),
        ),
    ),
    "RAD-75/any-home": _images(
        "answers for whatever home", "unknown_home", "partly_of_strangers",
        request=requests(rb"(?<=<xds:HomeCommunityId>)[^<]*", _home("urn:oid:{}")),
    ),
    "RAD-75/element-order": _images(
        "writes mimeType behind Document", "element_order",
        answer=answers(rb"(<xds:mimeType>.*?</xds:mimeType>)(<xds:Document>.*?</xds:Document>)", rb"\2\1"),
    ),
}  # fmt: skip
