"""Every message that others published is sent to a house as it stands, and answered as it should be: none is left out.

What a sample asks about is not there, except where its authors published the answer too: then the house has what is asked
for, and answers as they expect. What cannot be sent is listed with the test that reads it.

Source: the standards collection's samples, whose README tells what each is.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from lxml.etree import QName
from pydicom import dcmread

from profiles.model.content import DICOM, Content
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.pixv3.iti44 import BY_EVENT, RecordEvent
from profiles.transaction import SoapTransaction
from profiles.wire.dicom.kos import decode_kos
from profiles.wire.soap.envelope import encode_envelope
from profiles.wire.soap.message import SoapOut
from profiles.wire.soap.mtom import pack
from profiles.xca.iti38 import ITI_38
from profiles.xca.iti39 import ITI_39
from profiles.xcai.rad75 import RAD_75
from profiles.xcpd.iti55 import ITI_55
from profiles.xds.iti18 import ITI_18
from profiles.xds.iti41 import ITI_41, ProvideAndRegisterRequest
from profiles.xds.iti42 import ITI_42
from profiles.xds.iti43 import ITI_43
from profiles.xds.iti57 import ITI_57
from profiles.xds.iti62 import ITI_62
from profiles.xds.iti86 import ITI_86
from profiles.xdsi.rad69 import RAD_69, RetrieveImagingDocumentSetRequest
from tests.support import hl7v3
from tests.support.communities import IMAGING_GATEWAY, IMAGING_RESPONDING, RESPONDING
from tests.support.ebxml import judge, sample, soap_in
from tests.support.judges import ROOT, standards
from tests.support.scenario import (
    REPOSITORY,
    SOURCE,
    VALLEY,
    VALLEY_ID,
    ZEBEDIAH,
    Message,
    World,
    message_of,
    read_soap,
    world,
    write_study,
)

pytestmark = pytest.mark.judge_standard

REGISTRY, PATIENTS = "/soap/registry", "/soap/patient-registry"
COLLECTION = ("samples", "xds")


# What others publish names no home of ours: it is given theirs, or told of their patient, where an answer depends on it.
XDS_TOOLS, NIST, DCM4CHE, IPF = (
    "1.3.6.1.4.1.21367.2005.3.7", "1.3.6.1.4.1.21367.2005.13.20.1000", "1.2.3.45.4.3.2.1", "1.2.3.4.5.1000"
)  # fmt: skip
SUCCESS, FAILURE = "Success", "Failure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A sample that is sent: by which transaction, where to, and what comes of it.

    `outcome`: the status and each error's code, or the codes of a fault, or of an acknowledgement and a query response.
    """

    transaction: SoapTransaction[Any, Any]
    path: str
    outcome: tuple[str, ...]
    knows: str = ""  # a patient of the house's affinity domain
    house: Mapping[str, str] = field(default_factory=dict)
    has: bool = False  # the instances that are asked for
    like: str = ""  # the answer that its authors expect


def sent(transaction: SoapTransaction[Any, Any], path: str, *outcome: str, **more: Any) -> Sent:
    return Sent(transaction=transaction, path=path, outcome=outcome, **more)


