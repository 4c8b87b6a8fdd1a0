"""An announcement with everything in it."""

from dataclasses import replace

from profiles.model.codes import Code
from profiles.model.identifiers import AccessionNumber, Oid, Uid
from profiles.model.imaging import Study
from profiles.model.moment import Moment
from profiles.swf.oru_r01 import StudyAvailable, Visit
from tests.support.hl7 import person

UID = Uid("1.2.826.0.1.3680043.9.9999.10.7")
PHOTO = Code(value="DERMPHOTO", system="L", display="Dermatology photo")

STUDY = Study(
    study_instance_uid=UID,
    patient=replace(person(), address="Main St 1^^Town^^12345^DEU^H"),
    accession_numbers=(AccessionNumber(value="GWACC0001", authority=Oid("1.2.8")),),
    started=Moment.from_dtm("20260305101000"),
    procedure_codes=(PHOTO,),
)

AVAILABLE = StudyAvailable(
    study=STUDY,
    filler_order=AccessionNumber(value="FI90"),
    visit=Visit(patient_class="O", number=AccessionNumber(value="V123", authority=Oid("1.2.5"))),
    department="DERM",
)
