"""RAD-129 (QIDO-RS) at whoever serves images by DICOMweb.

Source: RAD TF-2 4.129; DICOM PS3.18 8.3.4, 10.6.
"""

import re
from typing import Any

from conformance.case import case
from conformance.expect import expect
from conformance.samples import sample_uid
from conformance.suites.wia.dicomweb import Attributes, first, firsts, results, retrieved, searched
from conformance.target import Target
from profiles.transaction import Actor

SOURCE = Actor.IMAGING_DOCUMENT_SOURCE
STUDY, SERIES, INSTANCE = "0020000D", "0020000E", "00080018"
OF_A_STUDY = (
    "00080020", "00080030", "00080050", "00080061", "00080090", "00100010", "00100020", "00100030", "00100040",
    STUDY, "00200010", "00201206", "00201208",
)  # fmt: skip
OF_A_SERIES = ("00080060", SERIES, "00200011", "00201209")
OF_AN_INSTANCE = ("00080016", INSTANCE, "00200013")


@case(
    "RAD129/levels",
    "RAD129/study",
    transaction="RAD-129",
    actor=SOURCE,
    title="A study is found with all that a study has",
)
async def a_study(target: Target) -> None:
    """By its UID; counts are those of what it holds."""
    known = target.study().study
    found = await results(target, "/studies", ("StudyInstanceUID", known.study_instance_uid))
    expect(firsts(found, STUDY), "the studies").equals([known.study_instance_uid])
    expect(list(found[0]), "the attributes").contains(*OF_A_STUDY)
    expect(first(found[0], "00201206"), "NumberOfStudyRelatedSeries").equals(len(known.series))
    expect(first(found[0], "00201208"), "NumberOfStudyRelatedInstances").equals(len(known.instances))


@case("RAD129/levels", "RAD129/series", transaction="RAD-129", actor=SOURCE, title="The series of a study are found")
async def all_series(target: Target) -> None:
    """Each with its modality and its number of instances."""
    known = target.study(series=2).study
    found = await results(target, f"/studies/{known.study_instance_uid}/series")
    expect(firsts(found, SERIES), "the series").has_same([each.series_instance_uid for each in known.series])
    counts = {each.series_instance_uid: len(each.instances) for each in known.series}
    for each in found:
        expect(list(each), "the attributes").contains(*OF_A_SERIES)
        expect(first(each, "00201209"), "NumberOfSeriesRelatedInstances").equals(counts[first(each, SERIES)])


@case(
    "RAD129/levels", "RAD129/instance", transaction="RAD-129", actor=SOURCE, title="The instances of a series are found"
)
async def all_instances(target: Target) -> None:
    """Each with its SOP class."""
    known = target.study().study
    series = known.series[0]
    at = f"/studies/{known.study_instance_uid}/series/{series.series_instance_uid}/instances"
    found = await results(target, at)
    expect(firsts(found, INSTANCE), "the instances").has_same([each.sop_instance_uid for each in series.instances])
    for each in found:
        expect(list(each), "the attributes").contains(*OF_AN_INSTANCE)


@case(
    "RAD129/match",
    transaction="RAD-129",
    actor=SOURCE,
    title="Studies are found by patient, accession number, modality and date",
)
async def matching(target: Target) -> None:
    """Each finds the study; another value does not."""
    known = target.study().study
    told = await _told(target)
    for keyword, tag in (("PatientID", "00100020"), ("AccessionNumber", "00080050"), ("StudyDate", "00080020")):
        value = first(told, tag)
        if value:
            await _finds(target, known.study_instance_uid, keyword, str(value))
            await _misses(target, known.study_instance_uid, keyword, "19000101" if tag == "00080020" else "NOBODYS")
    modality = known.series[0].modality
    await _finds(target, known.study_instance_uid, "ModalitiesInStudy", modality)
    await _misses(target, known.study_instance_uid, "ModalitiesInStudy", "XA" if modality != "XA" else "OT")


@case("RAD129/match", transaction="RAD-129", actor=SOURCE, title="A tag is as good as a keyword")
async def by_tag(target: Target) -> None:
    """0020000D is StudyInstanceUID."""
    known = target.study().study
    await _finds(target, known.study_instance_uid, STUDY, known.study_instance_uid)
    await _misses(target, known.study_instance_uid, STUDY, sample_uid("nobody"))


@case("RAD129/wildcard", transaction="RAD-129", actor=SOURCE, title="A name is found by its beginning and *")
async def wildcard(target: Target) -> None:
    """Without the asterisk the beginning alone does not find it."""
    known = target.study().study
    told = await _told(target)
    name = first(told, "00100010") or {}
    family = str(name.get("Alphabetic", "")).partition("^")[0]
    expect(family, "the family name").is_there()
    await _finds(target, known.study_instance_uid, "PatientName", f"{family[:2]}*")
    await _misses(target, known.study_instance_uid, "PatientName", family[:2])


@case("RAD129/encoding", transaction="RAD-129", actor=SOURCE, title="A value that is percent-encoded is the same value")
async def encoded(target: Target) -> None:
    """Every digit of a UID: RFC 3986 6.2.2.2 says that they are equivalent."""
    known = target.study().study
    value = "".join(f"%{ord(each):02X}" for each in known.study_instance_uid)
    path = f"/studies?StudyInstanceUID={value}"
    expect(firsts(await results(target, path), STUDY), "the studies").equals([known.study_instance_uid])


