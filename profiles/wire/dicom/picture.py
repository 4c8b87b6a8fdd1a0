"""What of an instance decides how one of its frames looks, and what a viewer may ask of a picture. Nothing is computed.

What a newcomer gets wrong: enhanced objects keep window, rescale and spacing in functional groups, of the frame and shared.

Source: DICOM PS3.3 C.7.6.3 (Image Pixel), C.7.6.16.1 (functional groups), C.11.2.1.2 (window functions), C.7.9 (palette);
PS3.18 8.3.5 (rendering parameters).
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

from profiles.errors import Unsupported

MAX_SIDE = 20_000
THUMBNAIL_SIDE = 256


class Picture(StrEnum):
    """What can be made."""

    JPEG = "image/jpeg"
    PNG = "image/png"
    GIF = "image/gif"


class WindowFunction(StrEnum):
    """VOI LUT Function (0028,1056)."""

    LINEAR = "LINEAR"
    LINEAR_EXACT = "LINEAR_EXACT"
    SIGMOID = "SIGMOID"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Center and width in rescaled values; width is greater than 0, for LINEAR at least 1."""

    center: float
    width: float
    function: WindowFunction = WindowFunction.LINEAR


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewport:
    """The picture's largest size, and which part of the frame is shown (in pixels; None: all). Negative sizes flip."""

    width: int
    height: int
    region: tuple[float, float, float, float] | None = None  # left, top, width, height


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderOptions:
    """How it is to look. `window` None: the instance's own, else the range of the values."""

    picture: Picture = Picture.JPEG
    quality: int = 90
    window: Window | None = None
    viewport: Viewport | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageAttributes:
    """What of an instance decides how one of its frames looks."""

    rows: int
    columns: int
    samples: int
    bits_allocated: int
    bits_stored: int
    signed: bool
    photometric: str
    planar: bool
    frames: int
    slope: float = 1.0
    intercept: float = 0.0
    window: Window | None = None
    palette: tuple[tuple[int, int, int], tuple[bytes, bytes, bytes]] | None = None
    padding: int | None = None
    aspect: float = 1.0  # height of a pixel over its width
    float_bits: int = 0  # 32 or 64 for Float and Double Float Pixel Data


def image_attributes(metadata: bytes | Mapping[str, Any], frame: int = 1) -> ImageAttributes:
    """Read them from an instance's DICOM JSON, functional groups of the frame included.

    Raises:
        Unsupported: It is no image.
        MalformedMessage: It is an image, and what every image has is missing or absurd.
    """
    attributes: Mapping[str, Any] = orjson.loads(metadata) if isinstance(metadata, bytes) else metadata
    rows, columns = _number(attributes, "00280010"), _number(attributes, "00280011")
    if not rows or not columns:
        raise Unsupported("the instance is no image and cannot be rendered", code="not-acceptable")
    groups = _functional_groups(attributes, frame)
    transformation = _first_item(groups, "00289145") or attributes
    voi = _first_item(groups, "00289132") or attributes
    bits = int(_number(attributes, "00280100") or 8)
    aspect = _aspect(attributes, groups)
    return ImageAttributes(
        rows=int(rows),
        columns=int(columns),
        samples=int(_number(attributes, "00280002") or 1),
        bits_allocated=bits,
        bits_stored=int(_number(attributes, "00280101") or bits),
        signed=_number(attributes, "00280103") == 1,
        photometric=_text(attributes, "00280004") or "MONOCHROME2",
        planar=_number(attributes, "00280006") == 1,
        frames=int(_number(attributes, "00280008") or 1),
        slope=_number(transformation, "00281053") or 1.0,
        intercept=_number(transformation, "00281052") or 0.0,
        window=_window(voi),
        palette=_palette(attributes),
        padding=None if (padding := _number(attributes, "00280120")) is None else int(padding),
        aspect=aspect,
        float_bits=bits if bits >= 32 and "00280101" not in attributes else 0,
    )


# --- DICOM JSON -------------------------------------------------------------------------------------------------------


def _values(attributes: Mapping[str, Any], tag: str) -> list[Any]:
    values = attributes.get(tag, {}).get("Value", [])
    return values if isinstance(values, list) else []


def _number(attributes: Mapping[str, Any], tag: str) -> float | None:
    values = _values(attributes, tag)
    try:
        return float(values[0]) if values and values[0] is not None else None
    except (TypeError, ValueError):
        return None


def _text(attributes: Mapping[str, Any], tag: str) -> str:
    values = _values(attributes, tag)
    return str(values[0]) if values and values[0] is not None else ""


def _first_item(groups: tuple[Mapping[str, Any], ...], tag: str) -> Mapping[str, Any] | None:
    for group in groups:
        items = _values(group, tag)
        if items and isinstance(items[0], dict):
            return items[0]
    return None


def _functional_groups(attributes: Mapping[str, Any], frame: int) -> tuple[Mapping[str, Any], ...]:
    """The frame's own group, then the shared one."""
    groups: list[Mapping[str, Any]] = []
    per_frame = _values(attributes, "52009230")
    if 0 < frame <= len(per_frame):
        groups.append(per_frame[frame - 1])
    groups += _values(attributes, "52009229")[:1]
    return tuple(group for group in groups if isinstance(group, dict))


def _window(attributes: Mapping[str, Any]) -> Window | None:
    center, width = _number(attributes, "00281050"), _number(attributes, "00281051")
    if center is None or width is None or width <= 0:
        return None
    try:
        function = WindowFunction(_text(attributes, "00281056") or "LINEAR")
    except ValueError:
        function = WindowFunction.LINEAR
    return Window(center=center, width=width, function=function)


def _palette(attributes: Mapping[str, Any]) -> tuple[tuple[int, int, int], tuple[bytes, bytes, bytes]] | None:
    descriptor = _values(attributes, "00281101")
    tables = [attributes.get(f"0028120{each}", {}).get("InlineBinary") for each in (1, 2, 3)]
    if len(descriptor) < 3 or not all(isinstance(table, str) for table in tables):
        return None
    entries, first, bits = (int(each) for each in descriptor[:3])
    red, green, blue = (base64.b64decode(str(table)) for table in tables)
    return (entries or 65536, first, bits), (red, green, blue)


def _aspect(attributes: Mapping[str, Any], groups: tuple[Mapping[str, Any], ...]) -> float:
    """Height over width of a pixel, from its spacing or its aspect ratio."""
    measures = _first_item(groups, "00289110") or attributes
    for source, tag in ((measures, "00280030"), (attributes, "00181164"), (attributes, "00280034")):
        try:
            vertical, horizontal = (float(each) for each in _values(source, tag)[:2])
        except (TypeError, ValueError):
            continue
        if vertical > 0 and horizontal > 0 and 0.05 < vertical / horizontal < 20:
            return vertical / horizontal
    return 1.0
