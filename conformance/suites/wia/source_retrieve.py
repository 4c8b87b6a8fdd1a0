"""RAD-107 (WADO-RS) at whoever serves images by DICOMweb.

Source: RAD TF-2 4.107; DICOM PS3.18 8.7, 10.4.
"""

from conformance.case import case
from conformance.expect import expect
from conformance.samples import sample_uid
from conformance.suites.wia.dicomweb import ANY_SYNTAX, DICOM, JSON, firsts, retrieved
from conformance.target import Target
from profiles.transaction import Actor

SOURCE = Actor.IMAGING_DOCUMENT_SOURCE
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
NOBODY = sample_uid("nobody")


@case("RAD107/resources", transaction="RAD-107", actor=SOURCE, title="A study comes whole, each instance once")
async def a_study(target: Target) -> None:
    """As a multipart of DICOM files."""
    known = target.study(series=2).study
    answer = await retrieved(target, f"/studies/{known.study_instance_uid}", ANY_SYNTAX)
    expect(answer.status, "the HTTP status").equals(200)
    expect([each.sop_instance_uid for each in answer.parts], "the instances").has_same(
        [each.sop_instance_uid for each in known.instances]
    )


@case("RAD107/resources", transaction="RAD-107", actor=SOURCE, title="A series comes without its neighbours")
async def a_series(target: Target) -> None:
    """The second of a study."""
    known = target.study(series=2).study
    series = known.series[1]
    answer = await retrieved(
        target, f"/studies/{known.study_instance_uid}/series/{series.series_instance_uid}", ANY_SYNTAX
    )
    expect([each.sop_instance_uid for each in answer.parts], "the instances").has_same(
        [each.sop_instance_uid for each in series.instances]
    )


@case(
    "RAD107/resources",
    "RAD107/content",
    transaction="RAD-107",
    actor=SOURCE,
    title="An instance comes with the pixels that were stored",
)
async def an_instance(target: Target) -> None:
    """In the syntax that it is stored in."""
    known = target.study().study
    answer = await retrieved(target, _at(target), ANY_SYNTAX)
    expect(answer.status, "the HTTP status").equals(200)
    expect([each.sop_instance_uid for each in answer.parts], "the instance").equals(
        [known.instances[0].sop_instance_uid]
    )
    expect(answer.parts[0].pixels_sha256, "the SHA-256 of the pixel data").equals(known.instances[0].pixels_sha256)


@case(
    "RAD107/syntax",
    transaction="RAD-107",
    actor=SOURCE,
    title="Without a transfer syntax Explicit VR Little Endian comes",
)
async def default_syntax(target: Target) -> None:
    """The default of the web; what cannot be turned into it is 406."""
    answer = await retrieved(target, _at(target), DICOM)
    if answer.status != 406:
        expect(answer.status, "the HTTP status").equals(200)
        expect([each.transfer_syntax_uid for each in answer.parts], "the transfer syntax").equals([EXPLICIT_LITTLE])


@case("RAD107/syntax", transaction="RAD-107", actor=SOURCE, title="Each part says in which syntax it is")
async def labelled(target: Target) -> None:
    """Its Content-Type and its file agree."""
    answer = await retrieved(target, _at(target), ANY_SYNTAX)
    expect(answer.parts, "the parts").is_there()
    for each in answer.parts:
        kind, _, syntax = each.media_type.replace(" ", "").partition(";transfer-syntax=")
        expect(kind, "the media type of a part").equals("application/dicom")
        expect(syntax or EXPLICIT_LITTLE, "the transfer syntax of its Content-Type").equals(each.transfer_syntax_uid)


@case("RAD107/unknown", transaction="RAD-107", actor=SOURCE, title="What is not there is 404")
async def unknown(target: Target) -> None:
    """A study, a series and an instance of nobody."""
    known = target.study().study
    study, series = known.study_instance_uid, known.series[0].series_instance_uid
    for path in (
        f"/studies/{NOBODY}",
        f"/studies/{study}/series/{NOBODY}",
        f"/studies/{study}/series/{series}/instances/{NOBODY}",
    ):
        expect(
            (await retrieved(target, path, ANY_SYNTAX)).status, f"the HTTP status of {path.count('/') // 2} levels"
        ).equals(404)


