"""Codes of the affinity domain: what is not among them is told by attribute, code and scheme."""

from dataclasses import replace

import pytest

from profiles.findings import Severity
from profiles.model.codes import Code
from profiles.model.document import DocumentEntry
from profiles.xdsi.rad68 import codes_outside
from tests.support.registered import ANN, entry, submission

STRANGE = Code(value="ODD", system="1.2.3.77", display="Odd")
FIELDS = {
    "classCode": "class_code",
    "typeCode": "type_code",
    "formatCode": "format_code",
    "healthcareFacilityTypeCode": "healthcare_facility_type_code",
    "practiceSettingCode": "practice_setting_code",
    "confidentialityCode": "confidentiality_codes",
    "eventCodeList": "event_codes",
}


def with_strange(attribute: str) -> DocumentEntry:
    several = attribute in ("confidentialityCode", "eventCodeList")
    return entry(ANN, **{FIELDS[attribute]: (STRANGE,) if several else STRANGE})


@pytest.mark.parametrize("attribute", FIELDS)
def test_a_code_that_its_attribute_does_not_have_is_named_with_its_scheme(attribute: str) -> None:
    one = with_strange(attribute)
    (found,) = codes_outside(submission(one), {attribute: {("X", "1.2")}}, Severity.ERROR)
    assert f"{attribute} ODD of 1.2.3.77" in found.text
    assert one.entry_uuid in found.text
    assert (found.location, found.severity) == (one.entry_uuid, Severity.ERROR)


@pytest.mark.parametrize("attribute", FIELDS)
@pytest.mark.parametrize("system", ["1.2.3.77", "urn:oid:1.2.3.77"])
def test_a_code_of_the_list_is_found_however_its_scheme_is_written_and_whatever_it_is_called(
    attribute: str, system: str
) -> None:
    one = with_strange(attribute)
    written = replace(STRANGE, system=system, display="called otherwise")
    field = FIELDS[attribute]
    one = replace(one, **{field: (written,) if isinstance(getattr(one, field), tuple) else written})
    assert list(codes_outside(submission(one), {attribute: {("ODD", "1.2.3.77")}}, Severity.ERROR)) == []


def test_the_content_type_of_the_set_is_looked_at_and_the_set_is_named() -> None:
    whole = submission(entry(ANN))
    (found,) = codes_outside(whole, {"contentTypeCode": {("X", "1.2")}}, Severity.WARNING)
    assert found.text.startswith("contentTypeCode ")
    assert (found.location, found.severity) == (whole.submission_set.entry_uuid, Severity.WARNING)


def test_every_code_of_an_attribute_is_looked_at() -> None:
    kept = Code(value="K", system="1.2")
    one = entry(ANN, event_codes=(kept, STRANGE, replace(STRANGE, value="ODDER")))
    found = list(codes_outside(submission(one), {"eventCodeList": {("K", "1.2")}}, Severity.WARNING))
    assert ["ODDER" in each.text for each in found] == [False, True]


def test_an_attribute_without_a_list_may_have_any_code() -> None:
    assert list(codes_outside(submission(*map(with_strange, FIELDS)), {}, Severity.ERROR)) == []


def test_a_code_is_not_told_back_without_an_end() -> None:
    one = entry(ANN, type_code=Code(value="x" * 5000, system="y" * 5000))
    (found,) = codes_outside(submission(one), {"typeCode": set()}, Severity.ERROR)
    assert len(found.text) < 400
