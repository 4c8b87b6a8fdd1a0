"""Pixels for the eye: known ramps, pydicom's values, and what must be refused."""

import io
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.pixels import apply_voi_lut, pixel_array
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian

from profiles.errors import MalformedMessage, Unsupported
from profiles.wire.dicom.dataset import dicom_json
from profiles.wire.dicom.frames import aligned, frame_ranges, frame_shape
from profiles.wire.dicom.part10 import read_head
from profiles.wire.dicom.picture import (
    MAX_SIDE,
    ImageAttributes,
    Picture,
    RenderOptions,
    Viewport,
    Window,
    WindowFunction,
    image_attributes,
)
from profiles.wire.dicom.render import decoded_frame, native_frame, render_frame, thumbnail, windowed
from tests.profiles.wire.dicom.judged import TEST_FILES, UNREADABLE

EXPLICIT = str(ExplicitVRLittleEndian)
PNG = RenderOptions(picture=Picture.PNG)

RAMP = ImageAttributes(
    rows=1, columns=256, samples=1, bits_allocated=16, bits_stored=12, signed=False, photometric="MONOCHROME2",
    planar=False, frames=1, slope=1.0, intercept=-1024.0,
    window=Window(center=0.0, width=256.0),
)  # fmt: skip
RAMP_PIXELS = np.arange(1024 - 128, 1024 + 128, dtype="<u2").tobytes()


def shown(pixels: bytes, image: ImageAttributes, options: RenderOptions = PNG, syntax: str = EXPLICIT) -> NDArray[Any]:
    return np.asarray(Image.open(io.BytesIO(render_frame(pixels, syntax, image, options))))


def test_a_ramp_through_its_rescale_and_window_is_a_ramp_of_greys() -> None:
    # Rescaled values run from -128 to 127; a window of 256 around 0 maps them to 0..255 one by one.
    assert shown(RAMP_PIXELS, RAMP)[0].tolist() == list(range(256))


def test_monochrome1_shows_the_same_inverted() -> None:
    assert shown(RAMP_PIXELS, replace(RAMP, photometric="MONOCHROME1"))[0].tolist() == list(range(255, -1, -1))


def test_bits_above_those_stored_are_not_shown() -> None:
    dirty = (np.frombuffer(RAMP_PIXELS, "<u2") | 0xF000).astype("<u2").tobytes()
    assert shown(dirty, RAMP)[0].tolist() == list(range(256))


def test_signed_values_keep_their_sign() -> None:
    image = replace(RAMP, signed=True, intercept=0.0)
    pixels = (np.arange(-128, 128, dtype="<i2") & 0x0FFF).astype("<u2").tobytes()  # sign bit is bit 11
    assert shown(pixels, image)[0].tolist() == list(range(256))


def test_a_window_that_is_asked_for_goes_before_that_of_the_image() -> None:
    options = RenderOptions(
        picture=Picture.PNG, window=Window(center=64.0, width=128.0, function=WindowFunction.LINEAR_EXACT)
    )
    row = shown(RAMP_PIXELS, RAMP, options)[0]
    assert row[:128].max() == 0
    assert row[192] == 128
    assert row[-1] == 253


def test_without_a_window_the_whole_range_is_shown_and_padding_is_left_out() -> None:
    image = replace(RAMP, window=None, padding=0)
    pixels = np.array([0] * 56 + list(range(1000, 1200)), "<u2").tobytes()
    row = shown(pixels, image)[0]
    assert row[56] == 0
    assert row[-1] == 255
    flat = shown(np.full(256, 7, "<u2").tobytes(), replace(image, padding=None))
    assert len(set(flat[0].tolist())) == 1


@pytest.mark.parametrize(
    ("window", "values", "expected"),
    [
        # PS3.3 C.11.2.1.2.1: c=2048, w=4096 maps 0..4095 to the whole range
        (Window(center=2048, width=4096), [-1, 0, 2048, 4095, 5000], [0, 0, 128, 255, 255]),
        (Window(center=100, width=1), [99, 100, 101], [0, 255, 255]),
        (Window(center=100, width=0.5, function=WindowFunction.LINEAR_EXACT), [99, 100, 101], [0, 128, 255]),
        (Window(center=0, width=100, function=WindowFunction.SIGMOID), [-1000, 0, 1000], [0, 128, 255]),
    ],
)
def test_windows_are_those_of_the_standard(window: Window, values: list[float], expected: list[int]) -> None:
    assert windowed(np.array(values, np.float32), window).tolist() == expected


