"""A house asks another one and has the answers brought to its reply address: every SOAP transaction that it asks.

Source: ITI TF-2 Appendix V.5; ITI TF-2 3.18.4.1.2.7, 3.38, 3.39, 3.43.5, 3.55; RAD TF-2 4.69, 4.75.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance.samples import write_ct_study
from gateway.ports.questions import ANSWERED_AT_ONCE
from gateway.telemetry import FINDINGS
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.xdsi.rad69 import RAD_69, RetrieveImagingDocumentSetRequest, SeriesRequest
from tests.support.memory import high_water
from tests.support.pair import HOMES, Pair, grounds, known_at, pair_of
from tests.support.scenario import message_of, rad69_request, write_study

DOMAIN, COMMUNITY = ("ITI-18", "ITI-43", "RAD-69"), ("ITI-38", "ITI-39", "ITI-55", "RAD-75")
REGISTERS: dict[str, Any] = {"Lakeside": {"rule": [{"when": "study.available", "do": ["register"]}]}}


def asking(transactions: tuple[str, ...]) -> dict[str, Any]:
    """What Region says of Lakeside: asked these, and asynchronously."""
    region: dict[str, Any] = {"endpoint": transactions, "ask_asynchronously": transactions}
    if transactions == COMMUNITY:  # whoever keeps a repository of the domain is asked by ITI-43
        region |= {"repository_unique_ids": [], "retrieve_location_uids": []}
    return region


async def lakeside_has_a_study(here: Pair) -> int:
    """Published in its own registry; how many instances it has."""
    theirs = known_at("Lakeside")
    await here["Lakeside"].tell(theirs)
    study = write_study(here.folder / "study", patient=theirs, series=2, instances=3)
    status, _ = await here["Lakeside"].push([one.path.read_bytes() for one in study.instances], peer="")
    assert status == 200
    await here["Lakeside"].rests("done", kind="store")
    return len(tuple(study.instances))


async def region_collects(here: Pair, asked: PatientIdentifier, state: str) -> dict[str, Any]:
    """An operator of Region wants what Lakeside has of the patient, whom Region knows by both ids."""
    ours, theirs = known_at("Region"), known_at("Lakeside")
    await here["Region"].tell(replace(ours, identifiers=ours.identifiers + theirs.identifiers))
    said = await here["Region"].ask(
        "POST", "/collect", {"patient": str(asked), "registry": "Lakeside", "person": "ann"}
    )
    assert "error" not in said, said
    return await here["Region"].rests(state, kind="collect")


def asked(here: Pair) -> dict[str, set[str]]:
    """What Region asked, and how it went."""
    found: dict[str, set[str]] = {}
    for step in here["Region"].kept().steps:
        if step["direction"] == "out":
            found.setdefault(step["transaction"], set()).add(step["outcome"])
    return found


def answered_at_once() -> float:
    """How many answers came on the connection that asked although they were to come later."""
    counted = {"peer": "Lakeside", "rule": ANSWERED_AT_ONCE}
    samples = (sample for metric in FINDINGS.collect() for sample in metric.samples)
    return sum(each.value for each in samples if each.labels == counted and each.name.endswith("_total"))


@pytest.mark.parametrize("transactions", [DOMAIN, COMMUNITY], ids=["within a domain", "between communities"])
async def test_a_study_is_found_and_fetched_and_every_answer_is_brought(
    tmp_path: Path, transactions: tuple[str, ...]
) -> None:
    who = known_at("Lakeside" if transactions == DOMAIN else "Region").identifiers[0]
    at_once = answered_at_once()
    region = asking(transactions)
    async with pair_of(tmp_path, region=region, sections=REGISTERS) as here:
        instances = await lakeside_has_a_study(here)
        await region_collects(here, who, "done")
        assert asked(here) == {each: {"success"} for each in transactions}
        assert len(here["Region"].kept().rows["instances"]) == instances
        audited = b"".join(here["Region"].kept().audit)
        assert all(f'csd-code="{each}"'.encode() in audited for each in transactions)
        assert not [step for step in here["Lakeside"].kept().steps if step["outcome"] == "failure"]
    assert answered_at_once() == at_once


@pytest.mark.parametrize("transactions", [DOMAIN, COMMUNITY], ids=["within a domain", "between communities"])
async def test_a_house_that_does_not_allow_our_address_refuses_and_says_so(
    tmp_path: Path, transactions: tuple[str, ...]
) -> None:
    who = known_at("Lakeside" if transactions == DOMAIN else "Region").identifiers[0]
    region = asking(transactions)
    async with pair_of(tmp_path, region=region, replies="/elsewhere", sections=REGISTERS) as here:
        await lakeside_has_a_study(here)
        failed = await region_collects(here, who, "failed")
        assert "OnlyAnonymousAddressSupported" in failed["reason"]
        assert failed["cure"]


async def test_a_house_of_several_processes_gives_each_a_reply_address_of_its_own(tmp_path: Path) -> None:
    async with grounds(tmp_path) as (here, http, log):
        reply_url = f"{here.url('Region')}/soap/reply/second"
        lakeside = here.settings("Lakeside", {"reply_to": [reply_url]}, **REGISTERS["Lakeside"])
        region = {**asking(DOMAIN), "endpoint": here.endpoints("Lakeside", *DOMAIN)}
        told = here.settings("Region", region, listen={"reply_url": reply_url})
        async with here.standing(lakeside, http, log), here.standing(told, http, log):
            await lakeside_has_a_study(here)
            await region_collects(here, known_at("Lakeside").identifiers[0], "done")
        assert asked(here) == {each: {"success"} for each in DOMAIN}


async def test_200_mb_pass_through_a_house_that_asks_asynchronously_in_flat_memory(tmp_path: Path) -> None:
    """Region asks Lakeside by RAD-75, has the answer brought, and pours it on to its own reader, over TLS all the way."""
    async with pair_of(tmp_path, region=asking(("RAD-75",))) as here:
        theirs = known_at("Lakeside")
        await here["Lakeside"].tell(theirs)
        study = write_ct_study(tmp_path / "study", seed=1, patient=theirs, series=1, instances=24, rows=2048)
        for one in study.instances:
            status, _ = await here["Lakeside"].push([one.path.read_bytes()], peer="")
            assert status == 200
        request = rad69_request(study, location=Oid(f"{HOMES['Lakeside']}.3"))
        message = await message_of(RAD_69, at_home(request, HOMES["Lakeside"]))
        size, before = 0, high_water(reset=True)
        async with here["Region"].http.post(
            here["Region"].url + "/soap/imaging-initiating-gateway", data=message.body,
            headers={"Content-Type": message.content_type},
        ) as answer:  # fmt: skip
            assert answer.status == 200
            while piece := await answer.content.readany():
                size += len(piece)
        assert size > 200_000_000
        grown = high_water() - before
        assert grown < 64 * 1024 * 1024, grown  # of source, house and reader together
        await here["Region"].closed("RAD-75")
        assert asked(here) == {"RAD-75": {"success"}}


def at_home(request: RetrieveImagingDocumentSetRequest, home: Oid) -> RetrieveImagingDocumentSetRequest:
    """The same request with a home on every instance."""

    def of(series: SeriesRequest) -> SeriesRequest:
        return replace(series, documents=tuple(replace(each, home_community_id=home) for each in series.documents))

    return replace(
        request,
        studies=tuple(replace(study, series=tuple(map(of, study.series))) for study in request.studies),
    )
