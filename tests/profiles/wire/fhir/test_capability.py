from profiles.wire.fhir.capability import Interaction, capability_statement
from profiles.wire.fhir.search import ParameterType, SearchParameter
from tests.support.fhir import typed
from tests.support.fhir_house import SOFTWARE

NAME = SearchParameter(name="name", type=ParameterType.STRING, definition="http://x/name", documentation="by name")


def test_interactions_of_one_type_are_one_resource() -> None:
    statement = capability_statement(
        SOFTWARE,
        "https://h/fhir/r4",
        (
            Interaction(resource="", code="capabilities"),
            Interaction(resource="Patient", code="search-type", parameters=(NAME,), includes=("Patient:link",)),
            Interaction(resource="Patient", code="read", conditional_read=True, versioned=True, documentation="by id"),
            Interaction(resource="Endpoint", code="read"),
        ),
    )
    typed(statement)
    patient, endpoint = statement["rest"][0]["resource"]
    assert patient == {
        "type": "Patient",
        "profile": "http://hl7.org/fhir/StructureDefinition/Patient",
        "interaction": [{"code": "search-type"}, {"code": "read", "documentation": "by id"}],
        "versioning": "versioned",
        "readHistory": False,
        "conditionalCreate": False,
        "conditionalRead": "full-support",
        "conditionalUpdate": False,
        "searchInclude": ["Patient:link"],
        "searchParam": [{"name": "name", "definition": "http://x/name", "type": "string", "documentation": "by name"}],
    }
    assert (endpoint["versioning"], endpoint["conditionalRead"]) == ("no-version", "not-supported")
    assert "searchParam" not in endpoint


def test_the_statement_has_a_name_for_programs() -> None:
    assert capability_statement(SOFTWARE, "https://h", ())["name"] == "Radgate"
