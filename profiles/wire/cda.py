"""Clinical documents as bytes: which kind of imaging report they are, and what they say of themselves.

What a newcomer gets wrong: the uniqueId of a CDA is in it (`root^extension` of its id), that of a PDF is made.

Source: HL7 CDA R2 (header); RAD TF-2 4.68.4.1.2 (RAD68-012, -013); formatcode value set of IHE.
"""

from dataclasses import dataclass
from enum import Enum

from lxml import etree

from profiles.errors import MalformedMessage, Unsupported
from profiles.model.codes import Code
from profiles.model.moment import Moment
from profiles.wire.xml import parse

FORMAT_CODES = "1.3.6.1.4.1.19376.1.2.3"
CDA = "{urn:hl7-org:v3}"
PDF_MAGIC = b"%PDF-"


class ReportKind(Enum):
    """The kinds of report that a source may share: media type and formatCode."""

    STRUCTURED = ("text/xml", "urn:ihe:rad:CDA:ImagingReportStructuredHeadings:2013", "Imaging Report, structured")
    WRAPPED_TEXT = ("text/xml", "urn:ihe:rad:TEXT", "CDA Wrapped Text Report")
    PDF = ("application/pdf", "urn:ihe:rad:PDF", "PDF Report")

    @property
    def mime_type(self) -> str:
        """As the entry says it."""
        return self.value[0]

    @property
    def format_code(self) -> Code:
        """As the entry says it."""
        return Code(value=self.value[1], system=FORMAT_CODES, display=self.value[2])


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the bytes of a report say of it; `unique_id` is "" where they do not."""

    kind: ReportKind
    unique_id: str = ""
    title: str = ""
    written: Moment | None = None


NO_REPORT = (
    "Submit any other document as one of its patient (--patient); DICOM goes by its manifest: `radgate study share`"
)


def read_report(body: bytes) -> Report:
    """Which kind of report it is, with what it says of itself.

    Raises:
        MalformedMessage: XML that cannot be read, or a CDA without an id.
        Unsupported: Neither PDF nor CDA.
    """
    if body.startswith(PDF_MAGIC):
        return Report(kind=ReportKind.PDF)
    if not body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        raise Unsupported("a report is PDF or CDA", cure=NO_REPORT)
    root = parse(body)
    if root.tag != f"{CDA}ClinicalDocument":
        raise Unsupported(f"a report is PDF or CDA, and this is {etree.QName(root).localname[:60]}", cure=NO_REPORT)
    id_ = root.find(f"{CDA}id")
    if id_ is None or not id_.get("root"):
        raise MalformedMessage("the CDA has no id", location="/ClinicalDocument/id")
    text = root.find(f"{CDA}component/{CDA}nonXMLBody/{CDA}text")
    wrapped = text is not None and (text.get("mediaType") or "").lower() in ("", "text/plain")
    if text is not None and not wrapped:
        raise Unsupported("a CDA may wrap text/plain here; a PDF is shared as it is")
    extension = id_.get("extension")
    return Report(
        kind=ReportKind.WRAPPED_TEXT if wrapped else ReportKind.STRUCTURED,
        unique_id=f"{id_.get('root')}^{extension}" if extension else str(id_.get("root")),
        title=" ".join((root.findtext(f"{CDA}title") or "").split()),
        written=_moment(root.find(f"{CDA}effectiveTime")),
    )


def _moment(element: etree._Element | None) -> Moment | None:
    try:
        return Moment.from_dtm((element.get("value") or "") if element is not None else "")
    except ValueError:
        return None
