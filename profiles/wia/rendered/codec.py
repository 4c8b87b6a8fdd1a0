"""The retrieve as HTTP writes it: a picture.

Source: DICOM PS3.18 10.4.1.1.3, 10.4.1.1.4 (thumbnail), 8.3.5 (rendering parameters).
"""

from math import isfinite

from profiles.findings import Decoded
from profiles.wia.rendered.messages import RetrieveRenderedRequest, RetrieveRenderedResponse
from profiles.wire.dicom.picture import (
    MAX_SIDE,
    THUMBNAIL_SIDE,
    Picture,
    RenderOptions,
    Viewport,
    Window,
    WindowFunction,
)
from profiles.wire.dicom.web import accept_picture, bad_request, frame_numbers_of, optional_uid_of, uid_of, warning
from profiles.wire.http import HttpIn, HttpOut

_FUNCTIONS = {
    "linear": WindowFunction.LINEAR,
    "linear-exact": WindowFunction.LINEAR_EXACT,
    "sigmoid": WindowFunction.SIGMOID,
}


def decode_request(request: HttpIn) -> Decoded[RetrieveRenderedRequest]:
    """Read the path, the rendering parameters and what the client accepts."""
    frames = frame_numbers_of(request) if "frames" in request.variables else ()
    if len(frames) > 1:
        raise bad_request("one frame makes a picture", "frames")
    thumbnail = request.path.endswith("/thumbnail")
    return Decoded(
        RetrieveRenderedRequest(
            study_instance_uid=uid_of(request, "study"),
            series_instance_uid=optional_uid_of(request, "series"),
            sop_instance_uid=optional_uid_of(request, "instance"),
            frame=frames[0] if frames else None,
            thumbnail=thumbnail,
            options=_options(request, thumbnail=thumbnail),
        )
    )


def _options(request: HttpIn, *, thumbnail: bool) -> RenderOptions:
    parameters = dict(request.query)
    viewport = _viewport(parameters["viewport"]) if parameters.get("viewport") else None
    if thumbnail and viewport is None:
        viewport = Viewport(width=THUMBNAIL_SIDE, height=THUMBNAIL_SIDE)
    return RenderOptions(
        picture=accept_picture(request),
        quality=_quality(parameters.get("quality", "")),
        window=_window(parameters["window"]) if parameters.get("window") else None,
        viewport=viewport,
    )


def _quality(text: str) -> int:
    if not text:
        return 90
    if not text.isdigit() or not 1 <= int(text) <= 100:
        raise bad_request("quality is a number from 1 to 100", "quality")
    return int(text)


def _window(text: str) -> Window:
    """`center,width,function`; the function may be left out."""
    parts = [part.strip() for part in text.split(",")]
    numbers = _numbers(parts[:2])
    function = _FUNCTIONS.get(parts[2].lower()) if len(parts) == 3 else WindowFunction.LINEAR
    if len(parts) not in (2, 3) or numbers is None or function is None or numbers[1] <= 0:
        raise bad_request("window is center,width,function: linear, linear-exact or sigmoid", "window")
    return Window(center=numbers[0], width=numbers[1], function=function)


def _viewport(text: str) -> Viewport:
    """`width,height[,left,top,width,height]`; parts of the region may be empty."""
    parts = [part.strip() for part in text.split(",")]
    size = _numbers(parts[:2])
    region = _numbers([part or "0" for part in parts[2:]]) if len(parts) > 2 else None
    wrong = len(parts) not in (2, 6) or size is None or (len(parts) == 6 and region is None)
    if wrong or size is None or not all(1 <= each <= MAX_SIDE for each in size):
        raise bad_request("viewport is width,height or width,height,left,top,width,height", "viewport")
    if region is not None and (min(region[:2]) < 0 or max(map(abs, region)) > MAX_SIDE):
        raise bad_request("the region of the viewport lies outside of every image", "viewport")
    return Viewport(
        width=int(size[0]),
        height=int(size[1]),
        region=(region[0], region[1], region[2], region[3]) if region is not None else None,
    )


def _numbers(parts: list[str]) -> list[float] | None:
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        return None
    return numbers if len(numbers) >= 2 and all(map(isfinite, numbers)) else None


def encode_response(response: RetrieveRenderedResponse, request: HttpIn) -> HttpOut:
    """The picture, and a warning about parameters that it does not honour."""
    ignored = [name for name, value in request.query if name in ("annotation", "iccprofile") and value]
    headers = tuple(
        warning(request.base, f"The {name} parameter is not supported and was ignored.") for name in ignored
    )
    return HttpOut(media_type=_kind(response.picture).value, headers=headers, body=response.picture)


def _kind(picture: bytes) -> Picture:
    """What it is, by its first bytes: a thumbnail may be a JPEG whatever was asked for."""
    return next((kind for first, kind in _FIRST_BYTES.items() if picture.startswith(first)), Picture.JPEG)


_FIRST_BYTES = {b"\xff\xd8": Picture.JPEG, b"\x89PNG": Picture.PNG, b"GIF8": Picture.GIF}
