import json
from pathlib import Path

import pytest

from profiles.model.identifiers import Oid
from profiles.wire.fhir.endpoint import DISPLAYS, Connection, endpoint_resource, endpoints_of, references
from profiles.wire.fhir.media import Syntax, written
from tests.profiles.wire.fhir.samples import ENDPOINTS
from tests.support.fhir import from_xml, ordered_like_the_standard, profile_issues, typed
from tests.support.judges import standards

RESOURCES = [endpoint_resource(endpoint) for endpoint in ENDPOINTS]


def test_dicomweb_addresses_are_the_root_without_studies_and_without_a_slash() -> None:
    wado, qido = endpoints_of(dicomweb="https://h/dicomweb/")
    assert wado.address == qido.address == "https://h/dicomweb"
    assert endpoint_resource(wado)["connectionType"]["code"] == "dicom-wado-rs"
    assert endpoint_resource(qido)["connectionType"]["code"] == "dicom-qido-rs"


def test_the_xds_i_endpoint_carries_the_retrieve_location() -> None:
    xds_i = endpoint_resource(ENDPOINTS[2])
    assert xds_i["identifier"] == [{"system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2.3.3"}]
    assert xds_i["connectionType"]["system"].startswith("urn:uuid:")  # HL7 has no code for RAD-69
    plain = endpoints_of(dicomweb="https://h", imaging_source="https://h/s")[2]
    assert "identifier" not in endpoint_resource(plain)
    assert plain.retrieve_location_uid != Oid("1.2.3.3")


def test_every_connection_has_words() -> None:
    assert set(DISPLAYS) == set(Connection)


def test_references_name_the_resources() -> None:
    assert [each["reference"] for each in references(ENDPOINTS)] == [f"Endpoint/{each['id']}" for each in RESOURCES]


@pytest.mark.judge_standard
def test_the_published_profile_finds_nothing_wrong(tmp_path: Path) -> None:
    assert profile_issues(tmp_path, *RESOURCES) == []
    assert [wrong for each in RESOURCES for wrong in ordered_like_the_standard(each)] == []


@pytest.mark.judge_standard
def test_connection_types_are_published_where_their_system_says_so() -> None:
    listed = json.loads(
        standards("fhir-igs", "terminology", "CodeSystem-endpoint-connection-type.json").read_text(encoding="utf-8")
    )
    codes = {concept["code"] for concept in listed["concept"]}
    for resource in RESOURCES:
        if resource["connectionType"]["system"] == listed["url"]:
            assert resource["connectionType"]["code"] in codes


@pytest.mark.parametrize("resource", RESOURCES)
def test_a_typed_library_reads_both_syntaxes_the_same(resource: dict[str, object]) -> None:
    by_json = json.loads(typed(resource).model_dump_json())
    assert from_xml(written(resource, Syntax.XML), "Endpoint") == by_json == resource
