"""Stored queries: quoting, AND and OR, what is missing and what is too much."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.findings import Finding
from profiles.model.codes import Code
from profiles.model.document import EntryType
from profiles.wire.ebxml.query import (
    ALTERNATIVES,
    AT_LEAST_ONE,
    PARAMETERS,
    AnyQuery,
    Kind,
    MultiPatientQuery,
    StoredQuery,
    parameter_slots,
    quoted,
    read_parameters,
    split_values,
)
from profiles.wire.ebxml.rim import MAX_VALUE_CHARACTERS, RIM, slot
from tests.support.ebxml import parse

FIND = {
    "$XDSDocumentEntryPatientId": ["'p^^^&1.2.3&ISO'"],
    "$XDSDocumentEntryStatus": ["('urn:oasis:names:tc:ebxml-regrep:StatusType:Approved')"],
}


def read(query: AnyQuery, slots: list[tuple[str, list[str]]]) -> tuple[dict[str, object], list[Finding]]:
    text = "".join(slot(name, values) for name, values in slots)
    findings: list[Finding] = []
    element = parse(f'<rim:AdhocQuery xmlns:rim="{RIM}" id="x">{text}</rim:AdhocQuery>'.encode())
    return dict(read_parameters(query, element, findings)), findings


def find(*slots: tuple[str, list[str]], **without: str) -> tuple[dict[str, object], list[Finding]]:
    base = [(name, values) for name, values in FIND.items() if name not in without.values()]
    return read(StoredQuery.FIND_DOCUMENTS, [*base, *slots])


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("'a'", ["a"]),
        ("('a')", ["a"]),
        ("('a','b')", ["a", "b"]),
        ("( 'a' , 'b' )", ["a", "b"]),
        ("('it''s')", ["it's"]),
        ("''''", ["'"]),
        ("''", [""]),
        ("'a,b'", ["a,b"]),
        ("('(a)','b''),(''c')", ["(a)", "b'),('c"]),
        ("20260101", ["20260101"]),
        ("(20260101)", ["20260101"]),
        ("a, b", ["a", "b"]),
        ("()", []),
        ("", []),
    ],
)
def test_values_are_split_as_they_are_quoted(text: str, values: list[str]) -> None:
    assert split_values(text) == values


@pytest.mark.parametrize(
    "text", ["'a", "a'", "('a'", "'a''", "'a' 'b'", "('a',)", "(('a'))", "'a'b", ",", "('a'),('b')"]
)
def test_quotes_and_parentheses_match(text: str) -> None:
    with pytest.raises(ValueError, match=r"match|comma"):
        split_values(text)


@given(st.lists(st.text(), min_size=1, max_size=5))
def test_whatever_is_quoted_comes_back(texts: list[str]) -> None:
    assert split_values(f"({','.join(quoted(text) for text in texts)})") == texts


@given(st.text(max_size=200))
def test_whatever_comes_is_split_or_refused(text: str) -> None:
    try:
        assert all(isinstance(value, str) for value in split_values(text))
    except ValueError as error:
        assert "match" in str(error) or "comma" in str(error)


def test_a_long_run_of_anything_takes_no_longer_than_it_is() -> None:
    for text in (" " * 300_000 + "(", "a " * 150_000 + "(", "''" * 150_000, "('" + "''" * 150_000):
        try:
            split_values(text)
        except ValueError:
            continue


def test_slots_are_and_and_values_are_or() -> None:
    found, findings = find(
        ("$XDSDocumentEntryEventCodeList", ["('CT^^DCM','MR^^DCM')", "('US^^DCM')"]),
        ("$XDSDocumentEntryEventCodeList", ["('chest^^SCT')"]),
    )
    ct, mr, us = (Code(value=value, system="DCM") for value in ("CT", "MR", "US"))
    assert found["$XDSDocumentEntryEventCodeList"] == ((ct, mr, us), (Code(value="chest", system="SCT"),))
    assert findings == []


def test_a_slot_that_may_not_be_repeated_is_refused() -> None:
    _, findings = find(("$XDSDocumentEntryClassCode", ["('a^^b')"]), ("$XDSDocumentEntryClassCode", ["('c^^d')"]))
    assert [finding.code for finding in findings] == ["XDSStoredQueryParamNumber"]


def test_several_values_where_one_is_asked_for_are_refused() -> None:
    _, findings = read(
        StoredQuery.FIND_DOCUMENTS,
        [("$XDSDocumentEntryPatientId", ["('p^^^&1.2.3&ISO','q^^^&1.2.3&ISO')"]), *list(FIND.items())[1:]],
    )
    assert [finding.code for finding in findings] == ["XDSStoredQueryParamNumber"]


@pytest.mark.parametrize("name", FIND)
def test_what_is_required_is_missed(name: str) -> None:
    _, findings = find(without=name)
    assert [(finding.code, finding.location) for finding in findings] == [("XDSStoredQueryMissingParam", name)]


def test_unknown_statuses_are_ignored_and_none_left_is_missing() -> None:
    name = "$XDSDocumentEntryStatus"
    known = "'urn:oasis:names:tc:ebxml-regrep:StatusType:Approved'"
    found, findings = find(
        (name, [f"('urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Approved',{known})"]), without=name
    )
    assert [finding.severity for finding in findings] == ["warning"]
    assert found[name] == (("urn:oasis:names:tc:ebxml-regrep:StatusType:Approved",),)
    _, findings = find((name, ["('urn:x')"]), without=name)
    assert [finding.code for finding in findings if finding.severity == "error"] == ["XDSStoredQueryMissingParam"]


def test_types_of_entries_of_which_none_is_known_are_not_taken_for_the_default() -> None:
    name, nobody = "$XDSDocumentEntryType", "'urn:uuid:00000000-0000-4000-8000-000000000000'"
    found, findings = find((name, [f"('{EntryType.ON_DEMAND}',{nobody})"]))
    assert [finding.severity for finding in findings] == ["warning"]
    assert found[name] == ((EntryType.ON_DEMAND,),)
    _, findings = find((name, [f"({nobody})"]))
    wrong = [(finding.code, finding.location) for finding in findings if finding.severity == "error"]
    assert wrong == [("XDSRegistryError", name)]
    assert find((name, []))[1] == []


def test_pending_is_nobodys_business() -> None:
    found, findings = find(("$XDSDocumentEntryStatus", ["('pending')"]), without="$XDSDocumentEntryStatus")
    assert "XDSStoredQueryMissingParam" in [finding.code for finding in findings]
    assert "$XDSDocumentEntryStatus" not in found


@pytest.mark.parametrize("query", ALTERNATIVES)
def test_one_of_two_is_asked_for(query: StoredQuery) -> None:
    either = ALTERNATIVES[query]
    table = {parameter.name: parameter for parameter in PARAMETERS[query]}
    rest = [
        (parameter.name, ["('urn:ihe:iti:2007:AssociationType:RPLC')"])
        for parameter in table.values()
        if parameter.required
    ]
    one, other = ([(name, ["('x')" if table[name].many else "'x'"])] for name in (either.uuid, either.unique_id))
    assert read(query, [*one, *rest])[1] == []
    assert read(query, [*other, *rest])[1] == []
    assert [finding.code for finding in read(query, rest)[1]] == ["XDSStoredQueryMissingParam"]
    assert [finding.code for finding in read(query, [*one, *other, *rest])[1]] == ["XDSStoredQueryParamNumber"]


def test_what_cannot_be_read_is_named_once() -> None:
    _, findings = find(("$XDSDocumentEntryPatientId", ["'p'"]), without="$XDSDocumentEntryPatientId")
    assert [(finding.code, finding.location) for finding in findings] == [
        ("XDSRegistryError", "$XDSDocumentEntryPatientId")
    ]


def test_parameters_that_a_query_has_not_got_are_odd_and_no_more() -> None:
    _, findings = find(("$VendorHint", ["2"]), ("urn:vendor:hint", ["x"]))
    assert [(finding.severity, finding.location) for finding in findings] == [("warning", "$VendorHint")]


def test_every_query_is_asked_at_a_level() -> None:
    assert all(PARAMETERS[query][-1].name == "$MetadataLevel" for query in PARAMETERS)
    found, findings = find(("$MetadataLevel", ["2"]))
    assert (found["$MetadataLevel"], findings) == (((2,),), [])
    assert [each.code for each in find(("$MetadataLevel", ["3"]))[1]] == ["XDSRegistryError"]
    assert [each.code for each in find(("$MetadataLevel", ["1", "2"]))[1]] == ["XDSStoredQueryParamNumber"]


def test_a_status_of_associations_that_nobody_knows_is_none() -> None:
    uuid = ("$uuid", ["('urn:uuid:1')"])
    found, findings = read(StoredQuery.GET_ASSOCIATIONS, [uuid, ("$XDSAssociationStatus", ["('urn:x:Withdrawn')"])])
    assert "$XDSAssociationStatus" not in found
    assert [each.severity for each in findings] == ["warning"]


@pytest.mark.parametrize(
    ("query", "name"),
    [
        (StoredQuery.GET_DOCUMENTS, "$XDSDocumentEntryLogicalID"),
        (StoredQuery.GET_FOLDERS, "$XDSFolderLogicalID"),
    ],
)
def test_a_logical_id_is_the_third_way_to_name_something(query: StoredQuery, name: str) -> None:
    by_logical_id = (name, ["('urn:uuid:1')"])
    assert read(query, [by_logical_id]) == ({name: (("urn:uuid:1",),)}, [])
    for other in (ALTERNATIVES[query].uuid, ALTERNATIVES[query].unique_id):
        found = read(query, [by_logical_id, (other, ["('x')"])])[1]
        assert [each.code for each in found] == ["XDSStoredQueryParamNumber"]


APPROVED = "('urn:oasis:names:tc:ebxml-regrep:StatusType:Approved')"


@pytest.mark.parametrize("query", AT_LEAST_ONE)
def test_a_query_for_several_patients_says_something_that_is_meant(query: AnyQuery) -> None:
    kind = "DocumentEntry" if query is MultiPatientQuery.FIND_DOCUMENTS else "Folder"
    status = (f"$XDS{kind}Status", [APPROVED])
    assert [each.code for each in read(query, [status])[1]] == ["XDSStoredQueryMissingParam"]
    for name in AT_LEAST_ONE[query]:
        value = "('p^^^&1.2&ISO','q^^^&1.2&ISO')" if name.endswith("PatientId") else "('a^^b')"
        assert read(query, [status, (name, [value])])[1] == []


def test_several_patients_are_asked_for_by_reference_without_naming_one() -> None:
    query = MultiPatientQuery.FIND_DOCUMENTS_BY_REFERENCE_ID
    told = [("$XDSDocumentEntryStatus", [APPROVED]), ("$XDSDocumentEntryReferenceIdList", ["('A1^%')"])]
    assert read(query, told)[1] == []
    assert [each.code for each in read(query, told[:1])[1]] == ["XDSStoredQueryMissingParam"]


def test_peers_leave_out_quotes_and_parentheses() -> None:
    found, findings = find(
        ("$XDSDocumentEntryClassCode", ["'a^^b'"]), ("$XDSDocumentEntryCreationTimeFrom", ["'20260101'"])
    )
    assert found["$XDSDocumentEntryClassCode"] == ((Code(value="a", system="b"),),)
    assert [finding.rule for finding in findings] == ["ebrim/query-parentheses"]


def test_a_long_list_is_split_between_values_and_never_inside_one() -> None:
    parameter = next(each for each in PARAMETERS[StoredQuery.GET_DOCUMENTS] if each.name.endswith("EntryUUID"))
    ids = tuple(f"urn:uuid:00000000-0000-4000-8000-{n:012d}" for n in range(100))
    text = "".join(parameter_slots([(parameter, (ids,))]))
    element = parse(f'<rim:AdhocQuery xmlns:rim="{RIM}" id="x">{text}</rim:AdhocQuery>'.encode())
    values = [value.text or "" for value in element.iter(f"{{{RIM}}}Value")]
    assert len(values) == 20
    assert max(map(len, values)) <= MAX_VALUE_CHARACTERS
    findings: list[Finding] = []
    assert read_parameters(StoredQuery.GET_DOCUMENTS, element, findings) == {parameter.name: (ids,)}
    assert findings == []


def test_the_table_is_whole() -> None:
    assert set(PARAMETERS) == {*StoredQuery, *MultiPatientQuery}
    for query, parameters in PARAMETERS.items():
        names = [parameter.name for parameter in parameters]
        assert len(names) == len(set(names)), query
        assert all(parameter.kind is not Kind.TIME or not parameter.many for parameter in parameters)