def test_values_that_are_no_numbers_do_not_break_the_picture() -> None:
    assert windowed(np.array([np.nan, np.inf, -np.inf], np.float32), Window(center=0, width=2)).tolist()[1:] == [255, 0]


def test_windows_agree_with_pydicom() -> None:
    path = next(path for path in TEST_FILES if path.endswith("/CT_small.dcm"))
    body = Path(path).read_bytes()
    head = read_head(body)
    image = replace(image_attributes(dicom_json(head)), window=Window(center=40, width=400))
    ((span,),) = frame_ranges(head, lambda offset, size: body[offset : offset + size], [1])
    mine = shown(body[slice(*span)], image).astype(int)
    dataset = pydicom.dcmread(path)
    dataset.WindowCenter, dataset.WindowWidth = 40, 400
    rescaled = dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
    theirs = apply_voi_lut(rescaled, dataset)
    theirs = (theirs - theirs.min()) / (theirs.max() - theirs.min()) * 255
    assert np.abs(mine - theirs).max() <= 1


COLOUR = ImageAttributes(
    rows=1,
    columns=4,
    samples=3,
    bits_allocated=8,
    bits_stored=8,
    signed=False,
    photometric="RGB",
    planar=False,
    frames=1,
)
RGB = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [128, 128, 128]]


def test_colours_come_by_pixel_and_by_plane() -> None:
    by_pixel = np.array(RGB, np.uint8)
    assert shown(by_pixel.tobytes(), COLOUR)[0].tolist() == RGB
    assert shown(by_pixel.T.tobytes(), replace(COLOUR, planar=True))[0].tolist() == RGB


def test_luminance_and_chrominance_become_red_green_and_blue() -> None:
    ybr = np.asarray(Image.fromarray(np.array([RGB], np.uint8), "RGB").convert("YCbCr"))
    for photometric, pixels in (
        ("YBR_FULL", ybr.tobytes()),
        ("YBR_FULL_422", bytes([76, 76, 85, 255, 29, 29, 255, 107])),
    ):
        row = shown(pixels, replace(COLOUR, photometric=photometric))[0].astype(int)
        assert np.abs(row[0] - [255, 0, 0]).max() <= 3
        assert np.abs(row[2] - [0, 0, 255]).max() <= 3


def test_a_palette_gives_its_colours() -> None:
    table = bytes(range(0, 256, 64))
    image = replace(
        COLOUR, samples=1, photometric="PALETTE COLOR", palette=((4, 10, 8), (table, bytes(4), table[::-1]))
    )
    assert shown(bytes([10, 11, 13, 99]), image)[0].tolist() == [[0, 0, 192], [64, 0, 128], [192, 0, 0], [192, 0, 0]]
    wide = np.array([0, 0x4000, 0x8000, 0xFFFF], "<u2").tobytes()
    image = replace(image, palette=((4, 0, 16), (wide, wide, wide)))
    assert shown(bytes([0, 1, 2, 3]), image)[0].tolist() == [[each] * 3 for each in (0, 64, 128, 255)]


def test_big_endian_words_are_turned() -> None:
    pixels = np.frombuffer(RAMP_PIXELS, "<u2").astype(">u2").tobytes()
    assert shown(pixels, RAMP, syntax=str(ExplicitVRBigEndian))[0].tolist() == list(range(256))
    assert native_frame(pixels, str(ExplicitVRBigEndian), RAMP) == RAMP_PIXELS


def test_one_bit_pixels_are_black_and_white() -> None:
    image = replace(RAMP, columns=8, bits_allocated=1, bits_stored=1, window=None, intercept=0.0)
    assert shown(bytes([0b10110001]), image)[0].tolist() == [255, 0, 0, 0, 255, 255, 0, 255]


@pytest.mark.parametrize(
    ("viewport", "size"),
    [
        (Viewport(width=64, height=64), (64, 32)),
        (Viewport(width=512, height=32), (64, 32)),
        (Viewport(width=100, height=100, region=(0, 0, 64, 64)), (100, 100)),
        (Viewport(width=32, height=32, region=(0, 0, 0, 0)), (32, 16)),
    ],
)
def test_the_picture_fits_the_viewport(viewport: Viewport, size: tuple[int, int]) -> None:
    image = replace(RAMP, rows=64, columns=128)
    body = render_frame(bytes(64 * 128 * 2), EXPLICIT, image, RenderOptions(viewport=viewport))
    assert Image.open(io.BytesIO(body)).size == size


