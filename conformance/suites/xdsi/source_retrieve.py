"""RAD-69 at an imaging document source: what is asked for, and only that, comes in a syntax that was asked for.

Source: RAD TF-2 4.69; ITI TF-2 3.43 (the response), Appendix V.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from conformance.case import case
from conformance.expect import expect
from conformance.samples import SampleInstance, SampleStudy, sample_uid
from conformance.suites.elsewhere import elsewhere_cases
from conformance.suites.envelope import envelope_cases
from conformance.suites.retrieved import in_schema_order
from conformance.target import Answer, Target
from profiles.model.content import Poured
from profiles.model.identifiers import Oid
from profiles.transaction import Actor
from profiles.xdsi.rad69 import (
    RAD_69,
    DocumentRequest,
    RegistryError,
    ResponseStatus,
    RetrieveDocumentSetResponse,
    RetrieveImagingDocumentSetRequest,
    SeriesRequest,
    StudyRequest,
)

SOURCE = Actor.IMAGING_DOCUMENT_SOURCE
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
IMPLICIT_LITTLE = "1.2.840.10008.1.2"
NOBODY = sample_uid("nobody")
Retrieved = Answer[Poured[RetrieveDocumentSetResponse]]


async def one_held(target: Target) -> RetrieveImagingDocumentSetRequest:
    """A request that can be answered well."""
    study = target.study().study
    return of(target, study, study.instances[:1])


ENVELOPE = envelope_cases(__name__, RAD_69, SOURCE, one_held)
ELSEWHERE = elsewhere_cases(__name__, RAD_69, SOURCE, one_held)


# --- what it shall do -------------------------------------------------------------------------------------------------


@case("RAD69-instance", "RAD69-partial", transaction="RAD-69", actor=SOURCE, title="One instance that is held comes")
async def one_instance(target: Target) -> None:
    """The smallest request there is."""
    study = target.study().study
    answer = await target.call(RAD_69, of(target, study, study.instances[:1]))
    _holds(answer, study.instances[:1])


@case("RAD69-instance", transaction="RAD-69", actor=SOURCE, title="A whole study comes, each instance once")
async def whole_study(target: Target) -> None:
    """Every series of it in one request."""
    study = target.study(series=2).study
    answer = await target.call(RAD_69, of(target, study, study.instances))
    _holds(answer, study.instances)


@case("RAD69-content", transaction="RAD-69", actor=SOURCE, title="The pixels are those that were stored")
async def same_pixels(target: Target) -> None:
    """By the hash of each Pixel Data value, where the syntax is the stored one."""
    study = target.study().study
    wanted = [each for each in study.instances if each.pixels_sha256][:10]
    answer = await target.call(RAD_69, of(target, study, wanted, sorted({each.transfer_syntax_uid for each in wanted})))
    came = {each.sop_instance_uid: each for each in answer.received}
    for each in wanted:
        received = came.get(each.sop_instance_uid)
        expect(received, "an instance that is held").is_there()
        assert received is not None
        if received.transfer_syntax_uid == each.transfer_syntax_uid:
            expect(received.pixels_sha256, "the SHA-256 of the pixel data").equals(each.pixels_sha256)


@case(
    "RAD69-instance",
    transaction="RAD-69",
    actor=SOURCE,
    title="An instance that is named twice comes once or is told twice",
)
async def named_twice(target: Target) -> None:
    """Nothing forbids to ask twice; a second copy with the same id could not be told from the first."""
    study = target.study().study
    answer = await target.call(RAD_69, of(target, study, [study.instances[0], study.instances[0]]))
    expect(answer.response.head.status, "the status").equals(ResponseStatus.SUCCESS)
    expect({each.key for each in answer.received}, "what came").equals({study.instances[0].sop_instance_uid})


@case(
    "RAD69-partial", "RAD69-019", transaction="RAD-69", actor=SOURCE,
    title="A missing instance makes a partial success that names it",
)  # fmt: skip
async def missing_instance(target: Target) -> None:
    """What is held comes all the same."""
    study = target.study().study
    unknown = replace(study.instances[0], sop_instance_uid=NOBODY)
    answer = await target.call(RAD_69, of(target, study, [study.instances[0], unknown]))
    expect(answer.response.head.status, "the status").equals(ResponseStatus.PARTIAL_SUCCESS)
    expect([each.key for each in answer.received], "what came").has_same([study.instances[0].sop_instance_uid])
    _names(answer.response.head.errors, NOBODY, "XDSDocumentUniqueIdError")


@case("RAD69-partial", transaction="RAD-69", actor=SOURCE, title="Nothing but missing instances is a failure")
async def nothing_held(target: Target) -> None:
    """A success without documents would be a lie."""
    study = target.study().study
    answer = await target.call(RAD_69, of(target, study, [replace(study.instances[0], sop_instance_uid=NOBODY)]))
    _fails(answer, "XDSDocumentUniqueIdError")


@case("RAD69-hierarchy", transaction="RAD-69", actor=SOURCE, title="An instance is not found in another series")
async def another_series(target: Target) -> None:
    """The instance is held, and the series that is named is not its own."""
    study = target.study(series=2).study
    first, second = study.series[0], study.series[1]
    answer = await target.call(
        RAD_69,
        request(
            study.study_instance_uid,
            second.series_instance_uid,
            _location(target),
            [first.instances[0].sop_instance_uid],
        ),
    )
    _fails(answer, "XDSDocumentUniqueIdError")


@case("RAD69-hierarchy", transaction="RAD-69", actor=SOURCE, title="An instance is not found in a series that is not")
async def unknown_series(target: Target) -> None:
    """Study and instance are right."""
    study = target.study().study
    answer = await target.call(
        RAD_69, request(study.study_instance_uid, NOBODY, _location(target), [study.instances[0].sop_instance_uid])
    )
    _fails(answer, "XDSDocumentUniqueIdError")


@case("RAD69-hierarchy", transaction="RAD-69", actor=SOURCE, title="An instance is not found in another study")
async def another_study(target: Target) -> None:
    """Series and instance are right."""
    series = target.study().study.series[0]
    answer = await target.call(
        RAD_69, request(NOBODY, series.series_instance_uid, _location(target), [series.instances[0].sop_instance_uid])
    )
    _fails(answer, "XDSDocumentUniqueIdError")


@case("RAD69-empty", transaction="RAD-69", actor=SOURCE, title="An empty study UID is an error")
async def empty_study(target: Target) -> None:
    """Empty UIDs are valid by the schema."""
    series = target.study().study.series[0]
    _fails(
        await target.call(
            RAD_69, request("", series.series_instance_uid, _location(target), [series.instances[0].sop_instance_uid])
        )
    )


@case("RAD69-empty", transaction="RAD-69", actor=SOURCE, title="An empty series UID is an error")
async def empty_series(target: Target) -> None:
    """Never "any series"."""
    study = target.study().study
    _fails(
        await target.call(
            RAD_69, request(study.study_instance_uid, "", _location(target), [study.instances[0].sop_instance_uid])
        )
    )


@case("RAD69-empty", transaction="RAD-69", actor=SOURCE, title="An empty instance UID is an error")
async def empty_instance(target: Target) -> None:
    """Never "the whole series"."""
    study = target.study().study
    series = study.series[0]
    _fails(
        await target.call(
            RAD_69, request(study.study_instance_uid, series.series_instance_uid, _location(target), [""])
        )
    )


@case("RAD69-repository", transaction="RAD-69", actor=SOURCE, title="A repository that is not the source's is refused")
async def another_repository(target: Target) -> None:
    """The instance is held; who is asked for it is not."""
    study = target.study().study
    series = study.series[0]
    answer = await target.call(
        RAD_69,
        request(study.study_instance_uid, series.series_instance_uid, NOBODY, [series.instances[0].sop_instance_uid]),
    )
    _fails(answer, "XDSUnknownRepositoryId")


@case("RAD69-empty", transaction="RAD-69", actor=SOURCE, title="An empty repository id is an error")
async def empty_repository(target: Target) -> None:
    """Never "yours"."""
    study = target.study().study
    series = study.series[0]
    _fails(
        await target.call(
            RAD_69,
            request(study.study_instance_uid, series.series_instance_uid, "", [series.instances[0].sop_instance_uid]),
        )
    )


@case("RAD69-005", transaction="RAD-69", actor=SOURCE, title="What comes is in a syntax that was asked for")
async def asked_syntax(target: Target) -> None:
    """Explicit VR Little Endian alone: whatever is stored must be turned into it, or refused."""
    study = target.study().study
    answer = await target.call(RAD_69, of(target, study, study.instances[:5], [EXPLICIT_LITTLE]))
    for each in answer.received:
        expect(each.transfer_syntax_uid, "the transfer syntax").equals(EXPLICIT_LITTLE)
    errors = [error.location for error in answer.response.head.errors]
    expect([*errors, *(each.key for each in answer.received)], "what was answered").has_same(
        [each.sop_instance_uid for each in study.instances[:5]]
    )


@case(
    "RAD69-005",
    transaction="RAD-69",
    actor=SOURCE,
    title="A syntax that it cannot give is an error, not another syntax",
)
async def impossible_syntax(target: Target) -> None:
    """A private syntax that nobody has."""
    study = target.study().study
    answer = await target.call(RAD_69, of(target, study, study.instances[:1], [sample_uid("no such syntax")]))
    _fails(answer)


@case(
    "RAD69-005",
    transaction="RAD-69",
    actor=SOURCE,
    title="The order of syntaxes expresses no preference that must fail",
)
async def several_syntaxes(target: Target) -> None:
    """One that cannot be given stands before one that can."""
    study = target.study().study
    asked = [sample_uid("no such syntax"), EXPLICIT_LITTLE, IMPLICIT_LITTLE, study.instances[0].transfer_syntax_uid]
    answer = await target.call(RAD_69, of(target, study, study.instances[:1], asked))
    expect(answer.response.head.status, "the status").equals(ResponseStatus.SUCCESS)
    expect(answer.received[0].transfer_syntax_uid, "the transfer syntax").is_one_of(*asked)


@case("RAD69-home", transaction="RAD-69", actor=SOURCE, title="A home community comes back as it was asked")
async def home_echoed(target: Target) -> None:
    """Asked with the source's own."""
    study, home = target.study().study, Oid(target.known("home_community_id"))
    answer = await target.call(RAD_69, of(target, study, study.instances[:1], home=home))
    expect(answer.response.head.status, "the status").equals(ResponseStatus.SUCCESS)
    expect(answer.response.head.documents[0].home_community_id, "HomeCommunityId").equals(home)


