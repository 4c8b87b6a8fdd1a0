"""The DICOM conformance statement for what radgate serves, made of the tables of `profiles`.

Source: DICOM PS3.2 (what a statement says), PS3.18 (web services).
"""

from collections.abc import Iterator

from pydicom.datadict import dictionary_description
from pydicom.uid import UID

from conformance.blocks import Block, Heading, Table
from profiles.catalogue import TRANSACTIONS
from profiles.errors import Condition
from profiles.model.codes import KOS_SOP_CLASS
from profiles.model.modalities import MODALITY_OF_SOP_CLASS
from profiles.transaction import HttpTransaction
from profiles.wia.rad129.codec import MATCH_KEYS
from profiles.wia.rad129.messages import MAX_INSTANCES, MAX_RESULTS
from profiles.wire.dicom.charset import DEFINED_TERMS
from profiles.wire.dicom.encode import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from profiles.wire.dicom.picture import Picture
from profiles.wire.dicom.rewrite import COERCED_TAGS
from profiles.wire.dicom.status import COERCED, FAILURE_REASONS, HTTP_STATUS
from profiles.wire.dicom.syntaxes import MEDIA_TYPES, RECEIVABLE
from profiles.wire.dicom.web import DICOM_JSON, SERVICE, WEB_SYNTAXES


def dicom_statement() -> Iterator[Block]:
    """Services, what is searched by, what is stored and how it changes, syntaxes, classes, statuses, character sets."""
    yield Heading(2, "DICOM conformance statement")
    yield (
        f"Implementation Class UID {IMPLEMENTATION_CLASS_UID.decode()}, Implementation Version Name "
        f"{IMPLEMENTATION_VERSION_NAME.decode()}. The application is an origin server of the Studies Service "
        "(PS3.18 10); as user "
        "agent it asks an archive behind it by the same resources. DICOM is served by web services alone: no DIMSE "
        "service is "
        "offered, neither as SCU nor as SCP, and no media are written."
    )
    yield from _services()
    yield from _storage()
    yield from _syntaxes_and_classes()
    yield from _statuses()
    yield Heading(3, "Character sets")
    yield f"Specific Character Set (0008,0005): {', '.join(DEFINED_TERMS)}; with code extensions (ISO 2022) when read."
    yield Heading(3, "Security")
    yield (
        "HTTP/1.1 over TLS with certificates of both sides (ITI-19) and audit messages by syslog over TLS "
        "(ITI-20), as stated "
        "above. No attribute confidentiality profile (PS3.15 Annex E) is applied: nothing is de-identified."
    )


def _services() -> Iterator[Block]:
    yield Heading(3, "Web services")
    yield Table(
        ("Transaction", "Method", "Resource"),
        tuple(
            (each.id, method, path)
            for each in TRANSACTIONS
            if isinstance(each, HttpTransaction) and each.service == SERVICE
            for path in each.paths
            for method in each.methods
        ),
    )
    yield (
        "Retrieve: multipart/related of application/dicom or of the media types below, single-part "
        "application/dicom for an "
        f"instance; metadata as {DICOM_JSON} or multipart application/dicom+xml; rendered as {', '.join(Picture)}, "
        "with window and "
        "viewport. What is missing of a study makes the answer 206. Bulk data resources (PS3.18 10.4.1.1.5) are "
        "not offered."
    )
    yield Heading(3, "Search")
    yield Table(
        ("Parameter", "Support"),
        (
            ("matching", f"{', '.join(sorted(MATCH_KEYS))}; by value, UIDs, wild card, range (PS3.4 C.2.2.2)"),
            ("includefield", "yes, also all"),
            ("limit, offset", f"yes; at most {MAX_RESULTS:,} results and {MAX_INSTANCES:,} instances in an answer; a "
             "Warning tells of the rest"),
            ("fuzzymatching, emptyvaluematching, multiplevaluematching", "no: a Warning says that matching was literal"),
            ("results", f"{DICOM_JSON} or multipart application/dicom+xml; 204 where nothing is found"),
        ),
    )  # fmt: skip


def _storage() -> Iterator[Block]:
    yield Heading(3, "Storage")
    yield (
        "Level 2 (full): every attribute of what is stored is kept, private ones too. Where the patient or "
        "the order is known otherwise than the instance says, these attributes may be coerced; what they were is kept in "
        f"Original Attributes Sequence (0400,0561), and the response tells it by Warning Reason {COERCED:04X}."
    )
    yield Table(
        ("Tag", "Attribute"),
        tuple((f"({tag >> 16:04X},{tag & 0xFFFF:04X})", dictionary_description(tag)) for tag in COERCED_TAGS),
    )


def _syntaxes_and_classes() -> Iterator[Block]:
    yield Heading(3, "Transfer syntaxes")
    yield "Instances are kept as they came; in each of these they are received."
    media = {syntax: name for name, syntaxes in MEDIA_TYPES.items() for syntax in syntaxes}
    yield Table(
        ("UID", "Name", "Media type of a frame", "Retrieved as stored by transfer-syntax=*"),
        tuple(
            (uid, _name(uid), media.get(uid, "application/octet-stream"), "yes" if uid in WEB_SYNTAXES else "no")
            for uid in RECEIVABLE
        ),
    )
    yield Heading(3, "SOP classes")
    yield (
        f"Created: {_name(KOS_SOP_CLASS)} ({KOS_SOP_CLASS}), the manifests of what is shared. Stored: every class; "
        "what comes in "
        "the form of a file (PS3.10) is refused for no class. Of these the modality is known where only a manifest "
        "tells of the "
        "series:"
    )
    yield Table(("UID", "Name", "Modality"), tuple((uid, _name(uid), of) for uid, of in MODALITY_OF_SOP_CLASS.items()))


def _statuses() -> Iterator[Block]:
    yield Heading(3, "Statuses")
    yield "What is wrong, the HTTP status then, and the Failure Reason (0008,1197) of an instance that is not stored."
    yield Table(
        ("Condition", "HTTP status", "Failure Reason"),
        tuple(
            (each.name.lower().replace("_", " "), str(HTTP_STATUS[each]), f"{FAILURE_REASONS[each]:04X}")
            for each in Condition
        ),
    )  # fmt: skip


def _name(uid: str) -> str:
    name = UID(uid).name
    return "" if name == uid else name
