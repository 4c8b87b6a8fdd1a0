"""DICOM JSON of an instance as it is kept in a row: deflated with a dictionary of what all headers share."""

import re
import zlib

_TAGS = """
00080005:CS 00080008:CS 00080016:UI 00080018:UI 00080020:DA 00080021:DA 00080022:DA 00080023:DA 00080030:TM
00080031:TM 00080032:TM 00080033:TM 00080050:SH 00080060:CS 00080070:LO 00080080:LO 00080090:PN 00081010:SH
00081030:LO 0008103E:LO 00081090:LO 00081140:SQ 00081150:UI 00081155:UI 00100010:PN 00100020:LO 00100021:LO
00100030:DA 00100040:CS 00101010:AS 00180010:LO 00180015:CS 00180050:DS 00180060:DS 00180088:DS 00181020:LO
00181030:LO 00181100:DS 00181151:IS 00181210:SH 00185100:CS 0020000D:UI 0020000E:UI 00200010:SH 00200011:IS
00200012:IS 00200013:IS 00200032:DS 00200037:DS 00200052:UI 00201040:LO 00201041:DS 00280002:US 00280004:CS
00280008:IS 00280010:US 00280011:US 00280030:DS 00280100:US 00280101:US 00280102:US 00280103:US 00281050:DS
00281051:DS 00281052:DS 00281053:DS 00281054:LO 7FE00010:OW
"""
_SHARED = "".join(f'"{tag}":{{"vr":"{vr}","Value":["' for tag, vr in re.findall("([0-9A-F]{8}):([A-Z]{2})", _TAGS))
_SHARED += (
    '"]},"Value":[{"Alphabetic":"ORIGINAL","PRIMARY","AXIAL","MONOCHROME2"ISO_IR 1001.2.840.10008.5.1.4.1.1.2.1.2.840.'
)
_DICTIONARY = _SHARED.encode()
_FIRST = b"\x01"
"""What a body begins with names its dictionary: the one above may never change, only be followed by another."""


def deflate(metadata: bytes) -> bytes:
    """Smaller: a CT header of 3 KB becomes some hundred bytes."""
    deflater = zlib.compressobj(level=1, wbits=-15, zdict=_DICTIONARY)
    return _FIRST + deflater.compress(metadata) + deflater.flush()


def inflate(body: bytes) -> bytes:
    """As it was handed in."""
    return zlib.decompressobj(wbits=-15, zdict=_DICTIONARY).decompress(memoryview(body)[1:])