@case("RAD69-home", transaction="RAD-69", actor=SOURCE, title="No home community is invented")
async def home_absent(target: Target) -> None:
    """Asked without one."""
    study = target.study().study
    answer = await target.call(RAD_69, of(target, study, study.instances[:1]))
    expect(answer.response.head.documents, "DocumentResponse").is_there()
    expect(answer.response.head.documents[0].home_community_id, "HomeCommunityId").is_absent()


# --- how it says it ---------------------------------------------------------------------------------------------------


@case("V/packaging", transaction="RAD-69", actor=SOURCE, title="An answer without documents is MTOM too")
async def mtom_without_documents(target: Target) -> None:
    """The packaging is the transaction's, not the content's."""
    study = target.study().study
    answer = await target.call(RAD_69, of(target, study, [replace(study.instances[0], sop_instance_uid=NOBODY)]))
    expect(answer.packaging, "the packaging").equals(RAD_69.packaging)


@case("RAD69-schema", transaction="RAD-69", actor=SOURCE, title="The elements of the answer stand in their order")
async def element_order(target: Target) -> None:
    """RegistryResponse first, then each DocumentResponse with its children in the schema's order."""
    study = target.study().study
    in_schema_order(await target.call(RAD_69, of(target, study, study.instances[:2])))


# --- how a request is made, and what an answer must have --------------------------------------------------------------