@case(
    "RAD107/hierarchy", transaction="RAD-107", actor=SOURCE, title="An instance is not found in another series or study"
)
async def another_place(target: Target) -> None:
    """It is held, and elsewhere."""
    known = target.study(series=2).study
    uid = known.series[0].instances[0].sop_instance_uid
    other = known.series[1].series_instance_uid
    for path in (
        f"/studies/{known.study_instance_uid}/series/{other}/instances/{uid}",
        f"/studies/{NOBODY}/series/{known.series[0].series_instance_uid}/instances/{uid}",
    ):
        expect((await retrieved(target, path, ANY_SYNTAX)).status, "the HTTP status").equals(404)


@case("RAD107/accept", transaction="RAD-107", actor=SOURCE, title="A form that nobody can make is refused")
async def not_acceptable(target: Target) -> None:
    """A media type of nobody."""
    expect((await retrieved(target, _at(target), "text/x-nothing")).status, "the HTTP status").equals(406)


@case("RAD107/single", transaction="RAD-107", actor=SOURCE, title="One instance can be had as a single part")
async def single_part(target: Target) -> None:
    """Accept: application/dicom."""
    answer = await retrieved(target, _at(target), "application/dicom; transfer-syntax=*")
    expect(answer.status, "the HTTP status").equals(200)
    expect(answer.media_type, "the media type").equals("application/dicom")
    expect(answer.body[128:132], "the prefix of the file").equals(b"DICM")


@case(
    "RAD107/metadata",
    transaction="RAD-107 metadata",
    actor=SOURCE,
    title="Metadata tells of every instance in one array",
)
async def metadata(target: Target) -> None:
    """Without pixels, and without file meta information."""
    known = target.study().study
    answer = await retrieved(target, f"/studies/{known.study_instance_uid}/metadata", JSON)
    expect(answer.status, "the HTTP status").equals(200)
    expect(answer.media_type, "the media type").equals(JSON)
    told = answer.json()
    expect(firsts(told, "00080018"), "the instances").has_same([each.sop_instance_uid for each in known.instances])
    expect([tag for each in told for tag in each if tag.startswith("0002")], "file meta information").is_absent()
    expect(any("InlineBinary" in each.get("7FE00010", {}) for each in told), "whether pixels are inline").equals(False)


@case("RAD107/metadata", transaction="RAD-107 metadata", actor=SOURCE, title="The metadata of an unknown study is 404")
async def unknown_metadata(target: Target) -> None:
    """Not an empty array."""
    expect((await retrieved(target, f"/studies/{NOBODY}/metadata", JSON)).status, "the HTTP status").equals(404)


@case(
    "RAD107/frames",
    transaction="RAD-107 frames",
    actor=SOURCE,
    title="The first frame comes, and one too many does not",
)
async def frames(target: Target) -> None:
    """Frames are counted from one."""
    accept = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
    answer = await retrieved(target, f"{_at(target)}/frames/1", accept)
    expect(answer.status, "the HTTP status").equals(200)
    expect([each.size_bytes > 0 for each in answer.parts], "whether the frame has bytes").equals([True])
    beyond = target.study().study.instances[0].frames + 1
    expect((await retrieved(target, f"{_at(target)}/frames/{beyond}", accept)).status, "the HTTP status beyond").equals(
        404
    )
    expect((await retrieved(target, f"{_at(target)}/frames/0", accept)).status, "the HTTP status of frame 0").is_one_of(
        400, 404
    )


@case("RAD107/rendered", transaction="RAD-107 rendered", actor=SOURCE, title="An image can be had as JPEG")
async def rendered(target: Target) -> None:
    """Something that every browser shows."""
    answer = await retrieved(target, f"{_at(target)}/rendered", "image/jpeg")
    expect(answer.status, "the HTTP status").equals(200)
    expect(answer.media_type, "the media type").equals("image/jpeg")
    expect(answer.body[:2], "how it begins").equals(b"\xff\xd8")


def _at(target: Target) -> str:
    """The first instance of the known study."""
    known = target.study().study
    series = known.series[0]
    return (
        f"/studies/{known.study_instance_uid}/series/{series.series_instance_uid}"
        f"/instances/{series.instances[0].sop_instance_uid}"
    )
