"""Pixels for the eye: one frame as JPEG, PNG or GIF, windowed as the instance or the viewer says.

Runs where CPU work may run (`Compute`), on the bytes of one frame and the instance's DICOM JSON. What a newcomer gets
wrong: the window applies to values after the modality rescale; MONOCHROME1 is inverted after it; enhanced objects keep
both in functional groups; and a picture's size is checked before a byte is decoded.

Source: DICOM PS3.3 C.7.6.3 (Image Pixel), C.11.1 (Modality LUT), C.11.2.1.2 (window functions), C.7.9 (palette);
PS3.18 8.3.5 (rendering parameters); security notes 5 (caps before decoding).
"""

import io
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from profiles.errors import MalformedMessage, Unsupported
from profiles.wire.dicom.picture import (
    MAX_SIDE,
    THUMBNAIL_SIDE,
    ImageAttributes,
    Picture,
    RenderOptions,
    Viewport,
    Window,
    WindowFunction,
)
from profiles.wire.dicom.syntaxes import EXPLICIT_BE, GE_PRIVATE, NATIVE

MAX_PIXELS = 100_000_000  # of one frame; the largest mammogram has 30 million

Array = npt.NDArray[Any]


def render_frame(pixels: bytes, transfer_syntax_uid: str, image: ImageAttributes, options: RenderOptions) -> bytes:
    """The picture of one frame.

    Args:
        pixels: The frame as stored: native bytes or one code stream.
        transfer_syntax_uid: In which it is stored.
        image: Of the same instance and frame.
        options: How it is to look.

    Raises:
        Unsupported: No decoder for the transfer syntax is installed, or the photometric interpretation is not known.
        MalformedMessage: The pixels cannot be decoded, or are more than is reasonable.
    """
    if image.rows * image.columns > MAX_PIXELS or max(image.rows, image.columns) > MAX_SIDE:
        raise MalformedMessage("the image is larger than can be rendered", location="(0028,0010)", code="too-long")
    array, photometric = decoded_frame(pixels, transfer_syntax_uid, image)
    if array.ndim == 3:
        picture = Image.fromarray(_eight_bits(_to_rgb(array, photometric), image), "RGB")
    elif photometric == "PALETTE COLOR":
        picture = Image.fromarray(_through_palette(array, image), "RGB")
    else:
        picture = Image.fromarray(_grey(array, photometric, image, options.window), "L")
    return _written(_fitted(picture, image, options.viewport), options)


def thumbnail(pixels: bytes, transfer_syntax_uid: str, image: ImageAttributes, side: int = THUMBNAIL_SIDE) -> bytes:
    """A small JPEG. It shows no annotation: overlays and texts are never burned in here (PS3.18 10.4.4)."""
    viewport = Viewport(width=side, height=side)
    return render_frame(pixels, transfer_syntax_uid, image, RenderOptions(quality=80, viewport=viewport))


# --- decoding ---------------------------------------------------------------------------------------------------------


def decoded_frame(pixels: bytes, transfer_syntax_uid: str, image: ImageAttributes) -> tuple[Array, str]:
    """Stored values as an array (rows, columns[, 3]) and the photometric interpretation that they are in now.

    Raises:
        Unsupported, MalformedMessage: As `render_frame`.
    """
    if transfer_syntax_uid in NATIVE:
        return _native(pixels, transfer_syntax_uid, image), image.photometric
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.uid import UID

    try:
        decoder = get_decoder(UID(transfer_syntax_uid))
    except NotImplementedError:
        raise _no_decoder(transfer_syntax_uid) from None
    if not decoder.is_available:
        raise _no_decoder(transfer_syntax_uid)
    encapsulated = _encapsulated(pixels)
    options: dict[str, Any] = {
        "rows": image.rows,
        "columns": image.columns,
        "number_of_frames": 1,
        "samples_per_pixel": image.samples,
        "bits_allocated": image.bits_allocated,
        "bits_stored": image.bits_stored,
        "pixel_representation": int(image.signed),
        "photometric_interpretation": image.photometric,
        "planar_configuration": int(image.planar),
        "pixel_keyword": "PixelData",
    }
    try:
        array, properties = decoder.as_array(encapsulated, index=0, raw=True, **options)
    except Exception as error:  # codecs raise whatever they like at broken streams
        raise MalformedMessage(
            f"the pixel data cannot be decoded ({type(error).__name__})", location="(7FE0,0010)"
        ) from error
    return array, str(properties.get("photometric_interpretation", image.photometric))