SENT = {
    "iti-18/soap-sq-req.xml": sent(ITI_18, REGISTRY, SUCCESS, knows=f"c4d77e21d0dd487^^^&{XDS_TOOLS}&ISO"),
    # An apostrophe in the patient id stands as it is: what a query would be injected by, and no patient id.
    "iti-18/ipf-iti18request.xml": sent(ITI_18, REGISTRY, FAILURE, "XDSRegistryError"),
    # Templates as they are stored: place-holders instead of values, and both of an alternative.
    "iti-18/FindDocumentsByReferenceId-template.xml": sent(ITI_18, REGISTRY, FAILURE, "XDSRegistryError"),
    "iti-18/GetSubmissionSetAndContents-template.xml": sent(
        ITI_18, REGISTRY, FAILURE, "XDSRegistryError", "XDSStoredQueryParamNumber"
    ),
    "iti-38/soap-xcq-req.xml": sent(ITI_38, RESPONDING, SUCCESS, knows=f"c4d77e21d0dd487^^^&{XDS_TOOLS}&ISO"),
    # It wants the answer brought to an address that is on no list of ours.
    "iti-38/xcads-iti38-async.xml": sent(
        ITI_38, RESPONDING, "Sender", "InvalidAddressingHeader", "OnlyAnonymousAddressSupported"
    ),
    "iti-39/soap-xcr-req.xml": sent(ITI_39, RESPONDING, FAILURE, *["XDSUnknownCommunity"] * 2),
    "iti-39/xcads-iti39-with-xua-saml.xml": sent(ITI_39, RESPONDING, FAILURE, "XDSUnknownCommunity"),
    "iti-41/soap-pnr.xml": sent(ITI_41, REPOSITORY, "Sender"),  # the envelope only, without its parts: no MTOM
    "iti-41/document_replacement.xml": sent(ITI_41, REPOSITORY, FAILURE, *["XDSRepositoryMetadataError"] * 2),
    "iti-41/mtom-xop/body.txt": sent(ITI_41, REPOSITORY, SUCCESS, knows="SR7^^^&1.2.260&ISO"),
    "iti-41/mtom-inline-base64/body.txt": sent(ITI_41, REPOSITORY, SUCCESS, knows="SR7^^^&1.2.260&ISO"),
    "iti-42/RegisterOneDocument.xml": sent(ITI_42, REGISTRY, SUCCESS, knows=f"test1234_1^^^&{DCM4CHE}&ISO"),
    "iti-42/CreateFolderWithDocument.xml": sent(ITI_42, REGISTRY, SUCCESS, knows=f"test1234_1^^^&{DCM4CHE}&ISO"),
    # It is of no repository: IPF's example of metadata, before a repository has completed them.
    "iti-42/ipf-SubmitObjectsRequest.xml": sent(ITI_42, REGISTRY, FAILURE, *["XDSRegistryMetadataError"] * 3),
    "iti-43/soap-ret-req.xml": sent(ITI_43, REPOSITORY, FAILURE, *["XDSUnknownRepositoryId"] * 2),
    "iti-44/PIX_FEED_REG_Maximal_Request.xml": sent(BY_EVENT[RecordEvent.ADD], PATIENTS, "CA", knows=f"0^^^&{IPF}&ISO"),
    "iti-44/PIX_FEED_MERGE_Maximal_Request.xml": sent(BY_EVENT[RecordEvent.MERGE], PATIENTS, "CE"),  # both unknown
    "iti-55/iti55-sample-request.xml": sent(ITI_55, RESPONDING, "AA", "NF"),
    "iti-57/ipf-update.xml": sent(
        ITI_57, REGISTRY, FAILURE, "XDSMetadataVersionError", knows=f"714f4004f80540c^^^&{XDS_TOOLS}&ISO"
    ),
    "iti-62/nist-remove_all-template.xml": sent(ITI_62, REGISTRY, FAILURE, *["UnresolvedReferenceException"] * 3),
    "iti-62/xcads-iti62.xml": sent(ITI_62, REGISTRY, FAILURE, "XDSRegistryError"),  # it names nothing
    "iti-86/xcads-iti86.xml": sent(ITI_86, REPOSITORY, FAILURE, "XDSUnknownRepositoryId"),
    "rad-68/metadata-IDCDEPT001-a.xml": sent(ITI_41, REPOSITORY, SUCCESS, knows=f"IDCAD001-a^^^&{NIST}&ISO"),
    "rad-68/metadata-IDCDEPT041-a.xml": sent(ITI_41, REPOSITORY, SUCCESS, knows=f"IDCAD041-a^^^&{NIST}&ISO"),
    "rad-69/ids_4810-request-single.xml": sent(
        RAD_69, SOURCE, SUCCESS, has=True, like="rad-69/ids_4810-expected-response.xml"
    ),
    "rad-69/ids_4811-request-multi.xml": sent(RAD_69, SOURCE, SUCCESS, has=True),
    "rad-69/iig_5401-request-two-studies-to-IIG.xml": sent(RAD_69, IMAGING_GATEWAY, FAILURE, "XDSUnknownCommunity"),
    "rad-69/dcm4chee-rad69-http-request.txt": sent(RAD_69, SOURCE, FAILURE, "XDSUnknownRepositoryId"),
    "rad-75/rig_5420-request.xml": sent(
        RAD_75, IMAGING_RESPONDING, SUCCESS, has=True, like="rad-75/rig_5420-expected-response.xml"
    ),
    # Of its two sources one is ours.
    "rad-75/rig_5429-request.xml": sent(
        RAD_75, IMAGING_RESPONDING, "PartialSuccess", "XDSUnknownRepositoryId", has=True
    ),
    "rad-75/rig_5420-expected-rad69-to-ids.xml": sent(RAD_69, SOURCE, SUCCESS, has=True),
    "rad-75/rig_5429-expected-rad69-to-ids-E.xml": sent(RAD_69, SOURCE, SUCCESS, has=True),
    "rad-75/rig_5429-expected-rad69-to-ids-F.xml": sent(RAD_69, SOURCE, SUCCESS, has=True),
}  # fmt: skip
_CODEC, _KOS = "tests/profiles/xds/test_samples.py", "tests/profiles/wire/dicom/test_kos.py"
NOT_SENT = {
    "README.md": "",
    # answers: a client of ours reads them
    "iti-18/sq-resp-leafclass.xml": _CODEC,
    "iti-18/sq-resp-objectref.xml": _CODEC,
    "iti-38/soap-xcq-resp.xml": _CODEC,
    "iti-39/soap-xret-resp.xml": _CODEC,
    "iti-41/soap-pnr-resp.xml": _CODEC,
    "iti-43/soap-ret-resp.xml": _CODEC,
    "iti-44/Ack.xml": "tests/profiles/wire/hl7v3/test_ack.py",
    "iti-55/iti55-sample-response.xml": "tests/profiles/xcpd/iti55/test_iti55.py",
    # documents and headers of messages
    "iti-41/mtom-xop/content-type.txt": "tests/profiles/xds/test_wire.py",
    **{
        f"kos/{each}": _KOS
        for each in (
            "ids_4801-kos-single.dcm", "ids_4802-kos-multi.dcm", "IDCDEPT002-kos-large.dcm", "eu-kos-sample.dcm",
        )
    },
    "rad-68/kos-IDCDEPT001-a.dcm": _KOS,
    "rad-68/kos-IDCDEPT041-a.dcm": _KOS,
}  # fmt: skip
"""What is no request, with the test that reads it."""
INSTANCE = "dicom/rig_5420-instance"
"""One instance in four transfer syntaxes, asked for below in each."""


