"""The suite of the Support port, on every store."""

from dataclasses import replace

from gateway.model.probe import Hop, Probed, Walked
from gateway.model.sighting import Sighting, Sort
from gateway.ports.store import Store
from gateway.ports.support import KeptProbe
from tests.support.registered import LATER, NOW

GOOD = Probed(
    transaction="ITI-18", address="https://lakeside.example/soap", supports={"FIND_DOCUMENTS": True, "GET_ALL": False},
    hops=(Walked(hop=Hop.NAME, good=True, detail="10.0.0.1", ms=1.5),), asynchronous=True,
)  # fmt: skip
BAD = Probed(
    transaction="RAD-69", address="https://lakeside.example/soap",
    hops=(Walked(hop=Hop.CONNECTION, good=False, detail="nobody listens", cure="Ask them"),),
)  # fmt: skip
ODD = Sighting(peer="Lakeside", transaction="RAD-69", sort=Sort.FINDING, what="lf-only-mime", count=2, last=LATER)


async def test_the_last_probe_of_a_peer_takes_the_place_of_the_one_before(store: Store) -> None:
    async with store.unit() as work:
        await work.support.probed("Lakeside", [BAD, GOOD], NOW)
        await work.support.probed("Region", [BAD], NOW)
    async with store.view() as work:
        assert list(await work.support.probes("Lakeside")) == [
            KeptProbe(at=NOW, probed=GOOD), KeptProbe(at=NOW, probed=BAD)
        ]  # fmt: skip
    async with store.unit() as work:
        await work.support.probed("Lakeside", [GOOD], LATER)
    async with store.view() as work:
        assert list(await work.support.probes("Lakeside")) == [KeptProbe(at=LATER, probed=GOOD)]
        assert len(await work.support.probes("Region")) == 1
        assert list(await work.support.probes("Nobody")) == []
    async with store.unit() as work:
        await work.support.probed("Lakeside", [], LATER)
    async with store.view() as work:
        assert list(await work.support.probes("Lakeside")) == []


async def test_what_is_seen_is_counted_and_the_latest_time_kept(store: Store) -> None:
    answered = replace(ODD, sort=Sort.OUTCOME, what="works", count=1)
    for some in ([ODD, answered], [replace(ODD, count=3, last=NOW)], [replace(ODD, peer="Region")], []):
        async with store.unit() as work:
            await work.support.seen(some)
    async with store.view() as work:
        assert list(await work.support.sightings("Lakeside")) == [replace(ODD, count=5), answered]
        assert list(await work.support.sightings("Region")) == [replace(ODD, peer="Region")]
