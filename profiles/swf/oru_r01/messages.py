"""What is announced: a study, whose it is, for which orders, and where it can be seen.

A receiver gets several announcements of one study as it grows; the Study Instance UID tells that they are of one.
"""

from dataclasses import dataclass

from profiles.model.identifiers import AccessionNumber
from profiles.model.imaging import Study
from profiles.model.moment import Moment
from profiles.wire.hl7v2.ack import ACCEPTED, Acknowledgement
from profiles.wire.hl7v2.address import Hl7Address
from profiles.wire.hl7v2.segments import Visit

__all__ = ["ACCEPTED", "Acknowledgement", "StudyAvailable", "Visit"]

IMAGES_AVAILABLE = "R"  # OBR-25, table 0123: results stored, not yet verified; never F, for there is no report


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyAvailable:
    """The images of a study are all here.

    One order group is written for each accession number of the study, one without where it has none. `filler_order` is
    what we, as the filler, call the order (None: its accession number, else the Study Instance UID). The addresses are
    empty where the receiver does not want them: `viewer_url` opens a viewer, `retrieve_url` is the study at WADO-RS.
    `address` and `control_id` (MSH-10) may be left to the carrier.
    """

    study: Study
    viewer_url: str = ""
    retrieve_url: str = ""
    filler_order: AccessionNumber | None = None
    visit: Visit | None = None
    department: str = "RAD"  # OBR-24, table 0074
    status: str = IMAGES_AVAILABLE
    address: Hl7Address | None = None
    control_id: str = ""
    at: Moment | None = None
