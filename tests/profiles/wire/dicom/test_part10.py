"""The head scanner, beside pydicom on what pydicom writes, and on its own on what nobody should write."""

import random
import warnings
from pathlib import Path

import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from profiles.errors import MalformedMessage
from profiles.wire.dicom.part10 import Part10Reader, read_head
from tests.profiles.wire.dicom.generated import NATIVE, datasets, read, written
from tests.profiles.wire.dicom.judged import PIXELS, TEST_FILES, UNREADABLE
from tests.support.judges import standards

quickly = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("syntax", NATIVE, ids=lambda each: each.name)
@given(dataset=datasets(), data=st.data())
@quickly
def test_elements_are_those_that_pydicom_sees(
    syntax: pydicom.uid.UID, dataset: pydicom.Dataset, data: st.DataObject
) -> None:
    pixels = data.draw(st.sampled_from([None, PIXELS]))
    body = written(dataset, syntax, pixels)
    head = read_head(body)
    expected = {int(tag): element for tag, element in read(body).items()}
    expected_pixels = expected.pop(0x7FE00010, None)
    mine = set(head.dataset.places) - {0x7FE00010}
    assert mine == set(expected)
    assert head.transfer_syntax_uid == syntax
    assert head.sop_instance_uid == dataset.SOPInstanceUID
    assert head.findings == ()
    assert (expected_pixels is not None) == (head.pixel_tag is not None)
    if pixels is not None and not head.deflated:
        assert head.pixel_length == len(PIXELS)
        assert body[head.pixel_value_offset :][: head.pixel_length][:2] in (PIXELS[:2], PIXELS[:2][::-1])
        assert head.raw + body[head.tail_offset :] == body


@given(dataset=datasets(), data=st.data())
@quickly
def test_chunks_of_any_size_give_the_same_head(dataset: pydicom.Dataset, data: st.DataObject) -> None:
    body = written(dataset, data.draw(st.sampled_from(NATIVE)), data.draw(st.sampled_from([None, PIXELS])))
    whole = read_head(body)
    reader = Part10Reader()
    rest = body
    while rest:
        size = data.draw(st.integers(1, 400))
        reader.feed(rest[:size])
        rest = rest[size:]
    head = reader.finish()
    assert (head.raw, head.dataset.places, head.tail_offset) == (whole.raw, whole.dataset.places, whole.tail_offset)
    assert reader.size_bytes == len(body)


@given(dataset=datasets(), syntax=st.sampled_from(NATIVE), data=st.data())
@quickly
def test_a_file_that_stops_early_is_refused(
    dataset: pydicom.Dataset, syntax: pydicom.uid.UID, data: st.DataObject
) -> None:
    body = written(dataset, syntax, PIXELS)
    cut = data.draw(st.integers(0, len(body) - 3))
    try:
        head = read_head(body[:cut])
    except MalformedMessage:
        return
    # A cut between two elements cannot be told from a file that ends there, until its pixels have begun.
    assert head.pixel_tag is None
    assert set(head.dataset.places) < set(read_head(body).dataset.places) | {0x7FE00010}


@pytest.mark.parametrize("path", TEST_FILES, ids=lambda path: Path(path).name)
def test_files_of_many_makers_give_the_elements_that_pydicom_sees(path: str) -> None:
    body = Path(path).read_bytes()
    reason = UNREADABLE.get(Path(path).name)
    if reason is not None:
        with pytest.raises(MalformedMessage, match=reason):
            read_head(body)
        return
    head = read_head(body)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        judged = pydicom.dcmread(path, force=True, stop_before_pixels=True)
    assert set(head.dataset.places) - {0x7FE00010} == {int(tag) for tag in judged.keys() if tag < 0x7FE00010}  # noqa: SIM118
    for chunk in (1, 13, 1000):
        reader = Part10Reader()
        for start in range(0, len(body), chunk if len(body) < 100_000 else chunk * 97):
            reader.feed(body[start : start + (chunk if len(body) < 100_000 else chunk * 97)])
        assert reader.finish().raw == head.raw


