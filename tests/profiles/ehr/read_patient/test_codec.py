import json

import pytest

from profiles.ehr.read_patient import READ_PATIENT, ReadPatientResponse
from profiles.errors import UnknownPatient
from profiles.wire.fhir.patient import patient_id_of
from profiles.wire.http import HttpIn
from tests.profiles.wire.fhir.samples import ANNA, BASE


def asked(patient_id: str, *pairs: tuple[str, str], **headers: str) -> HttpIn:
    return HttpIn(path=f"/Patient/{patient_id}", base=BASE, variables={"id": patient_id}, query=pairs, headers=headers)


def test_the_identifier_is_in_the_id() -> None:
    read = READ_PATIENT.decode_request(asked(patient_id_of(ANNA.identifiers[0]))).value
    assert read.identifier == ANNA.identifiers[0]


@pytest.mark.parametrize("patient_id", ["7", "", "x" * 64, "filkovvfumfbuh2qgf", "FILKOVVFUMFBUH2QGE"])
def test_an_id_that_we_did_not_make_is_nobody(patient_id: str) -> None:
    with pytest.raises(UnknownPatient):
        READ_PATIENT.decode_request(asked(patient_id))


def test_the_content_is_the_version() -> None:
    out = READ_PATIENT.encode_response(ReadPatientResponse(patient=ANNA), asked("x"))
    (etag,) = [value for name, value in out.headers if name == "ETag"]
    again = READ_PATIENT.encode_response(ReadPatientResponse(patient=ANNA), asked("x", **{"if-none-match": etag}))
    assert again.status == 304


def test_a_part_of_a_patient_says_that_it_is_one() -> None:
    out = READ_PATIENT.encode_response(ReadPatientResponse(patient=ANNA), asked("x", ("_elements", "gender")))
    assert out.body is not None
    resource = json.loads(out.body)
    assert list(resource) == ["resourceType", "id", "meta", "gender"]
    assert resource["meta"]["tag"][0]["code"] == "SUBSETTED"