def file(name: str) -> Path:
    return standards(*COLLECTION, *name.split("/"))


def test_no_sample_is_left_out() -> None:
    here = {path.relative_to(standards(*COLLECTION)).as_posix() for path in standards(*COLLECTION).rglob("*.*")}
    of_the_instance = {name for name in here if name.startswith(INSTANCE)}
    assert here == {*SENT, *NOT_SENT, *(sent.like for sent in SENT.values() if sent.like), *of_the_instance}
    for name, place in NOT_SENT.items():
        assert not place or name.rpartition("/")[2] in (ROOT / place).read_text(encoding="utf-8"), name


# --- what goes out ----------------------------------------------------------------------------------------------------


async def message(name: str, transaction: SoapTransaction[Any, Any]) -> Message:
    """The sample as it goes out: a whole message as it is, a body in an envelope packed as its transaction asks."""
    if name.startswith("iti-41/mtom"):  # stored with LF
        content_type = file("iti-41/mtom-xop/content-type.txt").read_text().strip()
        return Message(content_type=content_type, body=file(name).read_bytes().replace(b"\n", b"\r\n"))
    if name.endswith(".txt"):  # a command line of curl
        text = file(name).read_text(encoding="utf-8").replace("\r\n", "\n")
        told = re.search(r"Content-Type: (multipart/.*?)'.*--data-binary '(.*?)'\s*$", text, re.DOTALL)
        assert told
        return Message(content_type=told[1], body=told[2].replace("\n", "\r\n").encode())
    if name.startswith("rad-68/"):
        return await message_of(transaction, manifest_of_others(name))
    root = etree.fromstring(file(name).read_bytes(), etree.XMLParser(resolve_entities=False, no_network=True))
    if root.tag.endswith("}Envelope"):
        return Message(content_type="application/soap+xml", body=etree.tostring(root))
    action = transaction.request_action
    envelope = encode_envelope([etree.tostring(root)], action=action, message_id="urn:uuid:1", reply_to=True)
    packed = pack(transaction.packaging, envelope, SoapOut(body=()), unique="u", action=action)
    return Message(content_type=packed.content_type, body=b"".join([chunk async for chunk in packed.chunks]))


