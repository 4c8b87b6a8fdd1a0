"""Code sets: what the file says wins, what it does not say keeps its default, what is wrong is told with its cure."""

from pathlib import Path

import pytest

from gateway.adapters.code_sets import CodeSets, site_codes
from gateway.settings import SettingsError
from gateway.settings_file import annotated_codes
from profiles.errors import UnmappedCode
from profiles.model.codes import CONFIDENTIALITY, DCM, LOINC, SNOMED_CT, Code
from profiles.model.identifiers import Oid
from profiles.xdsi.rad68 import ACQUISITION_MODALITIES, ANATOMIC_REGIONS, DEFAULTS, CodeRow, CodeSet, SiteCodes

OWN = Oid("1.2.3.4")
FILE = """
language_code = "de-DE"
accession_authority = "urn:oid:1.2.3.5"
[systems]
LOCAL = "1.2.3.99"
[codes]
class = [["IMG", "LOCAL", "Images"]]
type = [["24627-2", "LOINC", "CT Chest"], ["X", "LOCAL", "One"], ["X", "1.2.3.98", "Other"]]
region = [["816094009", "SCT", "Brustkorb"]]
event = [["CT", "DCM", "Computertomographie"], ["K", "LOCAL", "Kontrast"]]
[default]
class = "IMG"
confidentiality = "N"
[[map]]
modality = "ct"
procedure = "CTCHEST^99LOCAL"
type = "24627-2"
event = ["K"]
[[map]]
body_part = "Rib cage"
institution = "Lake*"
region = "816094009"
[[map]]
procedure = "Y"
type = "X^LOCAL"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "codes.toml"
    path.write_text(text, encoding="utf-8")
    return path


def problems(folder: Path, text: str) -> dict[str, str]:
    """Keys without the setting's name, and what is said of each."""
    with pytest.raises(SettingsError) as raised:
        site_codes(written(folder, text), OWN)
    assert all(each.cure and each.key.startswith("affinity_domain.code_sets") for each in raised.value.problems)
    return {each.key.partition(": ")[2]: each.reason for each in raised.value.problems}


def test_without_a_file_the_defaults_hold() -> None:
    assert site_codes(None, OWN) == SiteCodes(accession_authority=OWN, order_authority=OWN)


def test_what_the_file_says_wins(tmp_path: Path) -> None:
    codes = site_codes(written(tmp_path, FILE), OWN)
    chest = Code(value="24627-2", system=LOINC, display="CT Chest")
    thorax = Code(value="816094009", system="2.16.840.1.113883.6.96", display="Brustkorb")
    assert (codes.language_code, codes.accession_authority, codes.order_authority) == ("de-DE", "1.2.3.5", OWN)
    assert codes.defaults[CodeSet.CLASS] == (Code(value="IMG", system="1.2.3.99", display="Images"),)
    assert codes.defaults[CodeSet.CONFIDENTIALITY][0].system == CONFIDENTIALITY
    assert codes.modalities == {"CT": "Computertomographie"}
    assert codes.body_parts == {"CHEST": thorax}
    assert codes.rows == (
        CodeRow(
            modality="CT",
            procedure=("CTCHEST", "99LOCAL"),
            gives={CodeSet.TYPE: (chest,), CodeSet.EVENT: (Code(value="K", system="1.2.3.99", display="Kontrast"),)},
        ),
        CodeRow(body_part="RIBCAGE", institution="Lake*", gives={CodeSet.REGION: (thorax,)}),
        CodeRow(procedure=("Y", None), gives={CodeSet.TYPE: (Code(value="X", system="1.2.3.99", display="One"),)}),
    )


def test_a_list_of_the_domain_s_own_has_no_default_but_the_one_that_is_named(tmp_path: Path) -> None:
    codes = site_codes(written(tmp_path, FILE), OWN)
    assert CodeSet.TYPE not in codes.defaults
    assert CodeSet.REGION not in codes.defaults
    assert codes.defaults[CodeSet.FACILITY] == DEFAULTS[CodeSet.FACILITY]


def test_the_file_that_is_printed_says_what_is_built_in_and_its_examples(tmp_path: Path) -> None:
    codes = site_codes(written(tmp_path, annotated_codes()), OWN)
    built_in = SiteCodes(accession_authority=OWN, order_authority=OWN)
    assert {**codes.defaults} == {**built_in.defaults}
    assert (codes.modalities, codes.body_parts) == (ACQUISITION_MODALITIES, ANATOMIC_REGIONS)
    assert [next(iter(row.gives)) for row in codes.rows] == ["type", "type", "region", "confidentiality"]