@pytest.mark.judge_standard
def test_the_samples_of_the_standards_collection_are_read() -> None:
    paths = sorted(standards("samples").rglob("*.dcm"))
    assert len(paths) >= 10
    for path in paths:
        head = read_head(path.read_bytes())
        assert head.sop_instance_uid
        assert head.study_instance_uid


def test_garbage_is_refused_and_nothing_else_is_raised() -> None:
    seeds = [Path(path).read_bytes()[:20_000] for path in TEST_FILES if Path(path).name not in UNREADABLE][:40]
    chance = random.Random(20261124)
    refused = 0
    for _ in range(1500):
        body = bytearray(chance.choice(seeds))
        for _ in range(chance.randint(1, 12)):
            where = chance.randrange(min(len(body), 4000))
            action = chance.random()
            if action < 0.5:
                body[where] = chance.randrange(256)
            elif action < 0.75:
                body[where : where + chance.randint(1, 40)] = chance.randbytes(chance.randint(0, 40))
            else:
                del body[where : where + chance.randint(1, 60)]
        try:
            head = read_head(bytes(body))
            for tag in head.dataset:
                head.dataset.text(tag)
                head.dataset.number(tag)
                head.dataset.items(tag)
        except MalformedMessage:
            refused += 1
    assert 100 < refused < 1500, f"the fuzz proves nothing: {refused} of 1500 were refused"


def test_not_a_dicom_file_is_said_so() -> None:
    for body in (b"", b"%PDF-1.7 " + bytes(500), bytes(200), b"DICM", bytes(128) + b"DICM"):
        with pytest.raises(MalformedMessage):
            read_head(body)


def test_a_file_without_preamble_or_meta_is_read_with_a_finding() -> None:
    dataset = pydicom.Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.3", "1.2.4"
    body = written(dataset, NATIVE[1])
    meta_end = read_head(body).dataset_offset
    bare, no_meta = read_head(body[132:]), read_head(body[meta_end:])
    assert bare.sop_instance_uid == no_meta.sop_instance_uid == "1.2.4"
    assert [finding.rule for finding in bare.findings] == ["dicom/preamble"]
    assert [finding.rule for finding in no_meta.findings] == ["dicom/preamble", "dicom/transfer-syntax"]


def test_a_header_beyond_the_cap_ends_at_the_element_that_overran_it() -> None:
    dataset = pydicom.Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.104.1", "1.2.4"
    dataset.EncapsulatedDocument = bytes(100_000)
    dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
    body = written(dataset, NATIVE[1])
    reader = Part10Reader(max_head_bytes=20_000)
    for start in range(0, len(body), 7000):
        reader.feed(body[start : start + 7000])
    head = reader.finish()
    assert not head.complete
    assert head.tail_tag == 0x00420011
    assert head.raw + body[head.tail_offset :] == body
    with pytest.raises(MalformedMessage):
        truncated = Part10Reader(max_head_bytes=20_000)
        truncated.feed(body[:60_000])
        truncated.finish()


def test_a_deflated_bomb_is_refused() -> None:
    import zlib

    dataset = pydicom.Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.3", "1.2.4"
    prefix = written(dataset, NATIVE[3])
    prefix = prefix[: read_head(prefix).dataset_offset]
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = b"".join(deflate.compress(bytes(1024 * 1024)) for _ in range(300)) + deflate.flush()
    with pytest.raises(MalformedMessage, match=r"without measure|larger than"):
        read_head(prefix + bomb)


def test_nesting_beyond_the_limit_is_refused() -> None:
    dataset = pydicom.Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.3", "1.2.4"
    body = written(dataset, NATIVE[1])
    opened = b"\x08\x00\x15\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    with pytest.raises(MalformedMessage, match="deeper"):
        read_head(body + opened * 60)
