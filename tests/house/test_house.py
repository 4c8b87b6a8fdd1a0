"""Tests about the house: the plan's promises that no type checker and no import contract can hold."""

import ast
import re
from collections.abc import Iterator

import pytest

from gateway.model.job import ENDED, HAS_WORK, TRANSITIONS, Event, InvalidTransition, State, after
from profiles.catalogue import TRANSACTIONS, by_soap_action, by_trigger_event, transaction
from profiles.errors import Condition, ExchangeError
from profiles.transaction import Actor
from profiles.wire.dicom.status import HTTP_STATUS as DICOM_HTTP_STATUS
from profiles.wire.ebxml.response import CODES
from profiles.wire.fhir.outcome import OUTCOMES
from profiles.wire.hl7v2.ack import ACKNOWLEDGEMENTS
from profiles.wire.hl7v3.ack import ACKNOWLEDGEMENTS as V3_ACKNOWLEDGEMENTS
from profiles.wire.soap.fault import FAULTS
from tests.house.modules import ROOT, modules

TRANSACTION_ID = re.compile(r"\b(ITI|RAD)-\d{1,3}\b")


@pytest.mark.parametrize(
    ("wire", "table"),
    [
        ("SOAP", FAULTS),
        ("ebXML", CODES),
        ("FHIR", OUTCOMES),
        ("HL7 v2", ACKNOWLEDGEMENTS),
        ("HL7 V3", V3_ACKNOWLEDGEMENTS),
        ("DICOMweb", DICOM_HTTP_STATUS),
    ],
)
def test_every_wire_has_a_code_for_every_condition(wire: str, table: dict[Condition, object]) -> None:
    assert set(table) == set(Condition), f"{wire} has no code for {set(Condition) - set(table)}"


def test_every_condition_has_an_error_that_carries_it() -> None:
    def below(kind: type[ExchangeError]) -> Iterator[type[ExchangeError]]:
        yield kind
        for each in kind.__subclasses__():
            yield from below(each)

    assert {kind.condition for kind in below(ExchangeError)} == set(Condition)


def test_no_listener_knows_a_transaction_by_its_number() -> None:
    for module in modules("gateway/inbound"):
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
                continue
            is_prose = len(node.value) > 40 or "\n" in node.value
            assert is_prose or not TRANSACTION_ID.search(node.value), f"{module.below}:{node.lineno} {node.value}"


def test_every_module_says_what_it_is_for() -> None:
    for module in modules("gateway", "profiles", "conformance"):
        if module.file != "__init__.py" or module.tree.body:
            assert ast.get_docstring(module.tree), f"{module.below} has no docstring"


def test_no_elements_outside_wire_and_codecs() -> None:
    for module in modules("gateway", "profiles"):
        if module.below.startswith("profiles/wire/") or module.file == "codec.py":
            continue
        for line, name in module.imports():
            assert name.split(".")[0] not in {"lxml", "pydicom"}, f"{module.below}:{line}"


def test_states_that_ended_have_no_work_and_a_way_is_left_out_of_every_other() -> None:
    assert not ENDED & HAS_WORK
    for state in State:
        ways = {event for (origin, event) in TRANSITIONS if origin is state}
        assert ways or state in {State.DONE, State.CANCELLED, State.ABANDONED}, f"nothing leads out of {state}"


def test_what_the_table_does_not_name_cannot_happen() -> None:
    with pytest.raises(InvalidTransition):
        after(State.DONE, Event.RELEASED)


def test_every_transaction_folder_is_in_the_catalogue_once() -> None:
    listed = [each.id for each in TRANSACTIONS]
    assert len(listed) == len(set(listed))
    folders = {path.parent.name for path in (ROOT / "profiles").glob("*/*/spec.py")}
    assert len(folders) == len(listed), f"{sorted(folders)} against {sorted(listed)}"


def test_every_transaction_names_its_section_and_its_actors() -> None:
    for each in TRANSACTIONS:
        assert each.section, each.id
        between_equals = each.initiator is each.responder is Actor.SECURE_NODE  # a handshake has no roles
        assert each.initiator is not each.responder or between_equals, each.id


def test_rad_68_is_iti_41_on_the_wire() -> None:
    names = [each.id for each in by_soap_action("urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b")]
    assert names == ["ITI-41", "RAD-68"]


def test_a_merge_by_2_3_1_is_iti_8_and_by_2_5_iti_30() -> None:
    assert [each.id for each in by_trigger_event("ADT", "A40", "2.3.1")] == ["ITI-8"]
    assert [each.id for each in by_trigger_event("ADT", "A40", "2.5")] == ["ITI-30"]


def test_a_transaction_is_found_by_its_name() -> None:
    assert transaction("RAD-69").id == "RAD-69"
    with pytest.raises(KeyError):
        transaction("RAD-0")