def manifest_of_others(name: str) -> ProvideAndRegisterRequest:
    """Metadata with the manifest that they describe; the place-holders for uniqueIds filled, as its authors' tool does."""
    submission = ITI_42.decode_request(soap_in(sample(*name.split("/")))).value.submission
    body = file(name.replace("metadata-", "kos-").replace(".xml", ".dcm")).read_bytes()
    (entry,) = submission.entries
    submission = replace(
        submission,
        submission_set=replace(submission.submission_set, unique_id="1.2.3.4.5"),
        entries=(replace(entry, unique_id=decode_kos(body).value.sop_instance_uid),),
    )
    return ProvideAndRegisterRequest(submission=submission, documents={entry.entry_uuid: Content.of(body, DICOM)})


# --- the house --------------------------------------------------------------------------------------------------------


def settings_for(name: str) -> dict[str, dict[str, str]]:
    """Valley, in the place of whom the sample is for."""
    settings: dict[str, dict[str, str]] = {}
    if SENT[name].knows:
        settings["affinity_domain"] = {"patient_authority": SENT[name].knows.split("&")[1]}
    if SENT[name].has:
        first = next(asked_in(name).instances()).document
        settings["house"] = {"retrieve_location_uid": first.repository_unique_id}
        if first.home_community_id:
            settings["house"]["home_community_id"] = first.home_community_id
    return settings


def asked_in(name: str) -> RetrieveImagingDocumentSetRequest:
    request: RetrieveImagingDocumentSetRequest = RAD_69.decode_request(soap_in(sample(*name.split("/")))).value
    return request


