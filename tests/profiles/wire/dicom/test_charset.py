"""Specific Character Set."""

import pytest
from pydicom.charset import python_encoding
from pydicom.valuerep import PersonName as PydicomName

from profiles.wire.dicom.charset import DEFAULT, Charset

TEXTS = {
    b"ISO_IR 100": "Müller",
    b"ISO_IR 101": "Wałęsa",
    b"ISO_IR 109": "ĦĊ",
    b"ISO_IR 110": "Āžšņ",
    b"ISO_IR 144": "Люкceмбypг",
    b"ISO_IR 127": "قباني",
    b"ISO_IR 126": "Διονυσιος",
    b"ISO_IR 138": "שרון",
    b"ISO_IR 148": "Çavuşoğlu",
    b"ISO_IR 166": "นามสกุล",
    b"ISO_IR 192": "Wang^XiaoDong=王^小东 🩻",
    b"GB18030": "王小东",
    b"GBK": "王小东",
}


@pytest.mark.parametrize(("name", "text"), TEXTS.items())
def test_single_sets_are_read_and_written(name: bytes, text: str) -> None:
    charset = Charset.named(name + b" " * (len(name) & 1))
    encoded = charset.encode(text)
    assert encoded is not None
    assert charset.decode(encoded) == text
    assert encoded == text.encode(python_encoding[name.decode()])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        # PS3.5 H.3.1, H.3.2 and I.2
        (b"\\ISO 2022 IR 87", b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B"),
        (
            b"\\ISO 2022 IR 149",
            b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
        ),
        (b"ISO 2022 IR 13\\ISO 2022 IR 87", b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J"),
    ],
)
def test_code_extensions_are_read_as_pydicom_does(name: bytes, value: bytes) -> None:
    encodings = [python_encoding[each.decode()] for each in name.split(b"\\")]
    assert Charset.named(name).decode_name(value) == str(PydicomName(value, encodings))


def test_what_cannot_be_decoded_does_not_break_reading() -> None:
    assert Charset.named(b"ISO_IR 192").decode(b"M\xfcller") == "M�ller"
    assert Charset.named(b"ISO 2022 IR 87\\ISO 2022 IR 999").decode(b"\x1b$Bxyz\xff")
    assert Charset.named(b"NO SUCH SET").decode(b"M\xfcller") == "Müller"


def test_what_a_set_does_not_have_is_not_written() -> None:
    assert Charset.named(b"ISO_IR 100").encode("Люк") is None
    assert DEFAULT.encode("Müller") is None
    assert DEFAULT.encode("Miller") == b"Miller"
    assert Charset.named(b"\\ISO 2022 IR 87").encode("山田") is None
