"""Code sets: what the file says wins, what it does not say keeps its default, what cannot be read is named."""

from pathlib import Path

import pytest

from gateway.adapters.code_sets import site_codes
from gateway.settings import SettingsError
from profiles.model.codes import Code
from profiles.model.identifiers import Oid
from profiles.xdsi.rad68 import SiteCodes

OWN = Oid("1.2.3.4")
FILE = """
language_code = "de-DE"
class_code = { value = "IMG", system = "1.2.3.99", display = "Images" }
confidentiality_codes = [{ value = "R", system = "2.16.840.1.113883.5.25" }]
accession_authority = "urn:oid:1.2.3.5"
[body_parts]
thorax = { value = "816094009", system = "2.16.840.1.113883.6.96", display = "Thorax" }
[[procedures]]
procedure = { value = "CTCHEST", system = "99LOCAL" }
type_code = { value = "24627-2", system = "2.16.840.1.113883.6.1", display = "CT Chest" }
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "codes.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_without_a_file_the_defaults_hold() -> None:
    assert site_codes(None, OWN) == SiteCodes(accession_authority=OWN, order_authority=OWN)


def test_what_the_file_says_wins(tmp_path: Path) -> None:
    codes = site_codes(written(tmp_path, FILE), OWN)
    assert codes.language_code == "de-DE"
    assert codes.class_code == Code(value="IMG", system="1.2.3.99", display="Images")
    assert codes.confidentiality_codes == (Code(value="R", system="2.16.840.1.113883.5.25"),)
    assert (codes.accession_authority, codes.order_authority) == ("1.2.3.5", OWN)
    assert codes.body_parts["THORAX"].value == "816094009"
    assert codes.procedures["CTCHEST", "99LOCAL"].value == "24627-2"
    assert codes.type_code == SiteCodes().type_code


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("klass_code = 1\n", "klass_code"),
        ('class_code = "IMG"\n', "class_code"),
        ('class_code = { value = "IMG" }\n', "class_code"),
        ('accession_authority = "mine"\n', "accession_authority"),
        ("language_code = 1\n", "language_code"),
        ("not toml", "affinity_domain.code_sets"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, text: str, key: str) -> None:
    with pytest.raises(SettingsError) as raised:
        site_codes(written(tmp_path, text), OWN)
    assert key in raised.value.problems[0].key
