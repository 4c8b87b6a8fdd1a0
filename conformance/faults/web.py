"""Wrong DICOMweb servers: what of QIDO-RS, WADO-RS and STOW-RS they overlook, forget or say otherwise.

Source: DICOM PS3.18 8 and 10.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from conformance.faults.edits import (
    AnswerEdit,
    Fault,
    RequestEdit,
    addresses,
    answers,
    last_byte_changed,
    told,
    with_header,
    with_status,
)
from conformance.in_flight import Incoming, Outgoing
from conformance.samples import sample_uid
from conformance.system import System

SEARCH, RETRIEVE, STORE = "wia.source_search/", "wia.source_retrieve/", "wia.manager_store/"
NOBODY = sample_uid("nobody")
Found = list[dict[str, Any]]


def _fault(transaction: str, suite: str) -> Callable[..., Fault]:
    def made(text: str, *caught_by: str, request: RequestEdit | None = None, answer: AnswerEdit | None = None) -> Fault:
        return Fault(
            text=text, transactions=(transaction,), caught_by=tuple(suite + name for name in caught_by), request=request,
            answer=answer,
        )  # fmt: skip

    return made


_search, _retrieve, _store = _fault("RAD-129", SEARCH), _fault("RAD-107", RETRIEVE), _fault("RAD-108", STORE)


def _without(*tags: str) -> AnswerEdit:
    """Results without these attributes."""

    def edit(found: Found) -> None:
        for each in found:
            for tag in tags:
                each.pop(tag, None)

    return told(edit)


def _without_one(found: Found) -> Found:
    return found[:-1] if len(found) > 1 else found


def _count_wrong(found: Found) -> None:
    for each in found:
        for tag in ("00201206", "00201208", "00201209"):
            if each.get(tag, {}).get("Value"):
                each[tag]["Value"] = [each[tag]["Value"][0] + 1]


def _names_as_text(found: Found) -> None:
    for each in found:
        name = each.get("00100010", {}).get("Value")
        if name:
            each["00100010"]["Value"] = [name[0].get("Alphabetic", "")]


def _other_url(found: Found) -> None:
    for each in found:
        if "00081190" in each:
            each["00081190"]["Value"] = [f"http://archive.internal/dicom-web/studies/{each['0020000D']['Value'][0]}"]


def _empty_array(incoming: Incoming) -> Incoming:
    if incoming.status != 204:
        return incoming
    return replace(
        incoming, status=200, body=b"[]", headers={**incoming.headers, "content-type": "application/dicom+json"}
    )


def _anything(outgoing: Outgoing, system: System) -> Outgoing:
    """Whatever is looked for, the known study."""
    known = system.studies[0].study.study_instance_uid
    return replace(outgoing, address=re.sub(r"\?.*", f"?StudyInstanceUID={known}", outgoing.address))


def _first_part_only(incoming: Incoming) -> Incoming:
    found = re.search(r"boundary=\"?([^\";]+)", incoming.headers.get("content-type", ""))
    if found is None:
        return incoming
    boundary = b"--" + found[1].encode()
    parts = incoming.body.split(boundary)
    return replace(incoming, body=boundary.join([*parts[:2], b"--\r\n"])) if len(parts) > 3 else incoming


def _named_away(outgoing: Outgoing, system: System) -> Outgoing:
    """An instance is looked for wherever it is."""
    study = system.studies[0].study
    for series in study.series:
        for instance in series.instances:
            if outgoing.address.endswith(instance.sop_instance_uid):
                place = f"/studies/{study.study_instance_uid}/series/{series.series_instance_uid}/instances/"
                base = outgoing.address.partition("/studies/")[0]
                return replace(outgoing, address=base + place + instance.sop_instance_uid)
    return outgoing


FAULTS: Mapping[str, Fault] = {
    # --- QIDO-RS ---
    "RAD-129/forgets-required": _search(
        "leaves required attributes out", "a_study", answer=_without("00080050", "00200010")
    ),
    "RAD-129/counts-wrongly": _search("counts one too many", "a_study", "all_series", answer=told(_count_wrong)),
    "RAD-129/forgets-one": _search(
        "leaves a result out", "all_series", "all_instances", "paging", answer=told(_without_one)
    ),
    "RAD-129/forgets-class": _search("does not tell the SOP class", "all_instances", answer=_without("00080016")),
    "RAD-129/matches-anything": _search(
        "overlooks what is asked for", "matching", "by_tag", "wildcard", "date_range", "nothing", request=_anything
    ),
    "RAD-129/finds-nothing": _search(
        "finds nothing", "a_study", "all_series", "matching", "uid_list", "include_field", "retrieve_url", "dicom_json",
        request=addresses(r"(?<=[/=,])2\.25\.\d+", NOBODY),
    ),
    "RAD-129/no-ranges": _search(
        "reads a range as one date", "date_range", request=addresses(r"(?<=StudyDate=)(\d*)-\d*", "19000101")
    ),
    "RAD-129/first-uid-only": _search(
        "reads only the first of several UIDs", "uid_list", request=addresses(r",[\d.]+", "")
    ),
    "RAD-129/does-not-decode": _search(
        "compares values as they were encoded", "encoded", request=addresses(r"%", "%25")
    ),
    "RAD-129/empty-array": _search("answers nothing with an empty array", "nothing", answer=_empty_array),
    "RAD-129/off-by-one": _search(
        "begins its pages one too late", "paging", request=addresses(r"offset=0", "offset=1")
    ),
    "RAD-129/overlooks-limit": _search("gives more than asked for", "paging", request=addresses(r"limit=2", "limit=50")),
    "RAD-129/ignores-unknown": _search(
        "overlooks what it does not know", "unknown_attribute", request=addresses(r"NoSuchAttribute=1", "limit=1")
    ),
    "RAD-129/overlooks-includefield": _search(
        "does not add what is asked for", "include_field", answer=_without("00081030")
    ),
    "RAD-129/inner-address": _search("gives the address of the archive behind it", "retrieve_url", answer=told(_other_url)),
    "RAD-129/names-as-text": _search("writes names as text", "dicom_json", answer=told(_names_as_text)),
    "RAD-129/odd-tags": _search(
        "writes tags that are none", "dicom_json",
        answer=told(lambda found: [{f"{tag[:-1]}x": value for tag, value in each.items()} for each in found]),
    ),
    "RAD-129/takes-any-accept": _search(
        "answers in JSON whatever is asked for", "not_acceptable",
        request=lambda outgoing, _: replace(outgoing, headers={**outgoing.headers, "Accept": "*/*"}),
    ),
    # --- WADO-RS ---
    "RAD-107/forgets-one": _retrieve(
        "leaves instances out without a word", "a_study", "a_series", answer=_first_part_only
    ),
    "RAD-107/whole-study": _retrieve(
        "gives the whole study for a series", "a_series", request=addresses(r"/series/[\d.]+$", "")
    ),
    "RAD-107/other-pixels": _retrieve("gives other pixels", "an_instance", answer=last_byte_changed),
    "RAD-107/partial-content": _retrieve(
        "says that some are missing", "a_study", "an_instance", answer=with_status(206, 200)
    ),
    "RAD-107/wrong-label": _retrieve(
        "labels a part with another syntax", "labelled",
        answer=answers(rb"transfer-syntax=\"?1\.2\.840\.10008\.1\.2\.1\"?", b"transfer-syntax=1.2.840.10008.1.2.4.50"),
    ),
    "RAD-107/own-syntax": _retrieve(
        "gives its own syntax where none is asked for", "default_syntax",
        answer=answers(rb"(DICM.{0,400}?\x02\x00\x10\x00UI..1\.2\.840\.10008\.1\.2\.)1", rb"\g<1>2"),
    ),
    "RAD-107/empty-for-unknown": _retrieve(
        "answers 200 for what it does not have", "unknown", "another_place", "unknown_metadata",
        answer=with_status(200, 404),
    ),
    "RAD-107/any-place": _retrieve("finds an instance wherever it is", "another_place", request=_named_away),
    "RAD-107/takes-any-accept": _retrieve(
        "answers in its own form whatever is asked for", "not_acceptable",
        request=lambda outgoing, _: replace(
            outgoing,
            headers={**outgoing.headers, "Accept": outgoing.headers["Accept"].replace("text/x-nothing", "*/*")},
        ),
    ),
    "RAD-107/always-multipart": _retrieve(
        "packs a single part", "single_part", answer=with_header("content-type", "multipart/mixed")
    ),
    "RAD-107/metadata-forgets": _retrieve("leaves an instance out of the metadata", "metadata", answer=told(_without_one)),
    "RAD-107/frames-from-zero": _retrieve(
        "counts frames from zero", "frames",
        request=lambda outgoing, _: replace(
            outgoing, address=re.sub(r"/frames/(\d+)$", lambda found: f"/frames/{int(found[1]) + 1}", outgoing.address)
        ),
    ),
    "RAD-107/no-picture": _retrieve(
        "renders nothing", "rendered", answer=with_header("content-type", "application/octet-stream")
    ),
    # --- STOW-RS ---
    "RAD-108/forgets": _store(
        "says that it stored, and did not", "stored", "again",
        request=lambda outgoing, _: replace(
            outgoing, body=re.sub(rb"2\.25\.\d(?=\d{20})", b"2.25.9", outgoing.body)
        ),
    ),
    "RAD-108/refuses-again": _store("refuses what it has", "again", answer=with_status(409, 200)),
    "RAD-108/any-study": _store(
        "stores whatever study", "another_study", request=addresses(r"/studies/[\d.]+", "/studies")
    ),
    "RAD-108/no-reason": _store(
        "does not say why it failed", "another_study",
        answer=answers(rb'"00081197":\s*\{[^}]*\},?', b""),
    ),
    "RAD-108/success-for-partial": _store(
        "reports some failures as success", "partly", answer=with_status(200, 202)
    ),
    "RAD-108/success-for-failure": _store(
        "reports failure as success", "nothing_stored", "another_study", "media_type", "empty",
        answer=with_status(200, 400, 409, 415),
    ),
    "RAD-108/names-nothing": _store(
        "does not name what it stored", "stored", "partly", answer=answers(rb'"00081199"', b'"00081198"')
    ),
}  # fmt: skip
