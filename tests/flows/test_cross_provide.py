"""Documents handed to another community (XCDR, ITI-80): taken as at our recipient's door, or passed on by a hub.

Source: ITI TF-2 3.80; notes 1.6.
"""

import tracemalloc
import uuid
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, ClientTimeout, web

from gateway.app import running
from gateway.settings import Settings
from profiles.findings import Severity
from profiles.model.content import DICOM, Content
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.xcdr.iti80 import ITI_80, ProvideAndRegisterRequest, RegistryError, RegistryResponse, ResponseStatus
from profiles.xds.iti41 import ITI_41
from tests.support.communities import GATEWAY, LAKESIDE_HOME, NOBODY, REGION_HOME, RESPONDING, VALLEY_HOME, settings_of
from tests.support.registry import brought, registrable
from tests.support.scenario import (
    DOMAIN_ID,
    LAKESIDE,
    LAKESIDE_ID,
    RECIPIENT,
    REPOSITORY,
    SOMEBODY_ELSE,
    ZEBEDIAH,
    Message,
    Offer,
    Valley,
    logged,
    message_of,
    nothing_leaked,
    offer_of,
    read_soap,
    world,
    write_study,
)
from tests.support.stranger import answered, listening

BLOCK = b'<xdr:homeCommunityBlock xmlns:xdr="urn:ihe:iti:xdr:2014">'


def request_of(offer: Offer, home: Oid | None = VALLEY_HOME, *recipients: str) -> ProvideAndRegisterRequest:
    """A manifest for a community, and for somebody there."""
    whole = replace(offer.submission.submission_set, intended_recipients=recipients)
    return ProvideAndRegisterRequest(
        submission=replace(offer.submission, submission_set=whole),
        documents={offer.submission.entries[0].entry_uuid: Content.of(offer.body, DICOM)},
        home_community_id=home,
    )


async def across(offer: Offer, home: Oid | None = VALLEY_HOME, *recipients: str) -> Message:
    return await message_of(ITI_80, request_of(offer, home, *recipients))


async def provided(house: Valley, message: Message, *, path: str = RESPONDING, peer: str = "") -> RegistryResponse:
    reply = await house.post(path, message, peer=peer)
    assert reply.status == 200, reply.body
    return await reply.registered()


# --- what is for us ---------------------------------------------------------------------------------------------------