def of(
    target: Target,
    study: SampleStudy,
    instances: Sequence[SampleInstance],
    syntaxes: Sequence[str] | None = None,
    home: Oid | None = None,
) -> RetrieveImagingDocumentSetRequest:
    """A request for instances of a study, each in its own series; `syntaxes` None: as they are stored, or plain."""
    location = _location(target)
    wanted = [each.sop_instance_uid for each in instances]
    series = []
    for each in study.series:
        held = {instance.sop_instance_uid for instance in each.instances}
        named = [uid for uid in wanted if uid in held or (uid not in _uids(study) and each is study.series[0])]
        if named:
            series.append(
                SeriesRequest(
                    series_instance_uid=each.series_instance_uid,
                    documents=tuple(
                        DocumentRequest(repository_unique_id=location, document_unique_id=uid, home_community_id=home)
                        for uid in named
                    ),
                )
            )
    stored = sorted({each.transfer_syntax_uid for each in instances})
    return RetrieveImagingDocumentSetRequest(
        studies=(StudyRequest(study_instance_uid=study.study_instance_uid, series=tuple(series)),),
        transfer_syntax_uids=tuple(dict.fromkeys(syntaxes or [*stored, EXPLICIT_LITTLE])),
    )


def request(study: str, series: str, location: str, instances: Iterable[str]) -> RetrieveImagingDocumentSetRequest:
    """A request that says exactly this, right or wrong."""
    named = tuple(DocumentRequest(repository_unique_id=location, document_unique_id=uid) for uid in instances)
    asked = SeriesRequest(series_instance_uid=series, documents=named)
    return RetrieveImagingDocumentSetRequest(
        studies=(StudyRequest(study_instance_uid=study, series=(asked,)),), transfer_syntax_uids=(EXPLICIT_LITTLE,)
    )


def _uids(study: SampleStudy) -> frozenset[str]:
    return frozenset(each.sop_instance_uid for each in study.instances)


def _location(target: Target) -> str:
    return target.known("retrieve_location_uid")


def _holds(answer: Retrieved, instances: Sequence[SampleInstance]) -> None:
    """Success, no error, and these very instances."""
    head = answer.response.head
    expect(head.status, "the status").equals(ResponseStatus.SUCCESS)
    expect(head.errors, "RegistryErrorList").is_absent()
    expect([each.key for each in answer.received], "what came").has_same([each.sop_instance_uid for each in instances])
    for each in answer.received:
        expect(each.sop_instance_uid, "the SOP Instance UID in the file").equals(each.key)
    for document in head.documents:
        expect(document.mime_type, "mimeType").equals("application/dicom")


def _fails(answer: Retrieved, code: str = "") -> None:
    """Failure, at least one error (with this code), and nothing else."""
    head = answer.response.head
    expect(head.status, "the status").equals(ResponseStatus.FAILURE)
    expect([error.code for error in head.errors], "the error codes").is_there()
    if code:
        expect([error.code for error in head.errors], "the error codes").contains(code)
    expect(answer.received, "what came").is_absent()


def _names(errors: Sequence[RegistryError], uid: str, code: str) -> None:
    """One of the errors is about this instance."""
    expect([error.location for error in errors], "the locations of the errors").contains(uid)
    expect([error.code for error in errors if error.location == uid], "the error codes").contains(code)
