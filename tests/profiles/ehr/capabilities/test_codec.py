import json
from pathlib import Path

import pytest

from profiles.ehr.capabilities import CAPABILITIES, CapabilitiesResponse
from profiles.ehr.profile import TRANSACTIONS
from profiles.errors import MalformedMessage
from profiles.transaction import Side
from profiles.wire.http import HttpIn
from tests.profiles.wire.fhir.samples import BASE
from tests.support.fhir import ordered_like_the_standard, profile_issues, typed
from tests.support.fhir_house import FACTS, SOFTWARE
from tests.support.judges import standards

RESPONSE = CapabilitiesResponse(software=SOFTWARE, interactions=tuple(each.interaction for each in TRANSACTIONS))
ASKED = HttpIn(path="/metadata", base=BASE)


def statement() -> dict[str, object]:
    out = CAPABILITIES.encode_response(RESPONSE, ASKED)
    assert out.body is not None
    told: dict[str, object] = json.loads(out.body)
    return told


def test_the_statement_names_this_server() -> None:
    told = statement()
    assert told["fhirVersion"] == "4.0.1"
    assert told["kind"] == "instance"
    assert told["implementation"] == {"description": "a test house", "url": BASE}
    assert {"application/fhir+json", "application/fhir+xml"} <= set(told["format"])  # type: ignore[call-overload]
    typed(told)


def test_only_what_is_answered_is_listed() -> None:
    out = CAPABILITIES.encode_response(
        CapabilitiesResponse(software=SOFTWARE, interactions=(CAPABILITIES.interaction,)), ASKED
    )
    assert out.body is not None
    assert "resource" not in json.loads(out.body)["rest"][0]


def test_a_mode_that_does_not_exist_is_refused() -> None:
    CAPABILITIES.decode_request(HttpIn(query=(("mode", "full"),)))
    with pytest.raises(MalformedMessage):
        CAPABILITIES.decode_request(HttpIn(query=(("mode", "small"),)))


def test_nothing_is_audited() -> None:
    assert CAPABILITIES.audit(Side.RESPONDER, None, RESPONSE, FACTS) == ()


@pytest.mark.judge_standard
def test_the_published_profile_finds_nothing_wrong(tmp_path: Path) -> None:
    told = statement()
    assert profile_issues(tmp_path, told) == []
    assert ordered_like_the_standard(told) == []


@pytest.mark.judge_standard
def test_every_search_parameter_is_one_of_fhir_and_of_its_resource() -> None:
    published = {
        each["url"]: each for each in json.loads(standards("fhir-igs", "r4-core", "search-parameters.json").read_text())
    }
    for transaction in TRANSACTIONS:
        for parameter in transaction.interaction.parameters:
            definition = published.get(parameter.definition)
            if definition is None:
                assert transaction.interaction.resource == "Endpoint", parameter  # not in the collection
                continue
            assert (definition["code"], definition["type"]) == (parameter.name, parameter.type.value)
            assert {transaction.interaction.resource, "Resource"} & set(definition["base"])