def native_frame(pixels: bytes, transfer_syntax_uid: str, image: ImageAttributes) -> bytes:
    """One frame as Explicit VR Little Endian would have it: for those who cannot decode what is stored."""
    if transfer_syntax_uid in NATIVE and transfer_syntax_uid not in (EXPLICIT_BE, GE_PRIVATE):
        return pixels
    array, _ = decoded_frame(pixels, transfer_syntax_uid, image)
    if array.ndim == 3 and image.planar and transfer_syntax_uid in NATIVE:
        array = np.moveaxis(array, 2, 0)
    return np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"))).tobytes()


def _no_decoder(transfer_syntax_uid: str) -> Unsupported:
    return Unsupported(
        "no decoder for this transfer syntax is installed",
        code="not-acceptable",
        location=transfer_syntax_uid,
        cure='Install the extra "codecs"',
    )


def _encapsulated(code_stream: bytes) -> bytes:
    """One frame as a whole encapsulated value: an empty offset table and one fragment."""
    if len(code_stream) & 1:
        code_stream += b"\0"
    empty = b"\xfe\xff\x00\xe0\0\0\0\0"
    return empty + b"\xfe\xff\x00\xe0" + len(code_stream).to_bytes(4, "little") + code_stream


def _native(pixels: bytes, transfer_syntax_uid: str, image: ImageAttributes) -> Array:
    pixel_count = image.rows * image.columns
    if image.bits_allocated == 1:
        bits = np.unpackbits(np.frombuffer(pixels, np.uint8), bitorder="little")
        if bits.size < pixel_count:
            raise _too_short()
        return bits[:pixel_count].reshape(image.rows, image.columns)
    order = ">" if transfer_syntax_uid in (EXPLICIT_BE, GE_PRIVATE) and image.bits_allocated > 8 else "<"
    kind = "f" if image.float_bits else ("i" if image.signed else "u")
    if image.bits_allocated not in (8, 16, 32, 64):
        raise Unsupported(f"{image.bits_allocated} bits allocated cannot be rendered")
    if image.photometric == "YBR_FULL_422" and image.samples == 3 and len(pixels) < 3 * pixel_count:
        return _upsampled(pixels, image)
    values = np.frombuffer(pixels, np.dtype(f"{order}{kind}{image.bits_allocated // 8}"))
    if values.size < pixel_count * image.samples:
        raise _too_short()
    values = values[: pixel_count * image.samples]
    if image.samples == 1:
        return values.reshape(image.rows, image.columns)
    if image.planar:
        return np.moveaxis(values.reshape(image.samples, image.rows, image.columns), 0, 2)
    return values.reshape(image.rows, image.columns, image.samples)


def _upsampled(pixels: bytes, image: ImageAttributes) -> Array:
    """Y1 Y2 Cb Cr for two pixels (C.7.6.3.1.2)."""
    values = np.frombuffer(pixels, np.uint8)
    pairs = image.rows * image.columns // 2
    if values.size < pairs * 4:
        raise _too_short()
    quads = values[: pairs * 4].reshape(pairs, 4)
    full = np.empty((pairs, 2, 3), np.uint8)
    full[:, 0, 0], full[:, 1, 0] = quads[:, 0], quads[:, 1]
    full[:, :, 1], full[:, :, 2] = quads[:, 2:3], quads[:, 3:4]
    return full.reshape(image.rows, image.columns, 3)


def _too_short() -> MalformedMessage:
    return MalformedMessage("the pixel data are shorter than rows and columns say", location="(7FE0,0010)")


# --- looking right ----------------------------------------------------------------------------------------------------


def _grey(array: Array, photometric: str, image: ImageAttributes, window: Window | None) -> Array:
    if photometric not in ("MONOCHROME1", "MONOCHROME2"):
        raise Unsupported(f"photometric interpretation {photometric[:16]} with one sample cannot be rendered")
    values = _stored(array, image).astype(np.float32) * np.float32(image.slope) + np.float32(image.intercept)
    window = window or image.window or _full_range(values, image)
    shown = windowed(values, window)
    return 255 - shown if photometric == "MONOCHROME1" else shown


def _stored(array: Array, image: ImageAttributes) -> Array:
    """Only the stored bits: what lies above them may be overlays or garbage."""
    if image.float_bits or image.bits_stored >= image.bits_allocated or array.dtype.kind not in "iu":
        return array
    if not image.signed:
        kept: Array = array & array.dtype.type((1 << image.bits_stored) - 1)
        return kept
    shift = array.dtype.itemsize * 8 - image.bits_stored
    shifted: Array = np.right_shift(np.left_shift(array, shift), shift)
    return shifted


