"""Compressed pixel data taken out of their compression, frame by frame: for peers that take native syntaxes only.

The head is written anew for what the decoder gives, then come the frames, one at a time; nobody holds an instance whole.
What a newcomer gets wrong: the colour space changes with the decompression (YBR_RCT becomes RGB), so the head is known only
after the first frame is decoded; and what was lost by a lossy compression stays lost, and said so (0028,2110).

Source: DICOM PS3.5 8.2, A.1, A.2; PS3.3 C.7.6.3.1.2 (Photometric Interpretation), C.7.6.3.1.3 (Planar Configuration).
"""

from dataclasses import dataclass
from struct import pack

from profiles.errors import MalformedMessage, Unsupported
from profiles.wire.dicom.elements import Elements, places_of
from profiles.wire.dicom.encode import element, encoded
from profiles.wire.dicom.jsonmodel import dicom_json
from profiles.wire.dicom.part10 import Part10Head
from profiles.wire.dicom.picture import ImageAttributes, image_attributes
from profiles.wire.dicom.rewrite import meta_of, spliced
from profiles.wire.dicom.syntaxes import EXPLICIT, EXPLICIT_LE, IMPLICIT_LE, NATIVE, encoding_of

PHOTOMETRIC_INTERPRETATION, PLANAR_CONFIGURATION, BITS_ALLOCATED = 0x00280004, 0x00280006, 0x00280100
OFFSET_TABLES = (0x7FE00001, 0x7FE00002)
MAX_NATIVE_BYTES = 0xFFFFFFFE  # the length of Pixel Data has 32 bits


def decompressible(transfer_syntax_uid: str) -> bool:
    """Whether a decoder for this syntax is installed."""
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.uid import UID

    if transfer_syntax_uid in NATIVE:
        return False
    try:
        return bool(get_decoder(UID(transfer_syntax_uid)).is_available)
    except NotImplementedError:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Decompression:
    """How one instance is written without compression: `head`, then every frame, then `padding`."""

    head: bytes
    frame_bytes: int
    padding: bytes
    image: ImageAttributes
    stored_syntax: str

    def frame(self, pixels: bytes) -> bytes:
        """One frame, decoded.

        Raises:
            MalformedMessage: It cannot be decoded, or is not of the size that the head says.
        """
        from profiles.wire.dicom.render import native_frame  # as below

        native = native_frame(pixels, self.stored_syntax, self.image)
        if len(native) != self.frame_bytes:
            raise MalformedMessage("the frames of the instance are not of one size", location="(7FE0,0010)")
        return native


def decompression(head: Part10Head, first: bytes, transfer_syntax_uid: str) -> Decompression:
    """Look at the first frame and write the head.

    Args:
        head: Of the compressed file.
        first: Its first frame, as stored.
        transfer_syntax_uid: Explicit or Implicit VR Little Endian.

    Raises:
        Unsupported: No decoder, a header that is cut, or more bytes than Pixel Data can have.
        MalformedMessage: The frame cannot be decoded.
    """
    if transfer_syntax_uid not in (EXPLICIT_LE, IMPLICIT_LE) or not head.complete:
        raise Unsupported("the instance cannot be written without compression", location=transfer_syntax_uid)
    from profiles.wire.dicom.render import decoded_frame  # with numpy and pillow, a tenth of a start that needs neither

    image = image_attributes(dicom_json(head))
    array, photometric = decoded_frame(first, head.transfer_syntax_uid, image)
    frame_bytes = array.nbytes
    length = frame_bytes * image.frames
    if length > MAX_NATIVE_BYTES:
        raise Unsupported("without compression the pixel data would be too long", location=head.sop_instance_uid)
    changes = {
        PHOTOMETRIC_INTERPRETATION: element(PHOTOMETRIC_INTERPRETATION, b"CS", photometric.encode("ascii", "replace")),
        **dict.fromkeys((tag for tag in OFFSET_TABLES if tag in head.dataset), b""),
    }
    if array.dtype.itemsize * 8 != image.bits_allocated:
        changes[BITS_ALLOCATED] = element(BITS_ALLOCATED, b"US", pack("<H", array.dtype.itemsize * 8))
    if image.samples > 1:
        changes[PLANAR_CONFIGURATION] = element(PLANAR_CONFIGURATION, b"US", pack("<H", 0))
    body = spliced(head.dataset, changes)
    target = encoding_of(transfer_syntax_uid)
    padded = length + (length & 1)
    if target.implicit:
        body = encoded(Elements(body, places_of(body, 0, len(body), EXPLICIT), EXPLICIT), target)
        body += pack("<HHL", 0x7FE0, 0x0010, padded)
    else:
        vr = b"OW" if array.dtype.itemsize > 1 else b"OB"
        body += pack("<HH2sHL", 0x7FE0, 0x0010, vr, 0, padded)
    return Decompression(
        head=meta_of(head, transfer_syntax_uid) + body,
        frame_bytes=frame_bytes,
        padding=bytes(padded - length),
        image=image,
        stored_syntax=head.transfer_syntax_uid,
    )