async def prepare(here: World, name: str) -> dict[str, bytes]:
    """The patient is told, and the instances are there that the house is asked for: their pixels, by UID."""
    if SENT[name].knows:
        value, authority, _ = SENT[name].knows.split("&")
        known = PatientIdentifier(value=value.removesuffix("^^^"), authority=Oid(authority))
        assert (await here.valley.tell(replace(ZEBEDIAH, identifiers=(VALLEY_ID, known)))).accepted
    if not SENT[name].has:
        return {}
    assert (await here.valley.tell(ZEBEDIAH)).accepted
    made = write_study(here.folder / "made", patient=replace(ZEBEDIAH, identifiers=(VALLEY_ID,)), series=1, instances=1)
    pixels, files = {}, []
    for each in asked_in(name).instances():
        dataset = dcmread(made.instances[0].path)
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = each.study_instance_uid, each.series_instance_uid
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = each.document.document_unique_id
        own = hashlib.sha256(each.document.document_unique_id.encode()).digest()
        dataset.PixelData = own * (len(dataset.PixelData) // len(own))
        whole = BytesIO()
        dataset.save_as(whole)
        pixels[each.document.document_unique_id] = dataset.PixelData
        files.append(whole.getvalue())
    status, _ = await here.valley.push(files, peer="")
    assert status == 200
    await here.valley.rests("done", kind="store")
    return pixels


# --- what comes back --------------------------------------------------------------------------------------------------


def outcome_of(body: etree._Element) -> tuple[str, ...]:
    if str(body.tag).startswith("{urn:hl7-org:v3}"):
        hl7v3.judge(body)
        return tuple(str(each.get("code")) for each in body.iter("{*}typeCode", "{*}queryResponseCode"))
    judge(body)
    status = next(each.get("status") for each in body.iter() if each.get("status", "").startswith("urn:"))
    errors = (str(each.get("errorCode")) for each in body.iter("{*}RegistryError"))
    return (str(status).rpartition(":")[2], *errors)


def agreed(said: dict[str, str], told: dict[str, str]) -> dict[str, str]:
    """What was said, without the values that are told to be free: an empty one is not compared."""
    return {name: value if told.get(name, value) else "" for name, value in said.items()}


def documents_of(body: etree._Element) -> list[dict[str, str]]:
    """What an answer says of each document, beside its bytes."""
    return [
        {QName(told).localname: (told.text or "").strip() for told in each if QName(told).localname != "Document"}
        for each in body.iter("{*}DocumentResponse")
    ]


@pytest.mark.parametrize("name", SENT)
async def test_a_sample_is_answered(tmp_path: Path, name: str) -> None:
    asked = SENT[name]
    async with world(tmp_path, **settings_for(name)) as here:
        pixels = await prepare(here, name)
        reply = await here.valley.post(asked.path, await message(name, asked.transaction), peer="")
        read = await read_soap(reply.content_type, reply.body)
        if read.fault is not None:
            assert (400, *asked.outcome) == (reply.status, *(code.rpartition("}")[2] for code in read.fault.codes))
            return
        body = read.to_codec().body
        assert (outcome_of(body), reply.status) == (asked.outcome, 200)
        if asked.like:
            expected = documents_of(sample(*asked.like.split("/")))
            assert [agreed(said, told) for said, told in zip(documents_of(body), expected, strict=True)] == expected
        if pixels:
            _, bodies = await reply.retrieved()
            got = {uid: dcmread(BytesIO(each)).PixelData for uid, each in bodies.items()}
            assert got == {uid: each for uid, each in pixels.items() if uid in got}
            assert len(got) == len(pixels) - len(asked.outcome[1:])


@pytest.mark.parametrize("syntax", ["1", "4.70", "4.80", "4.90"])
async def test_the_published_instance_is_handed_out_in_each_of_its_syntaxes(tmp_path: Path, syntax: str) -> None:
    name, uid = "rad-75/rig_5420-request.xml", f"1.2.840.10008.1.2.{syntax}"
    kept = file(f"{INSTANCE}/{uid}.dcm").read_bytes()
    theirs = PatientIdentifier(value=str(dcmread(BytesIO(kept)).PatientID), authority=VALLEY)
    async with world(tmp_path, **settings_for(name)) as here:
        assert (await here.valley.tell(replace(ZEBEDIAH, identifiers=(theirs,)))).accepted
        status, _ = await here.valley.push([kept], peer="")
        assert status == 200
        await here.valley.rests("done", kind="store")
        request = replace(asked_in(name), transfer_syntax_uids=(uid,))
        reply = await here.valley.post(IMAGING_RESPONDING, await message_of(RAD_75, request), peer="")
        head, bodies = await reply.retrieved()
        assert head.errors == ()
        (got,) = (dcmread(BytesIO(each)) for each in bodies.values())
        assert (got.file_meta.TransferSyntaxUID, got.PixelData) == (uid, dcmread(BytesIO(kept)).PixelData)
