"""RAD-75 at a responding imaging gateway: instances of a community as its source would give them, each with its home.

Source: RAD TF-2 4.75; ITI TF-2 3.43 (the response), Appendix V.
"""

from dataclasses import replace

from conformance.case import case
from conformance.expect import expect
from conformance.samples import SampleInstance, sample_uid
from conformance.submissions import new_uid
from conformance.suites.elsewhere import elsewhere_cases
from conformance.suites.envelope import envelope_cases
from conformance.suites.retrieved import home_written, in_schema_order, partial_or_only_successes
from conformance.suites.xdsi.source_retrieve import EXPLICIT_LITTLE, NOBODY, Retrieved, of
from conformance.target import Target
from profiles.model.identifiers import Oid
from profiles.transaction import Actor
from profiles.wire.ebxml.response import ResponseStatus
from profiles.xcai.rad75 import RAD_75, RetrieveImagingDocumentSetRequest
from profiles.xdsi.rad69 import DocumentRequest, SeriesRequest, StudyRequest

GATEWAY = Actor.RESPONDING_IMAGING_GATEWAY


async def one_held(target: Target) -> RetrieveImagingDocumentSetRequest:
    """A request that can be answered well."""
    study = target.study().study
    return of(target, study, study.instances[:1], home=_home(target))


ENVELOPE = envelope_cases(__name__, RAD_75, GATEWAY, one_held)
ELSEWHERE = elsewhere_cases(__name__, RAD_75, GATEWAY, one_held, "RAD75-007")


@case("RAD75-001", "RAD75-005", transaction="RAD-75", actor=GATEWAY, title="One instance that is held comes")
async def one_instance(target: Target) -> None:
    """The smallest request there is."""
    _holds(await target.call(RAD_75, await one_held(target)), target.study().study.instances[:1])


@case("RAD75-001", "RAD75-005", transaction="RAD-75", actor=GATEWAY, title="A whole study comes, each instance once")
async def whole_study(target: Target) -> None:
    """Every series of it in one request."""
    study = target.study(series=2).study
    answer = await target.call(RAD_75, of(target, study, study.instances, home=_home(target)))
    _holds(answer, study.instances)


@case("RAD75/content", transaction="RAD-75", actor=GATEWAY, title="The pixels are those that were stored")
async def same_pixels(target: Target) -> None:
    """By the hash of each Pixel Data value, where the syntax is the stored one."""
    study = target.study().study
    wanted = [each for each in study.instances if each.pixels_sha256][:10]
    syntaxes = sorted({each.transfer_syntax_uid for each in wanted})
    answer = await target.call(RAD_75, of(target, study, wanted, syntaxes, home=_home(target)))
    came = {(each.sop_instance_uid, each.transfer_syntax_uid): each.pixels_sha256 for each in answer.received}
    for each in wanted:
        expect(
            came.get((each.sop_instance_uid, each.transfer_syntax_uid), each.pixels_sha256),
            "the SHA-256 of the pixel data",
        ).equals(each.pixels_sha256)
    expect([each.sop_instance_uid for each in answer.received], "what came").has_same(
        [each.sop_instance_uid for each in wanted]
    )


@case("RAD75/syntaxes", transaction="RAD-75", actor=GATEWAY, title="What comes is in a syntax that was asked for")
async def asked_syntax(target: Target) -> None:
    """Explicit VR Little Endian alone: the list goes on to the source as it came."""
    study = target.study().study
    answer = await target.call(RAD_75, of(target, study, study.instances[:3], [EXPLICIT_LITTLE], home=_home(target)))
    expect([each.key for each in answer.received], "what came").has_same(
        [each.sop_instance_uid for each in study.instances[:3]]
    )
    for each in answer.received:
        expect(each.transfer_syntax_uid, "the transfer syntax").equals(EXPLICIT_LITTLE)


@case("RAD75/syntaxes", transaction="RAD-75", actor=GATEWAY, title="A syntax that nobody has is an error")
async def impossible_syntax(target: Target) -> None:
    """Not another syntax."""
    study = target.study().study
    asked = of(target, study, study.instances[:1], [sample_uid("no such syntax")], home=_home(target))
    _fails(target, await target.call(RAD_75, asked))


@case("RAD75-003", "RAD75-004", transaction="RAD-75", actor=GATEWAY, title="A missing instance keeps no other back")
async def missing_instance(target: Target) -> None:
    """A partial success, or a success that tells only of what is held."""
    study = target.study().study
    unknown = replace(study.instances[0], sop_instance_uid=NOBODY)
    answer = await target.call(RAD_75, of(target, study, [study.instances[0], unknown], home=_home(target)))
    expect([each.key for each in answer.received], "what came").equals([study.instances[0].sop_instance_uid])
    partial_or_only_successes(answer.response.head, "XDSDocumentUniqueIdError")
    _located(target, answer)


@case("RAD75-003", "RAD75-004", transaction="RAD-75", actor=GATEWAY, title="Nothing but missing instances is a failure")
async def nothing_held(target: Target) -> None:
    """Nobody of the community has it."""
    _fails(target, await target.call(RAD_75, _one(target, instance=NOBODY)), "XDSDocumentUniqueIdError")


@case("RAD75/hierarchy", transaction="RAD-75", actor=GATEWAY, title="An instance is not found in another series")
async def another_series(target: Target) -> None:
    """The instance is held, and the series that is named is not its own."""
    other = target.study(series=2).study.series[1].series_instance_uid
    _fails(target, await target.call(RAD_75, _one(target, series=other)), "XDSDocumentUniqueIdError")


