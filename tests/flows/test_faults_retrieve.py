"""RAD-69 for what is not where the request says: what can be had is handed out, the rest is named with its reason.

Source: RAD TF-2 4.69.4.2 (RAD69-019), ITI TF-3 4.2.4.2 (PartialSuccess), xds-soap notes 1.6.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from conformance.samples import SampleStudy
from profiles.model.identifiers import Oid
from profiles.xdsi.rad69 import RAD_69, ResponseStatus, RetrieveImagingDocumentSetRequest
from tests.support.scenario import (
    SOURCE,
    ZEBEDIAH,
    World,
    message_of,
    rad69_request,
    world,
    write_study,
)


async def known(here: World) -> SampleStudy:
    await here.valley.tell(ZEBEDIAH)
    study = write_study(here.folder / "kept", series=2, instances=2)
    status, _ = await here.valley.push(one.path.read_bytes() for one in study.instances)
    assert status == 200
    await here.valley.rests("done", kind="store")
    return study


def elsewhere(study: SampleStudy) -> RetrieveImagingDocumentSetRequest:
    return rad69_request(study, location=Oid("1.2.3.99"))


def in_each_other_s_series(study: SampleStudy) -> RetrieveImagingDocumentSetRequest:
    one, other = (str(series.series_instance_uid) for series in study.series)
    return rad69_request(study, series_of=lambda series, _: other if series == one else one)


def in_a_syntax_that_cannot_be_had(study: SampleStudy) -> RetrieveImagingDocumentSetRequest:
    return rad69_request(study, syntaxes=("1.2.840.10008.1.2.4.90",))


@pytest.mark.parametrize(
    ("request_of", "code"),
    [
        (elsewhere, "XDSUnknownRepositoryId"),
        (in_each_other_s_series, "XDSDocumentUniqueIdError"),
        (in_a_syntax_that_cannot_be_had, "XDSRepositoryError"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
async def test_nothing_can_be_had(
    tmp_path: Path, request_of: Callable[[SampleStudy], RetrieveImagingDocumentSetRequest], code: str
) -> None:
    async with world(tmp_path) as here:
        study = await known(here)
        async with here.valley.refusing() as refused:
            head, bodies = await (await here.valley.retrieve(request_of(study))).retrieved()
            assert bodies == {}
            assert head.status is ResponseStatus.FAILURE
            assert {error.code for error in head.errors} == {code}
            assert {error.location for error in head.errors} == {str(one.sop_instance_uid) for one in study.instances}
            await here.valley.closed("RAD-69")
        assert refused.step["why"]


async def test_what_is_in_another_series_is_named_and_the_rest_handed_out(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        study = await known(here)
        lost = str(study.instances[0].sop_instance_uid)
        other = str(study.series[1].series_instance_uid)
        request = rad69_request(study, series_of=lambda series, instance: other if instance == lost else series)
        head, bodies = await (await here.valley.retrieve(request)).retrieved()
        assert head.status is ResponseStatus.PARTIAL_SUCCESS
        assert [(error.code, error.location) for error in head.errors] == [("XDSDocumentUniqueIdError", lost)]
        assert len(bodies) == 3
        await here.valley.closed("RAD-69")
        (step,) = (each for each in here.valley.kept().steps if each["transaction"] == "RAD-69")
        assert step["outcome"] == "partial"
        assert "3 of 4" in step["text"]
        assert step["why"]


async def test_a_file_that_was_lost_from_the_archive_is_named(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        study = await known(here)
        next((here.valley.data / "archive" / "studies").rglob("*.dcm")).unlink()
        head, bodies = await (await here.valley.retrieve(rad69_request(study))).retrieved()
        assert head.status is ResponseStatus.PARTIAL_SUCCESS
        assert len(head.errors) == 1
        assert len(bodies) == 3


async def test_a_request_of_nothing_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        study = await known(here)
        message = await message_of(RAD_69, rad69_request(study))
        begin, end = message.body.index(b"<s:Body>") + 8, message.body.index(b"</s:Body>")
        empty = message.spoiled(
            message.body[begin:end],
            b'<r:RetrieveImagingDocumentSetRequest xmlns:r="urn:ihe:rad:xdsi-b:2009"/>',
        )
        async with here.valley.refusing():
            reply = await here.valley.post(SOURCE, empty)
            assert (await reply.fault)[0] == "Sender"
