"""From a study's own words to the affinity domain's codes: rows first, then the default, and never a guess."""

from dataclasses import replace

import pytest

from profiles.errors import UnmappedCode
from profiles.model.codes import CONFIDENTIALITY, DCM, LOINC, SNOMED_CT, Code
from profiles.xdsi.rad68 import DEFAULTS, CodeRow, CodeSet, SiteCodes, chosen_codes
from tests.support.manifests import MANIFEST, STUDY, series

CHEST = Code(value="24627-2", system=LOINC, display="CT Chest")
BREAST = Code(value="24606-6", system=LOINC, display="MG Breast")
RESTRICTED = Code(value="R", system=CONFIDENTIALITY, display="restricted")
NO_TYPE = {attribute: codes for attribute, codes in DEFAULTS.items() if attribute is not CodeSet.TYPE}


def row(attribute: CodeSet, code: Code, **when: object) -> CodeRow:
    return CodeRow(gives={attribute: (code,)}, **when)  # type: ignore[arg-type]


def test_without_a_table_the_defaults_are_chosen() -> None:
    chosen = chosen_codes(MANIFEST, SiteCodes())
    assert (chosen.type_code, chosen.confidentiality_codes) == (
        DEFAULTS[CodeSet.TYPE][0],
        DEFAULTS[CodeSet.CONFIDENTIALITY],
    )


@pytest.mark.parametrize(
    ("when", "fits"),
    [
        ({"modality": "PT"}, True),
        ({"modality": "MG"}, False),
        ({"procedure": ("CTCH", "99LAKE")}, True),
        ({"procedure": ("CTCH", None)}, True),
        ({"procedure": ("CTCH", "99ELSE")}, False),
        ({"body_part": "CHEST"}, True),
        ({"body_part": "FOOT"}, False),
        ({"institution": "lakeside*"}, True),
        ({"institution": "Valley*"}, False),
        ({"modality": "CT", "body_part": "ABDOMEN", "institution": "*sons"}, True),
        ({"modality": "CT", "body_part": "FOOT"}, False),
    ],
)
def test_a_row_fits_when_all_that_it_names_holds(when: dict[str, object], fits: bool) -> None:
    codes = SiteCodes(rows=(row(CodeSet.TYPE, CHEST, **when),))
    assert (chosen_codes(MANIFEST, codes).type_code == CHEST) is fits


def test_the_first_row_that_fits_decides_attribute_by_attribute() -> None:
    codes = SiteCodes(
        rows=(
            row(CodeSet.CONFIDENTIALITY, RESTRICTED, modality="PT"),
            row(CodeSet.TYPE, CHEST, modality="CT"),
            row(CodeSet.TYPE, BREAST, modality="PT"),
        )
    )
    chosen = chosen_codes(MANIFEST, codes)
    assert (chosen.type_code, chosen.confidentiality_codes) == (CHEST, (RESTRICTED,))


def test_what_has_neither_row_nor_default_is_named_and_no_patient_with_it() -> None:
    codes = SiteCodes(defaults=NO_TYPE, rows=(row(CodeSet.TYPE, BREAST, modality="MG"),))
    with pytest.raises(UnmappedCode) as raised:
        chosen_codes(MANIFEST, codes)
    said = raised.value.detail
    assert "type of modality CT, SR, KO, PT, procedure CTCH^99LAKE, body part CHEST, ELSEWHERE, ABDOMEN" in said
    assert "institution Lakeside & Sons" in said
    assert "row" in raised.value.cure
    for secret in ("PAT001", "Test", "Anna"):
        assert secret not in said


def test_a_body_part_of_the_site_s_own_has_the_region_of_its_row_in_its_series_alone() -> None:
    thorax = Code(value="816094009", system=SNOMED_CT, display="Thorax")
    study = replace(STUDY, series=(series(1, "CT", "RIBCAGE LEFT"), series(2, "CT", "HEAD")))
    codes = SiteCodes(rows=(row(CodeSet.REGION, thorax, body_part="RIBCAGELEFT"),))
    events = chosen_codes(replace(MANIFEST, studies=(study,)), codes).event_codes
    assert [code.value for code in events] == ["CT", "816094009", "69536005"]


def test_a_body_part_that_nothing_maps_is_left_out_only_where_the_site_said_so() -> None:
    study = replace(STUDY, series=(series(1, "CT", "RIBCAGE"), series(2, "KO", "NOWHERE")))
    manifest = replace(MANIFEST, studies=(study,))
    assert [code.value for code in chosen_codes(manifest, SiteCodes()).event_codes] == ["CT"]
    strict = {attribute: codes for attribute, codes in DEFAULTS.items() if attribute is not CodeSet.REGION}
    with pytest.raises(UnmappedCode) as raised:
        chosen_codes(manifest, SiteCodes(defaults=strict))
    assert "region of body part RIBCAGE" in raised.value.detail
    assert "NOWHERE" not in raised.value.detail  # a list of keys is no image of anything


def test_a_modality_that_the_domain_does_not_have_is_missing_and_not_left_out() -> None:
    with pytest.raises(UnmappedCode) as raised:
        chosen_codes(MANIFEST, SiteCodes(modalities={"CT": "CT"}))
    assert raised.value.detail.endswith("event of modality PT")


def test_event_codes_of_a_row_come_beside_modality_and_region() -> None:
    contrast = Code(value="1", system="1.2.3.99", display="With contrast")
    codes = SiteCodes(rows=(row(CodeSet.EVENT, contrast, procedure=("CTCH", "99LAKE")),))
    events = chosen_codes(MANIFEST, codes).event_codes
    assert events[0] == Code(value="CT", system=DCM, display="Computed Tomography")
    assert events[-1] == contrast


def test_studies_of_one_manifest_that_would_differ_have_the_default() -> None:
    other = replace(STUDY, procedure_codes=())
    codes = SiteCodes(rows=(row(CodeSet.TYPE, CHEST, procedure=("CTCH", None)),))
    assert chosen_codes(replace(MANIFEST, studies=(STUDY, other)), codes).type_code == DEFAULTS[CodeSet.TYPE][0]