async def test_a_manifest_of_another_community_is_taken_as_at_the_recipient_s_door(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.valley.tell(ZEBEDIAH)
        study = here.study()
        answer = await provided(here.valley, await across(offer_of(study)), peer="Lakeside")
        assert answer == RegistryResponse()
        job = await here.valley.rests("done", "failed")
        assert (job["state"], job["peer"]) == ("done", "Lakeside")
        assert [step["transaction"] for step in job["steps"]][:2] == ["ITI-80", "RAD-69"]
        kept = here.valley.kept()
        assert len(kept.rows["instances"]) == 6
        assert len(kept.rows["entries"]) == 1
        (record,) = (each for each in kept.audit if b'csd-code="ITI-80"' in each)
        assert b64encode(VALLEY_HOME.urn.encode()) in record


async def test_a_manifest_that_replaces_another_does_so_across_communities_too(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.valley.tell(ZEBEDIAH)
        study = here.study()
        first = offer_of(study)
        old = f"urn:uuid:{uuid.uuid4()}"
        named = first.submission.associations[0]
        first = first.entry(entry_uuid=old)
        first = replace(first, submission=replace(first.submission, associations=(replace(named, target=old),)))
        assert (await provided(here.valley, await across(first), peer="Lakeside")).errors == ()
        again = offer_of(study, replaces=old)
        assert (await provided(here.valley, await across(again), peer="Lakeside")).errors == ()
        assert sorted(await here.valley.statuses(study)) == ["Approved", "Deprecated"]


async def test_what_nobody_can_place_is_held_and_released_by_a_person(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.valley.tell(SOMEBODY_ELSE)
        nemo = PatientIdentifier(value="LK90009", authority=LAKESIDE)
        study = here.study(patient=replace(ZEBEDIAH, identifiers=(nemo,)))
        answer = await provided(here.valley, await across(offer_of(study, patient_id=nemo)), peer="Lakeside")
        assert (answer.status, [each.code for each in answer.errors]) == (ResponseStatus.SUCCESS, ["DocumentQueued"])
        assert (await here.valley.exchange())["state"] == "held"


async def test_a_report_of_no_images_is_kept_without_a_fetch(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.valley.tell(ZEBEDIAH)
        one = registrable(DOMAIN_ID, source_patient_id=DOMAIN_ID, hash="", size_bytes=None)
        request = ProvideAndRegisterRequest(
            submission=brought(one, of=DOMAIN_ID), documents={one.entry_uuid: Content.of(b"%PDF-1.7")},
            home_community_id=VALLEY_HOME,
        )  # fmt: skip
        assert (await provided(here.valley, await message_of(ITI_80, request), peer="Lakeside")).errors == ()
        assert (await here.valley.exchange())["state"] == "done"
        assert here.source.asked == []


@pytest.mark.parametrize(
    ("recipients", "codes", "status"),
    [
        ((), [], ResponseStatus.SUCCESS),
        (("Valley Imaging^^^^^^^^^1.2.3.1",), [], ResponseStatus.SUCCESS),
        (("Somewhere|^Welby^Marcus",), [], ResponseStatus.SUCCESS),
        (("||^^Internet^reading@direct.valley.example",), [], ResponseStatus.SUCCESS),
        (("Valley Imaging", "Hillside"), [("UnknownRecipient", "warning")], ResponseStatus.SUCCESS),
        (("Hillside|^Kildare^James",), [("UnknownRecipient", "error")], ResponseStatus.FAILURE),
        (("Hillside", "Seaside"), [("UnknownRecipient", "error")], ResponseStatus.FAILURE),
    ],
)
async def test_a_submission_is_taken_when_it_is_for_somebody_who_is_served(
    tmp_path: Path, recipients: tuple[str, ...], codes: list[tuple[str, str]], status: ResponseStatus
) -> None:
    ours = ["valley imaging", "Marcus  Welby", "*@direct.valley.example"]
    async with world(tmp_path, house={"recipients": ours}) as here:
        await here.valley.tell(ZEBEDIAH)
        before = here.valley.kept().clinical
        answer = await provided(
            here.valley, await across(offer_of(here.study()), VALLEY_HOME, *recipients), peer="Lakeside"
        )
        assert answer.status == status
        assert [(each.code, each.severity.value) for each in answer.errors] == codes
        if status is ResponseStatus.FAILURE:
            assert here.valley.kept().clinical == before
        else:
            await here.valley.rests("done")


async def test_without_a_list_anybody_is_served(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.valley.tell(ZEBEDIAH)
        message = await across(offer_of(here.study()), VALLEY_HOME, "Hillside|^Kildare^James")
        assert (await provided(here.valley, message, peer="Lakeside")).errors == ()


async def test_the_header_that_names_the_community_may_have_to_be_understood_where_it_is(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.valley.tell(ZEBEDIAH)
        must = BLOCK.replace(b"Block ", b'Block s:mustUnderstand="true" ')
        message = (await across(offer_of(here.study()))).spoiled(BLOCK, must)
        assert (await provided(here.valley, message, peer="Lakeside")).errors == ()
        action = ITI_80.request_action.encode()
        inside = message.spoiled(action, b"urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b")
        for door in (RECIPIENT, REPOSITORY):
            async with here.valley.refusing():
                reply = await here.valley.post(door, inside)
            assert await reply.fault == ("MustUnderstand",)


async def test_a_peer_whose_scopes_leave_it_out_may_not_submit_across_communities(tmp_path: Path) -> None:
    async with world(tmp_path, peers={"Lakeside": {"scopes": ["ITI-41", "RAD-68"]}}) as here:
        await here.valley.tell(ZEBEDIAH)
        offer = offer_of(here.study())
        async with here.valley.refusing():
            answer = await provided(here.valley, await across(offer), peer="Lakeside")
        assert answer.status is ResponseStatus.FAILURE
        assert (await (await here.valley.provide(offer)).registered()).errors == ()


async def test_nobody_submits_across_communities_in_another_source_s_name(tmp_path: Path) -> None:
    async with world(tmp_path, peers={"Lakeside": {"source_ids": ["1.2.4.99"]}}) as here:
        await here.valley.tell(ZEBEDIAH)
        message = await across(offer_of(here.study()))
        async with here.valley.refusing():
            answer = await provided(here.valley, message, peer="Lakeside")
        assert answer.status is ResponseStatus.FAILURE


# --- what a hub passes on ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """Region, which passes on to Valley."""

    region: Valley
    valley: Valley
    folder: Path


def known(settings: Settings, *peers: Mapping[str, Any]) -> Settings:
    told = settings.model_dump(mode="python", exclude_unset=True)
    return Settings.model_validate({**told, "peer": list(peers)})


def speaks(name: str, url: str, *homes: Oid, forward: bool = True) -> dict[str, Any]:
    """A peer that takes what is for these communities."""
    return {
        "name": name, "home_community_id": homes[0], "homes": homes[1:], "forward": forward,
        "endpoint": {"ITI-80": f"{url}{RESPONDING}"},
    }  # fmt: skip


@asynccontextmanager
async def hub(folder: Path, *, forward: bool = True, instead: str = "") -> AsyncIterator[Hub]:
    async with logged() as log, AsyncExitStack() as stack:
        http = await stack.enter_async_context(ClientSession(timeout=ClientTimeout(total=60), auto_decompress=False))
        ours = await stack.enter_async_context(running(settings_of(folder / "Valley", "Valley")))
        valley = Valley(data=folder / "Valley", addresses=ours, http=http, log=log)
        peer = speaks("Valley", instead or valley.url, VALLEY_HOME, LAKESIDE_HOME, forward=forward)
        settings = known(settings_of(folder / "Region", "Region"), peer)
        theirs = await stack.enter_async_context(running(settings))
        yield Hub(
            region=Valley(data=folder / "Region", addresses=theirs, http=http, log=log), valley=valley, folder=folder
        )
        nothing_leaked(log.getvalue())
        assert b'"defect"' not in log.getvalue(), log.getvalue()[-3000:]


async def test_a_hub_passes_on_what_is_for_another_community_and_keeps_nothing_of_it(tmp_path: Path) -> None:
    async with hub(tmp_path) as here:
        await here.valley.tell(ZEBEDIAH)
        offer = offer_of(write_study(tmp_path / "study", series=1, instances=1), patient_id=DOMAIN_ID)
        before = here.region.kept().clinical
        assert await provided(here.region, await across(offer, VALLEY_HOME)) == RegistryResponse()
        after = here.region.kept()
        assert after.clinical == before
        assert [(step["transaction"], step["direction"], step["outcome"]) for step in after.steps] == [
            ("ITI-80", "out", "success"), ("ITI-80", "in", "success"),
        ]  # fmt: skip
        records = [each for each in after.audit if b'"ITI-80"' in each]
        assert len(records) == 2
        assert all(b64encode(VALLEY_HOME.urn.encode()) in each for each in records)
        (row,) = here.valley.kept().rows["entries"]
        assert offer.submission.entries[0].unique_id in row


@pytest.mark.parametrize("home", [VALLEY_HOME, REGION_HOME, None])
async def test_our_own_people_submit_to_another_community_by_our_initiating_gateway(
    tmp_path: Path, home: Oid | None
) -> None:
    async with hub(tmp_path) as here:
        await here.valley.tell(ZEBEDIAH)
        await here.region.tell(ZEBEDIAH)
        offer = offer_of(write_study(tmp_path / "study", series=1, instances=1), patient_id=DOMAIN_ID)
        message = await message_of(ITI_41, request_of(offer, home))
        assert await provided(here.region, message, path=GATEWAY) == RegistryResponse()
        elsewhere = home == VALLEY_HOME
        assert len(here.valley.kept().rows["entries"]) == elsewhere
        assert len(here.region.kept().rows["entries"]) == (not elsewhere)
        if elsewhere:
            assert [(step["transaction"], step["direction"]) for step in here.region.kept().steps][-2:] == [
                ("ITI-80", "out"), ("RAD-68", "in"),
            ]  # fmt: skip


async def test_a_hub_hands_back_what_the_community_says(tmp_path: Path) -> None:
    async with hub(tmp_path) as here:
        study = write_study(tmp_path / "study", series=1, instances=1)
        queued = await provided(here.region, await across(offer_of(study), VALLEY_HOME))
        assert (queued.status, [each.code for each in queued.errors]) == (ResponseStatus.SUCCESS, ["DocumentQueued"])
        async with here.region.refusing(audits=2):
            bad = offer_of(study).entry(hash="0" * 40)
            refused = await provided(here.region, await across(bad, VALLEY_HOME))
        assert refused.status is ResponseStatus.FAILURE
        assert [each.code for each in refused.errors] == ["XDSRepositoryMetadataError"]


async def test_a_hub_passes_on_for_every_home_that_its_peer_speaks_for_and_no_other(tmp_path: Path) -> None:
    async with hub(tmp_path) as here:
        offer = offer_of(write_study(tmp_path / "study", series=1, instances=1))
        (told,) = (await provided(here.region, await across(offer, LAKESIDE_HOME))).errors
        assert (told.code, told.location) == (
            "XDSUnknownCommunity",
            LAKESIDE_HOME.urn,
        )  # Valley's own word: not its home
        assert here.region.kept().steps[0]["direction"] == "out"
        async with here.region.refusing():
            (told,) = (await provided(here.region, await across(offer, NOBODY))).errors
        assert (told.code, told.location) == ("XDSUnknownCommunity", NOBODY.urn)


async def test_a_house_that_is_not_told_to_passes_nothing_on(tmp_path: Path) -> None:
    async with hub(tmp_path, forward=False) as here:
        offer = offer_of(write_study(tmp_path / "study", series=1, instances=1))
        async with here.region.refusing():
            (told,) = (await provided(here.region, await across(offer, VALLEY_HOME))).errors
        assert told.code == "XDSUnknownCommunity"
        assert here.valley.kept().steps == ()


async def test_nothing_goes_back_to_who_brought_it_nor_on_in_another_source_s_name(tmp_path: Path) -> None:
    away = {"home_community_id": NOBODY, "forward": True, "endpoint": {"ITI-80": "http://127.0.0.1:1/soap"}}
    async with world(tmp_path, peers={"Lakeside": away, "Strict": {"source_ids": ["1.2.4.99"]}}) as here:
        message = await across(offer_of(here.study()), NOBODY)
        async with here.valley.refusing():
            (told,) = (await provided(here.valley, message, peer="Lakeside")).errors
        assert (told.code, told.location) == ("XDSUnknownCommunity", NOBODY.urn)
        async with here.valley.refusing() as refusal:
            assert (await provided(here.valley, message, peer="Strict")).status is ResponseStatus.FAILURE
        assert "names a source" in refusal.step["why"]
        assert not [step for step in here.valley.kept().steps if step["direction"] == "out"]


@pytest.mark.parametrize(
    ("recipients", "code"), [((), "XDSUnavailableCommunity"), (("Valley Imaging",), "UnavailableRecipient")]
)
async def test_a_community_that_cannot_be_reached_is_said_to_be_so(
    tmp_path: Path, recipients: tuple[str, ...], code: str
) -> None:
    async with hub(tmp_path, instead="http://127.0.0.1:1") as here:
        offer = offer_of(write_study(tmp_path / "study", series=1, instances=1))
        async with here.region.refusing(audits=2) as refusal:
            answer = await provided(here.region, await across(offer, VALLEY_HOME, *recipients))
        assert answer.status is ResponseStatus.FAILURE
        assert [(each.code, each.location) for each in answer.errors] == [(code, VALLEY_HOME.urn)]
        assert "127.0.0.1" not in answer.errors[0].context  # the way to it is nobody's business
        assert refusal.step["transaction"] == "ITI-80"


async def test_two_hubs_that_take_each_other_for_a_community_s_mouth_do_not_run_in_circles(tmp_path: Path) -> None:
    async with logged() as log, AsyncExitStack() as stack:
        http = await stack.enter_async_context(ClientSession(timeout=ClientTimeout(total=60)))
        runner, told = await scripted(stack)
        region = await stack.enter_async_context(
            running(known(settings_of(tmp_path / "Region", "Region"), speaks("Valley", runner, VALLEY_HOME, NOBODY)))
        )
        valley = await stack.enter_async_context(
            running(
                known(settings_of(tmp_path / "Valley", "Valley"), speaks("Region", region["http"], REGION_HOME, NOBODY))
            )
        )
        told.onward = valley["http"] + RESPONDING
        here = Valley(data=tmp_path / "Region", addresses=region, http=http, log=log)
        offer = offer_of(write_study(tmp_path / "study", series=1, instances=1))
        answer = await provided(here, await across(offer, NOBODY))
        assert answer.status is ResponseStatus.FAILURE
        assert [each.code for each in answer.errors] == ["XDSUnavailableCommunity"]
        assert told.asked == 1


class Scripted:
    """A community that says what it is told to say, or hands on to another address; it counts what comes."""

    def __init__(self, answer: RegistryResponse | None = None) -> None:
        self.says = answer
        self.onward = ""
        self.asked = 0
        self.received_bytes = 0

    async def answer(self, request: web.Request) -> web.Response:
        self.asked += 1
        if self.onward:
            body = await request.read()
            async with (
                ClientSession() as http,
                http.post(self.onward, data=body, headers={"Content-Type": request.headers["Content-Type"]}) as reply,
            ):
                return web.Response(
                    body=await reply.read(),
                    headers={"Content-Type": reply.headers["Content-Type"]},
                    status=reply.status,
                )
        beginning = bytearray()
        async for chunk in request.content.iter_any():
            self.received_bytes += len(chunk)
            if len(beginning) < 65536:
                beginning += chunk
        asked = beginning.partition(b"<wsa:MessageID>")[2].partition(b"<")[0].decode()
        assert self.says is not None
        return await answered(ITI_80, self.says, asked)


async def scripted(stack: AsyncExitStack, answer: RegistryResponse | None = None) -> tuple[str, Scripted]:
    told = Scripted(answer)
    return await stack.enter_async_context(listening(told.answer)), told


@pytest.mark.parametrize(
    ("said", "codes"),
    [
        (RegistryResponse(status=ResponseStatus.FAILURE), ["XDSRepositoryError"]),
        (
            RegistryResponse(
                status=ResponseStatus.FAILURE,
                errors=(RegistryError(code="DocumentQueued", context="later", severity=Severity.WARNING),),
            ),
            ["XDSRepositoryError", "DocumentQueued"],
        ),
        (RegistryResponse(errors=(RegistryError(code="XDSUnknownPatientId", context="no"),)), ["XDSUnknownPatientId"]),
        (
            RegistryResponse(
                status=ResponseStatus.FAILURE, errors=(RegistryError(code="UnknownRecipient", context="no"),)
            ),
            ["UnknownRecipient"],
        ),
    ],
)
async def test_a_no_is_a_no_however_it_is_said(tmp_path: Path, said: RegistryResponse, codes: list[str]) -> None:
    async with AsyncExitStack() as stack:
        url, _ = await scripted(stack, said)
        here = await stack.enter_async_context(hub(tmp_path, instead=url))
        offer = offer_of(write_study(tmp_path / "study", series=1, instances=1))
        answer = await provided(here.region, await across(offer, VALLEY_HOME))
        assert answer.status is ResponseStatus.FAILURE
        assert [each.code for each in answer.errors] == codes
        assert here.region.kept().steps[0]["outcome"] == "failure"


async def test_a_large_document_passes_through_in_memory_that_does_not_grow_with_it(tmp_path: Path) -> None:
    size = 48 * 1024 * 1024
    async with AsyncExitStack() as stack:
        url, told = await scripted(stack, RegistryResponse())
        here = await stack.enter_async_context(hub(tmp_path, instead=url))
        one = registrable(LAKESIDE_ID, hash="", size_bytes=None)
        request = ProvideAndRegisterRequest(
            submission=brought(one, of=LAKESIDE_ID), documents={one.entry_uuid: Content.of(b"@@@@")},
            home_community_id=VALLEY_HOME,
        )  # fmt: skip
        message = await message_of(ITI_80, request)
        before, mark, after = message.body.partition(b"@@@@")
        assert mark

        async def body() -> AsyncIterator[bytes]:
            yield before
            for _ in range(size // 65536):
                yield b"x" * 65536
            yield after

        tracemalloc.start()
        try:
            async with here.region.http.post(
                here.region.url + RESPONDING, data=body(), headers={"Content-Type": message.content_type}
            ) as reply:
                answer = await read_soap(reply.headers["Content-Type"], await reply.read())
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert ITI_80.decode_response(answer.to_codec()).value == RegistryResponse()
        assert told.received_bytes > size
        assert peak < size / 4  # of sender, hub and community together
