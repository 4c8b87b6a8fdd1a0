"""The audit record of the read: DICOM Instances Accessed."""

from collections import Counter

from profiles.ehr.interaction import read_records
from profiles.ehr.read_imaging_study.messages import ReadImagingStudyRequest, ReadImagingStudyResponse
from profiles.model.audit import AuditRecord
from profiles.transaction import Facts, Side, StudyFact
from profiles.wire.audit.participants import study_object


def audit(
    side: Side, request: ReadImagingStudyRequest | None, response: ReadImagingStudyResponse | None, facts: Facts
) -> tuple[AuditRecord, ...]:
    """The study and its patient; after a failure the UID that was asked for."""
    if response is None:
        studies = facts.studies or (
            (StudyFact(study_instance_uid=request.study_instance_uid),) if request is not None else ()
        )
        return read_records(side, facts, facts.patients, *map(study_object, studies))
    study = response.study.study
    classes = Counter(str(instance.sop_class_uid) for _, instance in study.instances())
    fact = StudyFact(
        study_instance_uid=study.study_instance_uid,
        accession_numbers=tuple(number.value for number in study.accession_numbers),
        sop_classes=tuple(classes.items()),
    )
    return read_records(side, facts, study.patient.identifiers[:1], study_object(fact))
