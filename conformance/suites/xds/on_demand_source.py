"""ITI-61 as an on-demand document source asks it: an entry of a document that is made when it is asked for.

Source: ITI TF-2 3.61; ITI TF-1 10.2.7.
"""

from conformance.case import case
from conformance.expect import expect
from conformance.samples import SampleStudy
from conformance.simulators.soap_server import Asked
from conformance.suites.asking import Errand, Facts, asking_cases, cx
from conformance.suites.wia.dicomweb import awaited, bodies_of, new_study, store
from conformance.suites.xds.changing import only_entry, refusals
from conformance.target import Target
from profiles.model.codes import MANIFEST_FORMAT
from profiles.model.document import STUDY_INSTANCE_UID, DocumentEntry, EntryType
from profiles.transaction import Actor
from profiles.wire.ebxml.response import ResponseStatus
from profiles.wire.ebxml.retrieve import DocumentRequest
from profiles.xds.iti43 import ITI_43, RetrieveDocumentSetRequest
from profiles.xds.iti61 import ITI_61

SOURCE = Actor.ON_DEMAND_DOCUMENT_SOURCE


async def _study(target: Target) -> tuple[SampleStudy, Facts]:
    study = await new_study(target)
    await store(target, bodies_of(study))
    await awaited(target, study)
    return study, {"study": str(study.study_instance_uid), "patient": cx(target.patient())}


def _is_of(study: SampleStudy, asked: Asked) -> bool:
    """It may offer others too."""
    return str(study.study_instance_uid).encode() in asked.body


OFFER = Errand("offer", ITI_61, _study, _is_of)

CASES = asking_cases(
    __name__, SOURCE, OFFER, rules="ITI61/asks-rules", told="ITI61/asks-told", refusals=refusals("XDSRegistryError")
)


@case("ITI61/asks-kind", transaction="ITI-61", actor=SOURCE, title="The entry is of a document that is made on demand")
async def kind(target: Target) -> None:
    """Its objectType."""
    entry = await _offered(target)
    expect(entry.entry_type, "objectType").equals(EntryType.ON_DEMAND)


@case("ITI61/asks-nothing", transaction="ITI-61", actor=SOURCE, title="Nothing is said of bytes that are not there yet")
async def no_bytes(target: Target) -> None:
    """Neither creationTime nor hash nor size."""
    entry = await _offered(target)
    expect((entry.creation_time, entry.hash, entry.size_bytes), "creationTime, hash and size").equals((None, "", None))


@case(
    "ITI61/asks-place",
    transaction="ITI-61",
    actor=SOURCE,
    title="The entry says where the document can be had: at the source",
)
async def place(target: Target) -> None:
    """RepositoryUniqueId is the source's own."""
    entry = await _offered(target)
    expect(str(entry.repository_unique_id), "repositoryUniqueId").equals(target.known("repository_unique_id"))


@case(
    "ITI61/asks-entry", transaction="ITI-61", actor=SOURCE, title="The entry says whose and what the document will be"
)
async def described(target: Target) -> None:
    """The patient, as the domain knows him, the media type and format of a manifest, and the study."""
    study, asked = await OFFER.asked(target)
    entry = only_entry(asked)
    expect(entry.patient_id, "patientId").equals(target.patient())
    expect((entry.mime_type, entry.format_code.value), "mimeType and formatCode").equals(
        ("application/dicom", MANIFEST_FORMAT.value)
    )
    told = [(each.value, each.type) for each in entry.reference_ids]
    expect(told, "referenceIdList").contains((str(study.study_instance_uid), STUDY_INSTANCE_UID))


@case("ITI61/asks-kept", transaction="ITI-61", actor=SOURCE, title="What is offered can be had when it is registered")
async def retrievable(target: Target) -> None:
    """By ITI-43 at the source."""
    entry = await _offered(target)
    wanted = DocumentRequest(
        repository_unique_id=str(entry.repository_unique_id), document_unique_id=entry.unique_id, home_community_id=None
    )
    answer = await target.call(ITI_43, RetrieveDocumentSetRequest(documents=(wanted,)))
    expect(answer.response.head.status, "the status").equals(ResponseStatus.SUCCESS)
    expect(len(answer.received), "the number of documents").equals(1)


async def _offered(target: Target) -> DocumentEntry:
    _, asked = await OFFER.asked(target)
    return only_entry(asked)