@case("RAD129/wildcard", transaction="RAD-129", actor=SOURCE, title="Studies are found in a range of dates")
async def date_range(target: Target) -> None:
    """Open at either end."""
    known = target.study().study
    told = await _told(target)
    date = str(first(told, "00080020"))
    for span in (f"{date}-{date}", f"{date}-", f"-{date}"):
        await _finds(target, known.study_instance_uid, "StudyDate", span)
    await _misses(target, known.study_instance_uid, "StudyDate", "19000101-19000102")


@case("RAD129/wildcard", transaction="RAD-129", actor=SOURCE, title="Several UIDs are alternatives")
async def uid_list(target: Target) -> None:
    """One of them is nobody's."""
    known = target.study().study
    await _finds(
        target, known.study_instance_uid, "StudyInstanceUID", f"{sample_uid('nobody')},{known.study_instance_uid}"
    )


@case("RAD129/nothing", transaction="RAD-129", actor=SOURCE, title="Nothing found is 204")
async def nothing(target: Target) -> None:
    """A UID of nobody."""
    answer = await searched(target, "/studies", ("StudyInstanceUID", sample_uid("nobody")))
    expect(answer.status, "the HTTP status").equals(204)
    expect(answer.body, "the body").is_absent()


@case("RAD129/paging", transaction="RAD-129", actor=SOURCE, title="Pages put together are the whole")
async def paging(target: Target) -> None:
    """The instances of a study, one and two at a time."""
    known = target.study(instances=3).study
    at = f"/studies/{known.study_instance_uid}/instances"
    whole = firsts(await results(target, at), INSTANCE)
    paged: list[Any] = []
    for offset in range(0, len(whole), 2):
        page = await results(target, at, ("limit", "2"), ("offset", str(offset)))
        expect(len(page) <= 2, "whether a page keeps to its limit").equals(True)
        paged += firsts(page, INSTANCE)
    expect(paged, "the pages").equals(whole)


@case("RAD129/unknown", transaction="RAD-129", actor=SOURCE, title="An attribute that is none is refused")
async def unknown_attribute(target: Target) -> None:
    """A keyword of nobody."""
    expect((await searched(target, "/studies", ("NoSuchAttribute", "1"))).status, "the HTTP status").equals(400)


@case("RAD129/include", transaction="RAD-129", actor=SOURCE, title="An attribute that is asked for comes")
async def include_field(target: Target) -> None:
    """StudyDescription."""
    known = target.study().study
    found = await results(
        target, "/studies", ("StudyInstanceUID", known.study_instance_uid), ("includefield", "StudyDescription")
    )
    expect(firsts(found, STUDY), "the studies").equals([known.study_instance_uid])
    expect(first(found[0], "00081030"), "StudyDescription").equals(known.description)


@case("RAD129/url", transaction="RAD-129", actor=SOURCE, title="The Retrieve URL leads to the study")
async def retrieve_url(target: Target) -> None:
    """Below the address that was asked: another one may not be reachable for who asks."""
    address = str(first(await _told(target), "00081190") or "")
    base = target.endpoint("DICOMWEB")
    expect(address.startswith(base), f"whether {address} is below {base}").equals(True)
    answer = await retrieved(target, address.removeprefix(base) + "/metadata", "application/dicom+json")
    expect(answer.status, "the HTTP status there").equals(200)


@case("RAD129/json", transaction="RAD-129", actor=SOURCE, title="Answers are DICOM JSON")
async def dicom_json(target: Target) -> None:
    """Tags, value representations and names as the model writes them."""
    told = await _told(target)
    expect([tag for tag in told if not re.fullmatch("[0-9A-F]{8}", tag)], "keys that are no tags").is_absent()
    expect(list(told), "the tags").equals(sorted(told))
    expect([tag for tag, each in told.items() if not each.get("vr")], "attributes without vr").is_absent()
    expect([tag for tag, each in told.items() if not _right(each)], "attributes with an empty value").is_absent()
    name = first(told, "00100010")
    expect(
        isinstance(name, dict) and set(name) <= {"Alphabetic", "Ideographic", "Phonetic"}, "whether a name is an object"
    ).equals(True)


@case("RAD129/accept", transaction="RAD-129", actor=SOURCE, title="A media type that nobody can make is refused")
async def not_acceptable(target: Target) -> None:
    """text/x-nothing."""
    known = target.study().study
    answer = await searched(target, "/studies", ("StudyInstanceUID", known.study_instance_uid), accept="text/x-nothing")
    expect(answer.status, "the HTTP status").equals(406)


async def _told(target: Target) -> Attributes:
    """The known study, found by its UID."""
    known = target.study().study
    found = await results(target, "/studies", ("StudyInstanceUID", known.study_instance_uid))
    expect(firsts(found, STUDY), "the studies").equals([known.study_instance_uid])
    return found[0]


def _right(attribute: Attributes) -> bool:
    """An attribute without a value has nothing but its vr."""
    return bool(attribute.get("Value")) if "Value" in attribute else True


async def _finds(target: Target, uid: str, keyword: str, value: str) -> None:
    expect(uid in await _narrowed(target, uid, keyword, value), f"whether {keyword} finds the study").equals(True)


async def _misses(target: Target, uid: str, keyword: str, value: str) -> None:
    expect(uid in await _narrowed(target, uid, keyword, value), f"whether another {keyword} finds the study").equals(
        False
    )


async def _narrowed(target: Target, uid: str, keyword: str, value: str) -> list[str]:
    """What is left of the study: a system may hold more than it tells on one page."""
    own = () if keyword in ("StudyInstanceUID", STUDY) else (("StudyInstanceUID", uid),)
    return firsts(await results(target, "/studies", *own, (keyword, value)), STUDY)
