"""Any submission at all, for round trips."""

from hypothesis import strategies as st

from profiles.model.codes import Code
from profiles.model.document import (
    Association,
    AssociationType,
    Author,
    DocumentEntry,
    EntryType,
    Folder,
    ReferenceId,
    Submission,
    SubmissionSet,
)
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.moment import Moment
from profiles.model.patient import Patient, PersonName, Sex

# What a slot value can carry: no white space at its ends, no characters that XML has not got.
TEXT = st.text(
    st.one_of(st.characters(blacklist_categories=["Cs", "Cc", "Zs", "Zl", "Zp", "Cn"]), st.sampled_from("<>&\"'^~|\\")),
    min_size=1,
    max_size=12,
)
MAYBE = st.one_of(st.just(""), TEXT)
OID = st.lists(st.integers(0, 9_999), min_size=2, max_size=5).map(lambda parts: Oid(".".join(map(str, parts))))
MOMENT = st.one_of(
    st.datetimes().map(lambda at: Moment.from_dtm(at.strftime("%Y%m%d%H%M%S").zfill(14))),
    st.dates().map(lambda at: Moment.from_dtm(at.strftime("%Y%m%d").zfill(8))),
)
CODE = st.builds(Code, value=TEXT, system=TEXT, display=TEXT)
CODES = st.lists(CODE, max_size=3).map(tuple)
TEXTS = st.lists(TEXT, max_size=2).map(tuple)
PATIENT_ID = st.builds(PatientIdentifier, value=TEXT, authority=OID)
AUTHOR = st.builds(Author, person=TEXT, institutions=TEXTS, roles=TEXTS, specialties=TEXTS, telecommunications=TEXTS)
NAME = st.builds(PersonName, family=TEXT, given=MAYBE, middle=MAYBE, prefix=MAYBE, suffix=MAYBE)
PATIENT = st.builds(
    Patient,
    identifiers=st.lists(PATIENT_ID, min_size=1, max_size=2, unique=True).map(tuple),
    name=NAME,
    birth_date=st.none() | st.dates().map(lambda at: Moment.from_dtm(at.strftime("%Y%m%d").zfill(8))),
    sex=st.sampled_from(Sex),
    address=st.just("1 Main St^^Town"),
)
EXTRA = st.dictionaries(
    TEXT.map(lambda text: f"urn:example:{text}"), st.lists(TEXT, min_size=1, max_size=2).map(tuple), max_size=2
)
REFERENCE = st.builds(ReferenceId, value=TEXT, type=TEXT, authority=st.one_of(st.just(""), OID))


def entries(entry_uuid: str) -> st.SearchStrategy[DocumentEntry]:
    """Any entry with this id."""
    return st.builds(
        DocumentEntry,
        entry_uuid=st.just(entry_uuid),
        unique_id=TEXT,
        patient_id=PATIENT_ID,
        class_code=CODE,
        type_code=CODE,
        format_code=CODE,
        healthcare_facility_type_code=CODE,
        practice_setting_code=CODE,
        confidentiality_codes=st.lists(CODE, min_size=1, max_size=2).map(tuple),
        event_codes=CODES,
        mime_type=TEXT,
        entry_type=st.sampled_from(EntryType),
        title=MAYBE,
        comments=MAYBE,
        authors=st.lists(AUTHOR, max_size=2).map(tuple),
        legal_authenticator=MAYBE,
        creation_time=st.none() | MOMENT,
        service_start_time=st.none() | MOMENT,
        service_stop_time=st.none() | MOMENT,
        language_code=MAYBE,
        source_patient_id=st.none() | PATIENT_ID,
        source_patient=st.none() | PATIENT,
        hash=st.sampled_from(["", "da39a3ee5e6b4b0d3255bfef95601890afd80709"]),
        size_bytes=st.none() | st.integers(0, 10**12),
        repository_unique_id=st.none() | OID,
        home_community_id=st.none() | OID,
        uri=MAYBE,
        reference_ids=st.lists(REFERENCE, max_size=3).map(tuple),
        logical_id=st.sampled_from(["", "urn:uuid:00000000-0000-4000-8000-0000000000aa"]),
        version=st.just(1),
        extra=EXTRA.map(lambda found: tuple(found.items())),
    )


SET = st.builds(
    SubmissionSet,
    entry_uuid=st.just("set"),
    unique_id=TEXT,
    source_id=TEXT,
    patient_id=PATIENT_ID,
    content_type_code=CODE,
    submission_time=MOMENT,
    title=MAYBE,
    comments=MAYBE,
    authors=st.lists(AUTHOR, max_size=2).map(tuple),
    intended_recipients=TEXTS,
    home_community_id=st.none() | OID,
    extra=EXTRA.map(lambda found: tuple(found.items())),
)
FOLDER = st.builds(
    Folder,
    entry_uuid=st.just("folder"),
    unique_id=TEXT,
    patient_id=PATIENT_ID,
    codes=CODES,
    title=MAYBE,
    comments=MAYBE,
    last_update_time=st.none() | MOMENT,
    home_community_id=st.none() | OID,
    extra=EXTRA.map(lambda found: tuple(found.items())),
)
ID = st.sampled_from(["set", "folder", "Document01", "urn:uuid:00000000-0000-4000-8000-0000000000ab"])
ASSOCIATION = st.builds(
    Association,
    entry_uuid=st.just("arrow"),
    type=st.sampled_from(AssociationType),
    source=ID,
    target=ID,
    original=st.sampled_from([None, True, False]),
    extra=EXTRA.map(lambda found: tuple(found.items())),
)
SUBMISSION = st.builds(
    Submission,
    submission_set=SET,
    entries=st.lists(entries("Document01"), max_size=2).map(tuple),
    folders=st.lists(FOLDER, max_size=1).map(tuple),
    associations=st.lists(ASSOCIATION, max_size=2).map(tuple),
)