def _full_range(values: Array, image: ImageAttributes) -> Window:
    """From the darkest to the brightest value, pixel padding left out."""
    shown = values
    if image.padding is not None:
        padding = np.float32(image.padding) * np.float32(image.slope) + np.float32(image.intercept)
        shown = values[values != padding]
        if not shown.size:
            shown = values
    low, high = float(shown.min()), float(shown.max())
    return Window(center=(low + high) / 2, width=max(high - low, 1.0), function=WindowFunction.LINEAR_EXACT)


def windowed(values: Array, window: Window) -> npt.NDArray[np.uint8]:
    """Values to 0..255 by C.11.2.1.2 (LINEAR), C.11.2.1.3.2 (LINEAR_EXACT) or C.11.2.1.3.1 (SIGMOID)."""
    center, width = np.float32(window.center), np.float32(window.width)
    with np.errstate(over="ignore", invalid="ignore"):
        if window.function is WindowFunction.SIGMOID:
            scaled = 255 / (1 + np.exp(-4 * (values - center) / width))
        elif window.function is WindowFunction.LINEAR_EXACT:
            scaled = ((values - center) / width + 0.5) * 255
        elif width <= 1:
            scaled = np.where(values > center - 0.5, np.float32(255), np.float32(0))
        else:
            scaled = ((values - (center - 0.5)) / (width - 1) + 0.5) * 255
        return np.asarray(np.clip(np.nan_to_num(scaled) + 0.5, 0, 255), np.uint8)


def _to_rgb(array: Array, photometric: str) -> Array:
    if photometric in ("RGB", "YBR_RCT", "YBR_ICT"):
        return array  # decoders of JPEG 2000 undo its component transforms themselves
    if photometric.startswith("YBR_FULL"):
        y, cb, cr = (array[..., each].astype(np.float32) for each in range(3))
        half = np.float32(128 << 8 * (array.dtype.itemsize - 1))
        limit = np.iinfo(array.dtype).max
        rgb = np.stack(
            (
                y + np.float32(1.402) * (cr - half),
                y - np.float32(0.344136) * (cb - half) - np.float32(0.714136) * (cr - half),
                y + np.float32(1.772) * (cb - half),
            ),
            axis=-1,
        )
        return np.asarray(np.clip(rgb + 0.5, 0, limit), array.dtype)
    raise Unsupported(f"photometric interpretation {photometric[:16]} cannot be rendered")


def _eight_bits(array: Array, image: ImageAttributes) -> Array:
    if array.dtype.itemsize > 1:
        array = array >> max(image.bits_stored - 8, 0)
    return np.ascontiguousarray(array.astype(np.uint8))


def _through_palette(array: Array, image: ImageAttributes) -> Array:
    if image.palette is None:
        raise Unsupported("the colour palette is not at hand", location="(0028,1201)")
    (entries, first, bits), tables = image.palette
    indices = np.clip(_stored(array, image).astype(np.int64) - first, 0, entries - 1)
    planes = []
    for table in tables:
        wide = bits == 16 or len(table) >= 2 * entries
        values = np.frombuffer(table, "<u2" if wide else np.uint8)
        if values.size < entries:
            raise MalformedMessage("the colour palette is shorter than it says", location="(0028,1201)")
        values = values[:entries]
        planes.append((values >> 8 if wide and values.max(initial=0) > 255 else values).astype(np.uint8)[indices])
    return np.ascontiguousarray(np.stack(planes, axis=-1))


def _fitted(picture: Image.Image, image: ImageAttributes, viewport: Viewport | None) -> Image.Image:
    """The region that is asked for, scaled into the viewport, square pixels."""
    if viewport is not None and viewport.region is not None:
        left, top, width, height = viewport.region
        box = (left, top, left + abs(width or picture.width), top + abs(height or picture.height))
        picture = picture.crop(tuple(round(each) for each in box))  # type: ignore[arg-type]  # four of them
        if width < 0:
            picture = ImageOps.mirror(picture)
        if height < 0:
            picture = ImageOps.flip(picture)
    if abs(image.aspect - 1) > 0.01:
        picture = picture.resize((picture.width, max(1, round(picture.height * image.aspect))))
    if viewport is None:
        return picture
    scale = min(viewport.width / picture.width, viewport.height / picture.height)
    if abs(scale - 1) < 1e-6:
        return picture
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.BICUBIC)


def _written(picture: Image.Image, options: RenderOptions) -> bytes:
    body = io.BytesIO()
    match options.picture:
        case Picture.JPEG:
            picture.save(body, "JPEG", quality=options.quality)
        case Picture.PNG:
            picture.save(body, "PNG", compress_level=3)
        case Picture.GIF:
            picture.save(body, "GIF")
    return body.getvalue()
