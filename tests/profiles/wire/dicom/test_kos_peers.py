"""Every kind of Key Object Selection that we write, before those who would receive it: validators, toolkits, DICOM peers.

dciodvfy (dicom3tools) knows the IOD, highdicom the content tree, pynetdicom and dcmtk take it by C-STORE and keep it.
"""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta, timezone
from io import BytesIO
from pathlib import Path

import highdicom
import pydicom
import pytest
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pynetdicom import AE, evt
from pynetdicom.sop_class import KeyObjectSelectionDocumentStorage

from profiles.model.codes import LOINC, Code
from profiles.model.identifiers import AccessionNumber, Oid, PatientIdentifier, Uid
from profiles.model.imaging import Instance, Manifest, Series, Study
from profiles.model.moment import Moment
from profiles.model.patient import Patient, PersonName, Sex
from profiles.wire.dicom.kos import decode_kos, encode_kos
from tests.profiles.wire.dicom.generated import read
from tests.support.judges import require_program
from tests.support.ports import free_port

CT, SR, ECG, SEG = (f"1.2.840.10008.5.1.4.1.1.{each}" for each in ("2", "88.33", "9.1.1", "66.4"))
AUTHORITY = Oid("1.2.3.4")
URL = "https://lakeside.example/dicomweb"
PLAIN = Patient(identifiers=(PatientIdentifier(value="V-1", authority=AUTHORITY),), name=PersonName(family="Roe"))
KNOWN = replace(
    PLAIN, name=PersonName(family="Müller", given="Zoë", middle="Q", prefix="Dr", suffix="III", ideographic="山田^太郎"),
    birth_date=Moment.from_dtm("19700102"), sex=Sex.FEMALE,
    identifiers=(*PLAIN.identifiers, PatientIdentifier(value="X9", authority=Oid("1.2.3.9"))),
)  # fmt: skip


def series(number: str, *classes: str, **where: object) -> Series:
    """Two instances of each class."""
    told = {"retrieve_location_uid": Oid("1.2.3.3"), "retrieve_ae_title": "RADGATE", **where}
    return Series(
        series_instance_uid=Uid(number),
        instances=tuple(
            Instance(sop_instance_uid=Uid(f"{number}.{place}.{each}"), sop_class_uid=Uid(sop_class))
            for place, sop_class in enumerate(classes, 1)
            for each in (1, 2)
        ),
        **told,  # type: ignore[arg-type]
    )


def study(number: str, *of: Series, **told: object) -> Study:
    return Study(study_instance_uid=Uid(number), patient=PLAIN, series=of, **told)  # type: ignore[arg-type]


def manifest(*studies: Study, **told: object) -> Manifest:
    """Of these studies, each of the same patient."""
    of = told.pop("patient", PLAIN)
    made = Manifest(
        sop_instance_uid=Uid("1.2.9"), series_instance_uid=Uid("1.2.8"), patient=of,  # type: ignore[arg-type]
        created=Moment.from_dtm("20261124060708", timezone(timedelta(hours=1))),
        studies=tuple(replace(each, patient=of) for each in studies), manufacturer="radgate",  # type: ignore[arg-type]
    )  # fmt: skip
    return replace(made, **told)  # type: ignore[arg-type]


ONE = study("1.2.10", series("1.2.10.1", CT))
NUMBERS = tuple(AccessionNumber(value=each, authority=AUTHORITY) for each in ("A1", "A2"))
KINDS = {
    "one series": manifest(ONE),
    "all of it": manifest(
        replace(
            ONE, accession_numbers=NUMBERS[:1], placer_orders=NUMBERS[1:], study_id="S1", description="CT Schädel",
            started=Moment.from_dtm("20240102030405.5", timezone(timedelta(hours=1))), institution="Valley",
            referring_physician=PersonName(family="Welby", given="Marcus"),
            procedure_codes=(Code(value="24627-2", system=LOINC, display="CT Chest"),),
        ),
        patient=KNOWN, institution="Valley", texts=("for the tumour board", "zweite Meinung: später"),
    ),
    "texts only beside the references": manifest(ONE, texts=("look here",)),
    "with Retrieve URL": manifest(study("1.2.10", series("1.2.10.1", CT, retrieve_url=URL))),
    "two studies": manifest(ONE, study("1.2.11", series("1.2.11.1", CT, retrieve_url=URL), series("1.2.11.2", SEG))),
    "two studies with texts": manifest(
        replace(ONE, accession_numbers=NUMBERS), study("1.2.11", series("1.2.11.1", SEG), placer_orders=NUMBERS),
        texts=("both belong together",),
    ),
    "a group case: a study with two accession numbers": manifest(replace(ONE, accession_numbers=NUMBERS)),
    "reports beside images": manifest(study("1.2.10", series("1.2.10.1", CT), series("1.2.10.2", SR))),
    "waveforms": manifest(study("1.2.10", series("1.2.10.1", ECG), series("1.2.10.2", CT))),
    "of two places": manifest(
        study("1.2.10", series("1.2.10.1", CT), series("1.2.10.2", CT, retrieve_location_uid=Oid("1.2.4.3")))
    ),
    "a thousand instances": manifest(
        study("1.2.10", *(series(f"1.2.10.{number}", *[CT] * 50) for number in range(1, 11)))
    ),
}  # fmt: skip
"""By what is special of them."""


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_comes_back_as_it_was_written(kind: str) -> None:
    decoded = decode_kos(encode_kos(KINDS[kind]))
    assert decoded.value == KINDS[kind]
    assert decoded.findings == ()


