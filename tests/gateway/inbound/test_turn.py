"""The turn: what never became a request is noted, and a flood of it fills no disk. The rest is the listeners'."""

from dataclasses import replace
from datetime import timedelta

from gateway.inbound.turn import REFUSALS_PER_MINUTE, REFUSALS_TOGETHER
from profiles.errors import Unauthenticated
from tests.support.registry import RegistryHouse

REFUSED = Unauthenticated("a handshake failed")


async def refuse(here: RegistryHouse, address: str) -> None:
    await here.turns.refused(replace(here.caller, network_address=address, via="nobody"), "HTTPS", REFUSED)


async def test_a_flood_from_one_address_leaves_room_for_others() -> None:
    here = await RegistryHouse().open()
    for _ in range(REFUSALS_PER_MINUTE + 20):
        await refuse(here, "10.0.0.1")
    await refuse(here, "10.0.0.2")
    assert len(here.audited()) == REFUSALS_PER_MINUTE + 1


async def test_a_flood_from_many_addresses_is_noted_up_to_a_rate_and_again_a_minute_later() -> None:
    here = await RegistryHouse().open()
    for number in range(REFUSALS_TOGETHER + 20):
        await refuse(here, f"10.1.{number // 256}.{number % 256}")
    assert len(here.audited()) == REFUSALS_TOGETHER
    here.clock.at += timedelta(seconds=61)
    await refuse(here, "10.0.0.1")
    assert len(here.audited()) == REFUSALS_TOGETHER + 1