@pytest.mark.parametrize(
    ("text", "key", "says"),
    [
        ("klass = 1\n", "klass", "nothing that this file has"),
        ("codes = 1\n", "codes", "not a table"),
        ('[codes]\nklass = []\n', "codes.klass", "not a coded attribute"),
        ('[codes]\ntype = ["X"]\n', "codes.type.0", "not a code"),
        ('[codes]\nevent = [["", "DCM", "x"]]\n', "codes.event.0", "no value"),
        ('[codes]\nevent = [["X", "MINE", "x"]]\n', "codes.event.0", "'MINE' is not a code system"),
        ('[codes]\nevent = [["X", "1.2", "x"], ["X", "1.2", "y"]]\n', "codes.event.1", "is there twice"),
        ('[codes]\nformat = [["X", "1.2", "x"]]\n', "codes.format", "imaging manifest"),
        ('[codes]\ntype = [["X", "1.2", "x"]]\n', "default.type", "neither a default nor a row"),
        ('[default]\ntype = ""\n', "default.type", "names no code"),
        ('[default]\ntype = "X"\n', "default.type", "X is not among the codes"),
        ('[default]\ntype = ["18748-4", "18748-4"]\n', "default.type", "names no code"),
        ('[[map]]\nmodality = "CT"\ntype = "X"\n', "map.0.type", "X is not among the codes"),
        ('[[map]]\ntype = "18748-4"\n', "map.0", "no condition"),
        ('[[map]]\nmodality = "CT"\n', "map.0", "gives nothing"),
        ('[[map]]\nmodality = 1\ntype = "18748-4"\n', "map.0", "a condition is a text"),
        ('[[map]]\nmodalty = "CT"\nbody_part = "HEAD"\ntype = "18748-4"\n', "map.0.modalty", "neither a condition"),
        ('[[map]]\nprocedure = "^99"\ntype = "18748-4"\n', "map.0.procedure", "not a procedure code"),
        ('[systems]\nMINE = "mine"\n', "systems.MINE", "not an OID"),
        ('accession_authority = "mine"\n', "accession_authority", "not an OID"),
        ("language_code = 1\n", "language_code", "not a text"),
        ("not toml", "", "cannot be read"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_reason(tmp_path: Path, text: str, key: str, says: str) -> None:
    assert says in problems(tmp_path, text)[key]


def test_a_value_of_two_systems_is_named_with_its_system(tmp_path: Path) -> None:
    assert "two systems" in problems(tmp_path, FILE.replace("X^LOCAL", "X"))["map.2.type"]


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    assert len(problems(tmp_path, 'klass = 1\nlanguage_code = 1\n[default]\ntype = "X"\n')) == 3


def test_a_file_that_was_changed_is_read_again(tmp_path: Path) -> None:
    path = written(tmp_path, "")
    sets = CodeSets(path, OWN)
    assert sets.current().rows == ()
    written(tmp_path, '[[map]]\nmodality = "CT"\ntype = "18748-4"\n')
    assert len(sets.current().rows) == 1


def test_a_file_that_was_changed_for_the_worse_stops_what_is_published_and_says_why(tmp_path: Path) -> None:
    path = written(tmp_path, "")
    sets = CodeSets(path, OWN)
    written(tmp_path, '[default]\ntype = "X"\n')
    with pytest.raises(UnmappedCode, match=r"default\.type: X is not among"):
        sets.current()
    path.unlink()
    with pytest.raises(UnmappedCode, match="cannot be read"):
        sets.current()


def test_what_the_domain_lists_is_what_attributes_may_have(tmp_path: Path) -> None:
    listed = site_codes(written(tmp_path, FILE), OWN).listed
    assert listed["classCode"] == {("IMG", "1.2.3.99")}
    assert listed["typeCode"] == {("24627-2", LOINC), ("X", "1.2.3.99"), ("X", "1.2.3.98")}
    assert {("CT", DCM), ("K", "1.2.3.99"), ("816094009", SNOMED_CT)} == set(listed["eventCodeList"])
    assert listed.keys() == {"classCode", "typeCode", "eventCodeList"}


def test_regions_of_the_domain_leave_every_modality(tmp_path: Path) -> None:
    only = '[codes]\nregion = [["816094009", "SCT", "Thorax"]]\n[default]\nregion = ""\n'
    listed = site_codes(written(tmp_path, only), OWN).listed
    assert set(listed) == {"eventCodeList"}
    assert {(value, DCM) for value in ACQUISITION_MODALITIES} < set(listed["eventCodeList"])
    assert len(listed["eventCodeList"]) == len(ACQUISITION_MODALITIES) + 1


def test_a_list_of_formats_says_what_others_may_submit(tmp_path: Path) -> None:
    formats = '[codes]\nformat = [["1.2.840.10008.5.1.4.1.1.88.59", "1.2.840.10008.2.6.1", "Manifest"]]\n'
    listed = site_codes(written(tmp_path, formats), OWN).listed
    assert listed == {"formatCode": {("1.2.840.10008.5.1.4.1.1.88.59", "1.2.840.10008.2.6.1")}}
