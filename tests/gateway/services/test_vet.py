"""Vet: codes that others submit, by every transaction that brings some, told or refused as the house is set."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gateway.services.vet import Vet, Vetting
from profiles.errors import UnmappedCode
from profiles.findings import Severity
from profiles.model.codes import Code
from profiles.model.document import DocumentEntry, EntryType
from profiles.model.identifiers import Oid
from profiles.wire.ebxml.response import RegistryResponse, ResponseStatus
from profiles.xds.iti42 import ITI_42, RegisterRequest
from profiles.xds.iti57 import ITI_57, UpdateRequest
from profiles.xds.iti61 import ITI_61, RegisterOnDemandRequest
from profiles.xdsi.rad68 import SiteCodes
from tests.support.registry import InlineCompute, RegistryHouse, brought, next_of, registrable, version

ODD = Code(value="ODD", system="1.2.3.77", display="Odd")
ALLOWED = registrable().type_code
LISTED = SiteCodes(listed={"typeCode": {(ALLOWED.value, ALLOWED.system)}})


async def house(vetting: Vetting, codes: Callable[[], SiteCodes] = lambda: LISTED) -> RegistryHouse:
    return await RegistryHouse(vet=Vet(vetting=vetting, codes=codes, compute=InlineCompute())).open()


async def by_iti_42(here: RegistryHouse, one: DocumentEntry) -> RegistryResponse:
    return await here.ask(ITI_42, RegisterRequest(submission=brought(one)))


async def by_iti_61(here: RegistryHouse, one: DocumentEntry) -> RegistryResponse:
    coming = replace(
        one, entry_type=EntryType.ON_DEMAND, creation_time=None, hash="", size_bytes=None,
        repository_unique_id=Oid("1.2.3.4.5"),
    )  # fmt: skip
    return await here.ask(ITI_61, RegisterOnDemandRequest(submission=brought(coming)))


async def by_iti_57(here: RegistryHouse, one: DocumentEntry) -> RegistryResponse:
    first = replace(one, type_code=ALLOWED)
    await by_iti_42(here, first)
    (kept,) = [each for each in here.memory.state.entries.values() if each.entry_uuid == first.entry_uuid]
    return await here.ask(ITI_57, UpdateRequest(submission=version(next_of(kept, type_code=one.type_code))))


WAYS: dict[str, Any] = {"ITI-42": by_iti_42, "ITI-61": by_iti_61, "ITI-57": by_iti_57}


@pytest.mark.parametrize("way", WAYS)
async def test_a_code_outside_the_list_is_refused_where_such_are_and_nothing_is_registered(way: str) -> None:
    here = await house(Vetting.REFUSE)
    answer = await WAYS[way](here, registrable(type_code=ODD))
    assert answer.status is ResponseStatus.FAILURE
    (error,) = answer.errors
    assert (error.code, error.severity) == ("XDSRegistryMetadataError", Severity.ERROR)
    assert "typeCode ODD of 1.2.3.77" in error.context
    assert all(each.type_code != ODD for each in here.memory.state.entries.values())


@pytest.mark.parametrize("way", WAYS)
async def test_a_code_outside_the_list_is_told_as_a_warning_and_registered(way: str) -> None:
    here = await house(Vetting.WARN)
    answer = await WAYS[way](here, registrable(type_code=ODD))
    assert answer.status is ResponseStatus.SUCCESS
    (warning,) = answer.errors
    assert (warning.code, warning.severity) == ("XDSRegistryMetadataError", Severity.WARNING)
    assert any(each.type_code == ODD for each in here.memory.state.entries.values())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("vetting", [Vetting.WARN, Vetting.REFUSE])
async def test_nothing_is_said_of_codes_of_the_list(way: str, vetting: Vetting) -> None:
    answer = await WAYS[way](await house(vetting), registrable())
    assert (answer.status, answer.errors) == (ResponseStatus.SUCCESS, ())


async def test_the_codes_are_not_even_read_where_nobody_looks_at_them() -> None:
    def codes() -> SiteCodes:
        raise AssertionError("read")

    answer = await by_iti_42(await house(Vetting.OFF, codes), registrable(type_code=ODD))
    assert (answer.status, answer.errors) == (ResponseStatus.SUCCESS, ())


async def test_a_table_that_cannot_be_read_is_our_trouble_and_passes() -> None:
    def codes() -> SiteCodes:
        raise UnmappedCode("the table of codes was changed and cannot be used", cure="Mend it")

    answer = await by_iti_42(await house(Vetting.REFUSE, codes), registrable())
    assert [each.code for each in answer.errors] == ["XDSRegistryBusy"]
