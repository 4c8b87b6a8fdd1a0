"""Places of frames: what lies there is what pydicom takes for the frame."""

import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, encapsulate_extended, generate_frames
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless

from profiles.errors import MalformedMessage, UnknownDocument
from profiles.wire.dicom.frames import FrameShape, aligned, frame_ranges, frame_shape
from profiles.wire.dicom.part10 import Part10Head, read_head
from tests.profiles.wire.dicom.generated import written
from tests.profiles.wire.dicom.judged import TEST_FILES, UNREADABLE


def _image(frames: int, bits: int = 16, rows: int = 3, columns: int = 5) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3"
    dataset.Rows, dataset.Columns, dataset.NumberOfFrames = rows, columns, frames
    dataset.SamplesPerPixel, dataset.BitsAllocated, dataset.BitsStored = 1, bits, bits
    dataset.PhotometricInterpretation, dataset.PixelRepresentation = "MONOCHROME2", 0
    return dataset


def _body(dataset: Dataset, pixels: bytes, syntax: str, *, encapsulated: bool) -> bytes:
    dataset.add_new(0x7FE00010, "OB" if encapsulated else "OW", pixels)
    dataset["PixelData"].is_undefined_length = encapsulated
    return written(dataset, syntax)


def _frames(body: bytes, head: Part10Head, numbers: list[int]) -> list[bytes]:
    ranges = frame_ranges(head, lambda offset, size: body[offset : offset + size], numbers)
    return [b"".join(body[begin:end] for begin, end in each) for each in ranges]


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
def test_native_frames_lie_one_after_another(syntax: str) -> None:
    frames = [bytes([number]) * 30 for number in range(4)]
    body = _body(_image(4), b"".join(frames), syntax, encapsulated=False)
    assert _frames(body, read_head(body), [3, 1]) == [frames[2], frames[0]]


@pytest.mark.parametrize(
    "how", ["offset table", "no table", "extended table", "fragmented with table", "fragmented without"]
)
def test_encapsulated_frames_are_found(how: str) -> None:
    frames = [b"\xff\x4f" + bytes([number]) * (50 + 2 * number) for number in range(5)]
    dataset = _image(5)
    if how == "extended table":
        pixels, dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths = encapsulate_extended(frames)
    else:
        fragments = 3 if how.startswith("fragmented") else 1
        pixels = encapsulate(frames, fragments_per_frame=fragments, has_bot=how.endswith("table") and how != "no table")
    body = _body(dataset, pixels, JPEG2000Lossless, encapsulated=True)
    assert _frames(body, read_head(body), [1, 2, 3, 4, 5]) == frames


def test_a_single_frame_is_all_fragments() -> None:
    frame = b"\xff\x4f" + bytes(range(100))
    body = _body(_image(1), encapsulate([frame], fragments_per_frame=4), JPEG2000Lossless, encapsulated=True)
    assert _frames(body, read_head(body), [1]) == [frame]


@pytest.mark.parametrize("number", [0, 3, -1])
def test_a_frame_that_is_not_there_is_unknown(number: int) -> None:
    body = _body(_image(2), bytes(60), ExplicitVRLittleEndian, encapsulated=False)
    with pytest.raises(UnknownDocument):
        _frames(body, read_head(body), [number])


def test_an_instance_without_pixels_has_no_frames() -> None:
    body = written(_image(1), ExplicitVRLittleEndian)
    with pytest.raises(UnknownDocument):
        _frames(body, read_head(body), [1])


def test_pixel_data_shorter_than_the_header_says_are_refused() -> None:
    native = _body(_image(4), bytes(90), ExplicitVRLittleEndian, encapsulated=False)
    with pytest.raises(MalformedMessage):
        _frames(native, read_head(native), [4])
    compressed = _body(_image(3), encapsulate([b"\xff\x4f12", b"\xff\x4f34"]), JPEG2000Lossless, encapsulated=True)
    with pytest.raises(MalformedMessage):
        _frames(compressed, read_head(compressed), [3])


@given(rows=st.integers(1, 9), columns=st.integers(1, 9), frames=st.integers(1, 6), data=st.data())
@settings(max_examples=60, deadline=None)
def test_one_bit_frames_are_cut_out_of_their_bytes(rows: int, columns: int, frames: int, data: st.DataObject) -> None:
    bits = np.array(
        data.draw(st.lists(st.integers(0, 1), min_size=rows * columns * frames, max_size=rows * columns * frames))
    )
    pixels = np.packbits(bits.astype(np.uint8), bitorder="little").tobytes()
    pixels += bytes(len(pixels) & 1)
    body = _body(_image(frames, 1, rows, columns), pixels, ExplicitVRLittleEndian, encapsulated=False)
    head = read_head(body)
    for number, shared in enumerate(_frames(body, head, list(range(1, frames + 1))), 1):
        cut = aligned(frame_shape(head), number, shared)
        found = np.unpackbits(np.frombuffer(cut, np.uint8), bitorder="little")[: rows * columns]
        assert found.tolist() == bits[(number - 1) * rows * columns : number * rows * columns].tolist()


def test_a_frame_of_whole_bytes_is_left_as_it_is() -> None:
    shape = FrameShape(rows=4, columns=4, samples=1, bits_allocated=8, frames=2)
    assert aligned(shape, 2, b"0123456789abcdef") == b"0123456789abcdef"


@pytest.mark.parametrize(
    "path", [path for path in TEST_FILES if Path(path).name not in UNREADABLE], ids=lambda path: Path(path).name
)
def test_compressed_files_of_many_makers_are_taken_apart_as_pydicom_does(path: str) -> None:
    body = Path(path).read_bytes()
    head = read_head(body)
    if head.pixel_offset is None or not head.encapsulated:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(path)
        expected = list(generate_frames(dataset.PixelData, number_of_frames=int(dataset.get("NumberOfFrames") or 1)))
    assert _frames(body, head, list(range(1, len(expected) + 1))) == expected
