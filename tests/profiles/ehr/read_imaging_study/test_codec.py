import json

import pytest

from profiles.ehr.read_imaging_study import READ_IMAGING_STUDY, ReadImagingStudyResponse
from profiles.errors import UnknownDocument, Unsupported
from profiles.wire.http import HttpIn
from tests.profiles.wire.fhir.samples import BASE, ENDPOINTS, INDEXED, large


def asked(*pairs: tuple[str, str], **headers: str) -> HttpIn:
    return HttpIn(
        path="/ImagingStudy/1.2.3",
        base=BASE,
        variables={"id": "1.2.3"},
        query=pairs,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )


@pytest.mark.parametrize(
    ("pairs", "instances"),
    [
        ((), True),
        ((("_summary", "true"),), False),
        ((("_elements", "status"),), False),
        ((("_elements", "series"),), True),
    ],
)
def test_instances_are_asked_for_when_they_are_shown(pairs: tuple[tuple[str, str], ...], instances: bool) -> None:
    request = READ_IMAGING_STUDY.decode_request(asked(*pairs)).value
    assert (request.study_instance_uid, request.instances) == ("1.2.3", instances)


def test_what_cannot_be_answered_is_not_looked_up() -> None:
    with pytest.raises(Unsupported):
        READ_IMAGING_STUDY.decode_request(asked(accept="image/png"))


def test_a_small_study_is_one_body_with_its_version() -> None:
    out = READ_IMAGING_STUDY.encode_response(ReadImagingStudyResponse(study=INDEXED, endpoints=ENDPOINTS), asked())
    assert out.body is not None
    assert json.loads(out.body)["id"] == "1.2.3"
    assert dict(out.headers) == {"ETag": 'W/"3"', "Last-Modified": "Mon, 05 Jan 2026 07:40:00 GMT"}


async def test_a_large_study_is_a_stream() -> None:
    out = READ_IMAGING_STUDY.encode_response(ReadImagingStudyResponse(study=large(4000)), asked())
    assert out.stream is not None
    pieces = [piece async for piece in out.stream]
    assert len(pieces) > 3
    assert json.loads(b"".join(pieces))["numberOfInstances"] == 4000


def test_what_the_client_has_is_not_sent_again() -> None:
    out = READ_IMAGING_STUDY.encode_response(
        ReadImagingStudyResponse(study=INDEXED), asked(if_none_match='W/"3"', if_modified_since="nonsense")
    )
    assert (out.status, out.body) == (304, b"")


def test_a_study_that_is_not_here_is_an_outcome() -> None:
    out = READ_IMAGING_STUDY.refuse(UnknownDocument("no such study"), asked(accept="application/fhir+xml"))
    assert out.status == 404
    assert out.body is not None
    assert out.body.startswith(b'<OperationOutcome xmlns="http://hl7.org/fhir">')