@pytest.mark.judge_program
@pytest.mark.parametrize("kind", KINDS)
def test_dciodvfy_finds_no_error(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "kos.dcm"
    path.write_bytes(encode_kos(KINDS[kind]))
    judged = subprocess.run([require_program("dciodvfy"), "-new", path], capture_output=True, text=True, check=False)
    said = judged.stdout + judged.stderr
    assert "KeyObjectSelectionDocument" in said
    assert [line for line in said.splitlines() if line.startswith("Error")] == []


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "waveforms"])  # highdicom knows no WAVEFORM item
def test_highdicom_resolves_every_reference(kind: str) -> None:
    document = highdicom.ko.KeyObjectSelectionDocument.from_dataset(read(encode_kos(KINDS[kind])))
    named = [
        (each.study_instance_uid, of.series_instance_uid, one.sop_instance_uid)
        for each in KINDS[kind].studies
        for of, one in each.instances()
    ]
    assert [document.resolve_reference(uid) for _, _, uid in named] == named
    assert len(document.content.get_references()) == len(named)
    texts = [item.TextValue for item in document.ContentSequence if item.ValueType == "TEXT"]
    assert texts == list(KINDS[kind].texts)


# --- peers ------------------------------------------------------------------------------------------------------------


def file_of(event: evt.Event) -> bytes:
    """What came, as a file: bytes of the data set as they were sent, behind a head of the receiver's."""
    head = DicomBytesIO()
    head.write(b"\0" * 128 + b"DICM")
    write_file_meta_info(head, event.file_meta)
    return head.getvalue() + event.request.DataSet.getvalue()


@contextmanager
def pynetdicom_scp(kept: list[bytes]) -> Iterator[int]:
    """A storage SCP on loopback, which keeps what comes."""

    def store(event: evt.Event) -> int:
        kept.append(file_of(event))
        return 0x0000

    entity = AE(ae_title="PEER")
    entity.add_supported_context(KeyObjectSelectionDocumentStorage, pydicom.uid.ExplicitVRLittleEndian)
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
    assert server is not None
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()


@contextmanager
def dcmtk_scp(folder: Path) -> Iterator[int]:
    """dcmtk's storescp, which keeps what comes in this folder, bit for bit."""
    port = free_port()
    words = [require_program("storescp"), "--bit-preserving", "--output-directory", folder, str(port)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=10)


def sent(body: bytes, port: int) -> int:
    """C-STORE by pynetdicom; the status that comes back."""
    entity = AE()
    entity.add_requested_context(KeyObjectSelectionDocumentStorage, pydicom.uid.ExplicitVRLittleEndian)
    association = entity.associate("127.0.0.1", port)
    assert association.is_established
    try:
        return int(association.send_c_store(pydicom.dcmread(BytesIO(body))).Status)
    finally:
        association.release()


@pytest.mark.judge_program
def test_dcmtk_sends_it_and_a_pynetdicom_peer_keeps_what_we_wrote(tmp_path: Path) -> None:
    kept: list[bytes] = []
    with pynetdicom_scp(kept) as port:
        for number, one in enumerate(KINDS.values()):
            path = tmp_path / f"{number}.dcm"
            path.write_bytes(encode_kos(one))
            words = [require_program("storescu"), "127.0.0.1", str(port), str(path)]
            judged = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
            assert judged.returncode == 0, judged.stderr
    assert [decode_kos(body).value for body in kept] == [*KINDS.values()]


@pytest.mark.judge_program
def test_pynetdicom_sends_it_and_a_pynetdicom_peer_keeps_what_we_wrote() -> None:
    kept: list[bytes] = []
    with pynetdicom_scp(kept) as port:
        assert [sent(encode_kos(one), port) for one in KINDS.values()] == [0x0000] * len(KINDS)
    assert [decode_kos(body).value for body in kept] == [*KINDS.values()]


@pytest.mark.judge_program
def test_pynetdicom_sends_it_and_dcmtk_keeps_what_we_wrote(tmp_path: Path) -> None:
    with dcmtk_scp(tmp_path) as port:
        for one in KINDS.values():
            assert sent(encode_kos(one), port) == 0x0000
            (path,) = tmp_path.iterdir()
            assert decode_kos(path.read_bytes()).value == one
            path.unlink()