@case("RAD75/hierarchy", transaction="RAD-75", actor=GATEWAY, title="An instance is not found in another study")
async def another_study(target: Target) -> None:
    """Series and instance are right."""
    _fails(target, await target.call(RAD_75, _one(target, study=NOBODY)), "XDSDocumentUniqueIdError")


@case("RAD75/repository", transaction="RAD-75", actor=GATEWAY, title="A source of nobody is refused")
async def another_repository(target: Target) -> None:
    """The instance is held; who is asked for it does not stand behind the gateway."""
    _fails(target, await target.call(RAD_75, _one(target, location=new_uid())), "XDSUnknownRepositoryId")


@case("RAD75/home", transaction="RAD-75", actor=GATEWAY, title="Every instance says the home that it was asked of")
async def home_on_documents(target: Target) -> None:
    """HomeCommunityId of each DocumentResponse."""
    study = target.study(instances=2).study
    answer = await target.call(RAD_75, of(target, study, study.instances[:2], home=_home(target)))
    expect(home_written(answer), "HomeCommunityId").equals([_home(target).urn] * 2)


@case(
    "RAD75/missing-home", transaction="RAD-75", actor=GATEWAY, title="An instance that is asked of no home is refused"
)
async def missing_home(target: Target) -> None:
    """Between communities nothing goes without saying."""
    study = target.study().study
    _fails(target, await target.call(RAD_75, of(target, study, study.instances[:1])), "XDSMissingHomeCommunityId")


@case("RAD75/unknown-home", transaction="RAD-75", actor=GATEWAY, title="A home that is not the gateway's is refused")
async def unknown_home(target: Target) -> None:
    """Study, series, instance and source are right."""
    _fails(target, await target.call(RAD_75, _one(target, home=Oid(new_uid()))), "XDSUnknownCommunity")


@case(
    "RAD75/unknown-home", "RAD75-003", transaction="RAD-75", actor=GATEWAY,
    title="One instance of a stranger's keeps no other back",
)  # fmt: skip
async def partly_of_strangers(target: Target) -> None:
    """Of two instances that are held, one is asked of another home."""
    study = target.study(instances=2).study
    ours, theirs = study.instances[:2]
    asked = (of(target, study, [ours], home=_home(target)), of(target, study, [theirs], home=Oid(new_uid())))
    both = replace(asked[0], studies=(*asked[0].studies, *asked[1].studies))
    answer = await target.call(RAD_75, both)
    expect([each.key for each in answer.received], "what came").equals([ours.sop_instance_uid])
    partial_or_only_successes(answer.response.head, "XDSUnknownCommunity")
    _located(target, answer)


@case("RAD75/schema", transaction="RAD-75", actor=GATEWAY, title="The elements of the answer stand in their order")
async def element_order(target: Target) -> None:
    """RegistryResponse first, then each DocumentResponse with its children in the schema's order."""
    in_schema_order(await target.call(RAD_75, await one_held(target)))


def _home(target: Target) -> Oid:
    return Oid(target.known("home_community_id"))


def _one(
    target: Target,
    *,
    study: str = "",
    series: str = "",
    instance: str = "",
    location: str = "",
    home: Oid | None = None,
) -> RetrieveImagingDocumentSetRequest:
    """A request for an instance that is held, but for what is given."""
    known = target.study(series=2).study
    first = known.series[0]
    document = DocumentRequest(
        repository_unique_id=location or target.known("retrieve_location_uid"),
        document_unique_id=instance or first.instances[0].sop_instance_uid, home_community_id=home or _home(target),
    )  # fmt: skip
    asked = SeriesRequest(series_instance_uid=series or first.series_instance_uid, documents=(document,))
    return RetrieveImagingDocumentSetRequest(
        studies=(StudyRequest(study_instance_uid=study or known.study_instance_uid, series=(asked,)),),
        transfer_syntax_uids=tuple(dict.fromkeys((first.instances[0].transfer_syntax_uid, EXPLICIT_LITTLE))),
    )


def _holds(answer: Retrieved, instances: tuple[SampleInstance, ...]) -> None:
    """Success, no error, and these very instances."""
    head = answer.response.head
    expect(head.status, "the status").equals(ResponseStatus.SUCCESS)
    expect(head.errors, "RegistryErrorList").is_absent()
    expect([each.key for each in answer.received], "what came").has_same([each.sop_instance_uid for each in instances])
    for each in answer.received:
        expect(each.sop_instance_uid, "the SOP Instance UID in the file").equals(each.key)
    expect({each.mime_type for each in head.documents}, "mimeType").equals({"application/dicom"})


def _fails(target: Target, answer: Retrieved, code: str = "") -> None:
    """Failure with an error (of this code), each at the gateway's home, and nothing else."""
    head = answer.response.head
    expect(head.status, "the status").equals(ResponseStatus.FAILURE)
    expect([each.code for each in head.errors], "the error codes").is_there()
    if code:
        expect([each.code for each in head.errors], "the error codes").contains(code)
    expect(answer.received, "what came").is_absent()
    _located(target, answer)


def _located(target: Target, answer: Retrieved) -> None:
    """The location of every error is the gateway's home, and nothing else (RAD75-004)."""
    for each in answer.response.head.errors:
        expect(each.location, "the location of the error").equals(_home(target).urn)
