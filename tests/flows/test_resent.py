"""A message that comes again after the house was down is answered as it was, and changes nothing."""

from datetime import UTC, datetime
from pathlib import Path

from conformance.simulators.hl7_sender import send_message
from profiles.model.moment import Moment
from profiles.model.patient import Patient
from profiles.pix.iti8 import ITI_8, FeedEvent, PatientFeedRequest
from profiles.wire.hl7v2.address import Hl7Address, Hl7Out
from tests.support.scenario import SOMEBODY_ELSE, ZEBEDIAH, World, world


def message(control_id: str, patient: Patient, event: FeedEvent = FeedEvent.REGISTER, **merge: object) -> bytes:
    address = Hl7Address(
        sending_application="ADT", sending_facility="VALLEY", receiving_application="RADGATE",
        receiving_facility="Valley",
    )  # fmt: skip
    now = datetime.now(UTC)
    request = PatientFeedRequest(event=event, patient=patient, recorded=Moment(now), **merge)  # type: ignore[arg-type]
    return ITI_8.encode_request(request, Hl7Out(address=address, control_id=control_id, at=now))


async def sent(here: World, data: bytes) -> bytes:
    host, _, port = here.valley.addresses["mllp"].partition("://")[2].rpartition(":")
    return await send_message(host, int(port), data)


async def test_a_resend_after_a_restart_gets_the_same_acknowledgement_and_changes_nothing(tmp_path: Path) -> None:
    born, other = message("R1", ZEBEDIAH), message("R2", SOMEBODY_ELSE)
    merge = message("R3", ZEBEDIAH, FeedEvent.MERGE, subsumed_identifiers=SOMEBODY_ELSE.identifiers[:1])
    async with world(tmp_path) as here:
        answers = [await sent(here, each) for each in (born, other, merge)]
        assert all(b"MSA|AA|" in answer for answer in answers)
    async with world(tmp_path) as again:  # what was in memory is gone
        before = again.valley.kept()
        # A merge that is done again would fail: its patient is gone. So the answer, not luck, is what comes back.
        assert [await sent(again, each) for each in (born, other, merge)] == answers
        after = again.valley.kept()
        assert after.clinical == before.clinical
        assert (after.steps, after.exchanges) == (before.steps, before.exchanges)
        assert not [each for each in after.audit[len(before.audit) :] if b"ITI-8" in each]


async def test_the_same_control_id_with_another_content_is_done_after_a_restart(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        first = await sent(here, message("R1", ZEBEDIAH))
    changed = message("R1", SOMEBODY_ELSE)
    async with world(tmp_path) as again:
        second = await sent(again, changed)
        assert b"MSA|AA|R1" in second
        assert second != first
        assert len(again.valley.kept().rows["patients"]) == 2
    async with world(tmp_path) as third:
        assert await sent(third, changed) == second