def test_a_region_of_negative_width_is_mirrored() -> None:
    options = RenderOptions(picture=Picture.PNG, viewport=Viewport(width=256, height=1, region=(0, 0, -256, 1)))
    assert shown(RAMP_PIXELS, RAMP, options)[0].tolist() == list(range(255, -1, -1))


def test_pixels_that_are_not_square_are_shown_so() -> None:
    image = replace(RAMP, rows=64, columns=128, aspect=2.0)
    assert Image.open(io.BytesIO(render_frame(bytes(64 * 128 * 2), EXPLICIT, image, PNG))).size == (128, 128)


@pytest.mark.parametrize(("picture", "kind"), [(Picture.JPEG, "JPEG"), (Picture.PNG, "PNG"), (Picture.GIF, "GIF")])
def test_a_picture_is_of_the_kind_that_was_asked_for(picture: Picture, kind: str) -> None:
    body = render_frame(RAMP_PIXELS, EXPLICIT, RAMP, RenderOptions(picture=picture))
    assert Image.open(io.BytesIO(body)).format == kind


def test_a_thumbnail_is_small() -> None:
    image = replace(RAMP, rows=1024, columns=1024)
    body = thumbnail(bytes(1024 * 1024 * 2), EXPLICIT, image)
    assert Image.open(io.BytesIO(body)).size == (256, 256)


@pytest.mark.parametrize(
    ("image", "error"),
    [
        (replace(RAMP, rows=MAX_SIDE + 1, columns=1), MalformedMessage),
        (replace(RAMP, rows=2), MalformedMessage),
        (replace(RAMP, photometric="HSV"), Unsupported),
        (replace(RAMP, photometric="PALETTE COLOR"), Unsupported),
        (replace(RAMP, bits_allocated=12), Unsupported),
        (replace(RAMP, columns=64, samples=3, photometric="CMYK"), Unsupported),
    ],
)
def test_what_cannot_be_shown_is_refused_before_it_costs_anything(
    image: ImageAttributes, error: type[Exception]
) -> None:
    with pytest.raises(error):
        render_frame(RAMP_PIXELS, EXPLICIT, image, PNG)


def test_an_unknown_syntax_is_unsupported_and_garbage_is_malformed() -> None:
    with pytest.raises(Unsupported):
        render_frame(b"x", "1.2.3.4", RAMP, PNG)
    with pytest.raises(MalformedMessage):
        render_frame(b"\xff\x4f garbage", "1.2.840.10008.1.2.4.90", RAMP, PNG)


KNOWN_DIFFERENCES = {
    "JPEG-lossy.dcm": "12 bit JPEG: no free decoder is installed",
    "JPGExtended.dcm": "12 bit JPEG: no free decoder is installed",
    "JPEG2000-embedded-sequence-delimiter.dcm": "its code stream is a made-up one",
    "SC_rgb_small_odd_big_endian.dcm": "8 bit in big endian words: retired, and nowhere told but in the VR",
    "badVR.dcm": "its numbers are no numbers; pydicom gives up",
}


@pytest.mark.parametrize(
    "path",
    [path for path in TEST_FILES if Path(path).name not in UNREADABLE.keys() | KNOWN_DIFFERENCES.keys()],
    ids=lambda path: Path(path).name,
)
def test_decoded_values_are_those_of_pydicom(path: str) -> None:
    body = Path(path).read_bytes()
    head = read_head(body)
    if head.pixel_offset is None:
        return
    image = image_attributes(dicom_json(head))
    for number, spans in enumerate(
        frame_ranges(head, lambda offset, size: body[offset : offset + size], range(1, min(image.frames, 2) + 1)), 1
    ):
        pixels = b"".join(body[slice(*span)] for span in spans)
        if image.bits_allocated == 1:
            pixels = aligned(frame_shape(head), number, pixels)
        values, _ = decoded_frame(pixels, head.transfer_syntax_uid, image)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = pixel_array(pydicom.dcmread(path), index=number - 1, raw=True)
        assert np.array_equal(values, expected)
        assert render_frame(pixels, head.transfer_syntax_uid, image, RenderOptions())
