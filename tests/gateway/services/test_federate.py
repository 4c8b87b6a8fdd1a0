"""Communities under way together: who stops in the middle delays nobody, and whoever is the last is not waited for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest

from gateway.adapters.memory.archive import MemoryObjects
from gateway.adapters.peers import StaticDirectory
from gateway.model.house import House, Repository
from gateway.model.peer import Caller, Peer
from gateway.ports.objects import Objects, Spool
from gateway.ports.peers import Peers
from gateway.ports.store import Work
from gateway.services.discover import Discover
from gateway.services.exchange import Exchange
from gateway.services.federate import HELD_BYTES, Federate
from profiles.errors import OutOfResources, PeerTimeout, PeerUnavailable
from profiles.model.content import Part, Poured, once
from profiles.model.identifiers import Oid
from profiles.model.query import DocumentCriteria
from profiles.transaction import Transaction
from profiles.wire.ebxml.response import RegistryError, ResponseStatus
from profiles.wire.ebxml.retrieve import DocumentRequest, RetrievedDocument, RetrieveDocumentSetResponse
from profiles.xca.iti38 import ITI_38, StoredQueryRequest, StoredQueryResponse
from profiles.xca.iti39 import ITI_39
from profiles.xds.iti18 import ITI_18, StoredQuery
from profiles.xds.iti43 import ITI_43, RetrieveDocumentSetRequest
from profiles.xdsi.rad69 import RAD_69
from tests.support.registered import NOW

HOMES = {"Valley": Oid("1.2.3.1"), "Lakeside": Oid("1.2.4.1")}
PEERS = tuple(
    Peer(name=name, home_community_id=home, endpoints={"ITI-39": "http://127.0.0.1:1"}) for name, home in HOMES.items()
)
OURS, FURTHER = Oid("1.2.9.1"), Oid("1.2.9.5")
HOUSE = House(
    name="Region", home_community_id=OURS, repository_unique_id=Oid("1.2.9.2"), retrieve_location_uid=Oid("1.2.9.3"),
    source_id=Oid("1.2.9.2"), patient_authority=Oid("1.2.9.4"), affinity_authority=None, zone=ZoneInfo("UTC"),
    base_url="http://localhost", ae_title="RADGATE", hl7_application="RADGATE", hl7_facility="REGION", process_id="1",
    network_address="localhost",
    further=(
        Repository(
            name="annex", unique_id=Oid("1.2.9.6"), home_community_id=FURTHER, patient_authority=Oid("1.2.9.7")
        ),
    ),
)  # fmt: skip
SIZES = {"small": 1000, "large": HELD_BYTES * 2}


@dataclass(slots=True)
class Call:
    """An answer under way."""

    response: Poured[RetrieveDocumentSetResponse]
    learnt: dict[str, object] = field(default_factory=dict)

    def learned(self, **facts: object) -> None:
        self.learnt |= facts


class Communities:
    """Each answers with documents of so many bytes; one stops in the middle of its first until it `goes_on`."""

    def __init__(self, size_bytes: int, *, stops: str, breaks: bool = False) -> None:
        self.goes_on = asyncio.Event()
        self.gone: list[str] = []
        self._size_bytes = size_bytes
        self._stops = stops
        self._breaks = breaks

    @asynccontextmanager
    async def call(
        self, transaction: object, peer: Peer, request: RetrieveDocumentSetRequest, **_: object
    ) -> AsyncIterator[Call]:
        documents = tuple(
            RetrievedDocument(
                repository_unique_id=each.repository_unique_id, document_unique_id=each.document_unique_id,
                home_community_id=peer.home_community_id, mime_type="application/dicom",
            )
            for each in request.documents
        )  # fmt: skip
        try:
            yield Call(Poured(head=RetrieveDocumentSetResponse(documents=documents), pour=self._pour(peer, documents)))
        finally:
            self.gone.append(peer.name)

    async def _pour(self, peer: Peer, documents: tuple[RetrievedDocument, ...]) -> AsyncIterator[Part]:
        for each in documents:
            stops = each.document_unique_id == f"{self._stops}0"
            yield Part(key=each.document_unique_id, chunks=self._chunks(each.document_unique_id, stops=stops))

    async def _chunks(self, key: str, *, stops: bool) -> AsyncIterator[bytes]:
        body = body_of(key, self._size_bytes)
        for number, at in enumerate(range(0, len(body), len(body) // 10)):
            if number == 7 and stops:
                await self.goes_on.wait()
                if self._breaks:
                    raise PeerTimeout("nothing moved")
            yield body[at : at + len(body) // 10]


def body_of(key: str, size_bytes: int) -> bytes:
    return (key.encode() * size_bytes)[:size_bytes]


def three(name: str) -> RetrieveDocumentSetRequest:
    return RetrieveDocumentSetRequest(
        documents=tuple(
            DocumentRequest(repository_unique_id=Oid("1.2.3.9"), document_unique_id=f"{name}{number}")
            for number in range(3)
        )
    )


async def never() -> Work:
    raise AssertionError("a retrieval writes nothing")


async def retrieved(communities: Communities, *names: str, objects: Objects | None = None) -> AsyncIterator[Part]:
    federate = Federate(
        house=HOUSE, peers=cast(Peers, communities), directory=StaticDirectory(PEERS, {}),
        discover=cast(Discover, None), objects=objects or MemoryObjects(), deadline_s=10.0,
    )  # fmt: skip
    exchange = Exchange(id="1", caller=Caller(peer=None, network_address=""), now=NOW, begin=never)
    answer = await federate.retrieve(ITI_39, {HOMES[name]: three(name) for name in names}, None, exchange)
    assert len(answer.head.documents) == 3 * len(names)
    return answer.pour


async def read(part: Part) -> bytes:
    return b"".join([chunk async for chunk in part.chunks])


@pytest.mark.parametrize("size_bytes", SIZES.values(), ids=SIZES)
async def test_a_community_that_stops_in_the_middle_of_a_part_delays_no_part_of_another(size_bytes: int) -> None:
    communities = Communities(size_bytes, stops="Valley")
    pour = await retrieved(communities, "Valley", "Lakeside")
    came = {}
    async with asyncio.timeout(30):
        for _ in range(3):  # while Valley does not go on
            part = await anext(pour)
            came[part.key] = await read(part)
        assert set(came) == {"Lakeside0", "Lakeside1", "Lakeside2"}
        communities.goes_on.set()
        async for part in pour:
            came[part.key] = await read(part)
    assert came == {f"{name}{number}": body_of(f"{name}{number}", size_bytes) for name in HOMES for number in range(3)}
    assert sorted(communities.gone) == sorted(HOMES)


@pytest.mark.parametrize("size_bytes", SIZES.values(), ids=SIZES)
async def test_the_last_community_pours_straight_through(size_bytes: int) -> None:
    communities = Communities(size_bytes, stops="Valley")
    pour = await retrieved(communities, "Valley")
    async with asyncio.timeout(30):
        part = await anext(pour)
        begun = b"".join([await anext(part.chunks) for _ in range(7)])  # the rest of it is not there yet
        communities.goes_on.set()
        assert begun + await read(part) == body_of("Valley0", size_bytes)
        assert [(each.key, len(await read(each))) async for each in pour] == [
            ("Valley1", size_bytes), ("Valley2", size_bytes),
        ]  # fmt: skip


@pytest.mark.parametrize("size_bytes", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("names", [("Valley",), ("Valley", "Lakeside")], ids=["alone", "two"])
async def test_a_community_that_breaks_twice_in_a_part_breaks_the_answer_wherever_the_part_was(
    size_bytes: int, names: tuple[str, ...]
) -> None:
    communities = Communities(size_bytes, stops="Valley", breaks=True)
    communities.goes_on.set()
    pour = await retrieved(communities, *names)
    with pytest.raises(PeerUnavailable, match="a community broke off its answer"):
        async with asyncio.timeout(30):
            async for part in pour:
                await read(part)
    await cast(Any, pour).aclose()
    assert sorted(communities.gone) == sorted(("Valley", *names))  # it was asked once more


class FullObjects(MemoryObjects):
    """No room for what is put aside."""

    def spool(self, limit_bytes: int) -> Spool:
        raise OutOfResources("the disk is full", cure="Make room")


async def test_a_full_disk_of_ours_is_not_told_as_a_community_that_broke_off() -> None:
    communities = Communities(SIZES["large"], stops="Valley")
    communities.goes_on.set()
    pour = await retrieved(communities, "Valley", "Lakeside", objects=FullObjects())
    with pytest.raises(OutOfResources, match="the disk is full"):
        async with asyncio.timeout(30):
            async for part in pour:
                await read(part)
    await cast(Any, pour).aclose()
    assert sorted(communities.gone) == sorted(HOMES)


# --- a peer that is of our community, and speaks for another one besides ----------------------------------------------

BOTH = Peer(
    name="Both", home_community_id=HOMES["Valley"], of_our_community=True, repository_unique_ids=(Oid("1.2.3.9"),),
    retrieve_location_uids=(Oid("1.2.3.8"),),
    endpoints=dict.fromkeys(("ITI-18", "ITI-38", "ITI-39", "ITI-43", "RAD-69"), "http://127.0.0.1:1"),
)  # fmt: skip
FIND = StoredQueryRequest(
    query=StoredQuery.GET_DOCUMENTS, criteria=DocumentCriteria(unique_ids=("1.2.3.4",)), home_community_id=None
)


class Down:
    """Nobody answers, or everybody complains without saying where."""

    def __init__(self, *, complains: bool = False) -> None:
        self._complains = complains

    @asynccontextmanager
    async def call(self, *_: object, **__: object) -> AsyncIterator[Call]:
        if not self._complains:
            raise PeerUnavailable("nobody is there")
        error = RegistryError(code="XDSDocumentUniqueIdError", context="not here")
        yield Call(
            Poured(head=RetrieveDocumentSetResponse(status=ResponseStatus.FAILURE, errors=(error,)), pour=none())
        )


async def none() -> AsyncIterator[Part]:
    for part in cast(tuple[Part, ...], ()):
        yield part


def federated(peers: object) -> tuple[Federate, Exchange]:
    federate = Federate(
        house=HOUSE, peers=cast(Peers, peers), directory=StaticDirectory((BOTH,), {}), discover=cast(Discover, None),
        objects=MemoryObjects(), deadline_s=10.0,
    )  # fmt: skip
    return federate, Exchange(id="1", caller=Caller(peer=None, network_address=""), now=NOW, begin=never)


def shares_of(federate: Federate, home: Oid | None, transaction: Transaction[Any, Any], repository: str) -> list[Any]:
    documents = [DocumentRequest(repository_unique_id=repository, document_unique_id="1.2.3.4", home_community_id=home)]
    _, shares = federate.within(
        documents, lambda each: each.repository_unique_id, transaction,
        lambda some: RetrieveDocumentSetRequest(documents=tuple(some)), lambda each: each.home_community_id,
    )  # fmt: skip
    return shares


@pytest.mark.parametrize("within", [False, True], ids=["as a community", "as a source of ours"])
async def test_a_peer_that_is_both_fails_as_what_it_was_asked_as(within: bool) -> None:
    federate, exchange = federated(Down())
    asked = {} if within else {HOMES["Valley"]: three("Valley")}
    shares = shares_of(federate, OURS, ITI_43, "1.2.3.9") if within else []
    head = (await federate.retrieve(ITI_39, asked, None, exchange, within=shares)).head
    assert [(each.code, each.location) for each in head.errors] == (
        [("XDSRepositoryError", "1.2.3.4")] if within else [("XDSUnavailableCommunity", HOMES["Valley"].urn)]
    )
    found = await federate.query(
        FIND, None, () if within else (BOTH,), exchange, within=(BOTH,) if within else ()
    )  # fmt: skip
    assert [(each.code, each.location) for each in found.errors] == [
        ("XDSRegistryError", OURS.urn) if within else ("XDSUnavailableCommunity", HOMES["Valley"].urn)
    ]


@pytest.mark.parametrize("within", [False, True], ids=["as a community", "as a source of ours"])
async def test_what_a_peer_that_is_both_does_not_locate_is_of_what_it_was_asked_as(within: bool) -> None:
    federate, exchange = federated(Down(complains=True))
    asked = {} if within else {HOMES["Valley"]: three("Valley")}
    shares = shares_of(federate, OURS, ITI_43, "1.2.3.9") if within else []
    head = (await federate.retrieve(ITI_39, asked, None, exchange, within=shares)).head
    assert [each.location for each in head.errors] == [OURS.urn if within else HOMES["Valley"].urn]


@pytest.mark.parametrize(("transaction", "repository"), [(ITI_43, "1.2.3.9"), (RAD_69, "1.2.3.8")])
@pytest.mark.parametrize(("home", "asked"), [(None, ["Both"]), (OURS, ["Both"]), (FURTHER, [])])
async def test_of_what_is_asked_of_a_further_home_no_other_source_is_asked(
    transaction: Transaction[Any, Any], repository: str, home: Oid | None, asked: list[str]
) -> None:
    federate, _ = federated(Down())
    assert [share.peer.name for share in shares_of(federate, home, transaction, repository)] == asked


class Curt:
    """Answers everybody with this status, and nothing else."""

    def __init__(self, status: ResponseStatus) -> None:
        self._status = status

    @asynccontextmanager
    async def call(self, transaction: object, *_: object, **__: object) -> AsyncIterator[Any]:
        if transaction in (ITI_38, ITI_18):
            yield Call(cast(Any, StoredQueryResponse(status=self._status)))
        else:
            yield Call(Poured(head=RetrieveDocumentSetResponse(status=self._status), pour=none()))


@pytest.mark.parametrize("status", [ResponseStatus.FAILURE, ResponseStatus.PARTIAL_SUCCESS])
async def test_a_community_that_fails_and_gives_no_reason_is_named(status: ResponseStatus) -> None:
    federate, exchange = federated(Curt(status))
    found = await federate.query(FIND, None, (BOTH,), exchange)
    assert [(each.code, each.location) for each in found.errors] == [("XDSRegistryError", HOMES["Valley"].urn)]
    assert found.status is ResponseStatus.FAILURE
    inside = await federate.query(FIND, None, (), exchange, within=(BOTH,))
    assert [(each.code, each.location) for each in inside.errors] == [("XDSRegistryError", OURS.urn)]
    head = (await federate.retrieve(ITI_39, {HOMES["Valley"]: three("Valley")}, None, exchange)).head
    assert [(each.code, each.location) for each in head.errors] == [("XDSRepositoryError", HOMES["Valley"].urn)]
    assert head.status is ResponseStatus.FAILURE


async def test_a_success_that_brings_nothing_of_what_was_asked_for_is_none() -> None:
    federate, exchange = federated(Curt(ResponseStatus.SUCCESS))
    head = (await federate.retrieve(ITI_39, {HOMES["Valley"]: three("Valley")}, None, exchange)).head
    assert [(each.code, each.location) for each in head.errors] == [("XDSRepositoryError", HOMES["Valley"].urn)]
    assert (await federate.query(FIND, None, (BOTH,), exchange)).errors == ()


class Generous:
    """Hands out what was asked for, and something else, before and behind it."""

    @asynccontextmanager
    async def call(
        self, transaction: object, peer: Peer, request: RetrieveDocumentSetRequest, **_: object
    ) -> AsyncIterator[Call]:
        names = ["before", *(each.document_unique_id for each in request.documents), "behind"]
        documents = tuple(
            RetrievedDocument(
                repository_unique_id="1.2.3.9", document_unique_id=each, home_community_id=HOMES["Lakeside"]
            )
            for each in names
        )
        yield Call(Poured(head=RetrieveDocumentSetResponse(documents=documents), pour=self._pour(names)))

    async def _pour(self, names: list[str]) -> AsyncIterator[Part]:
        for each in names:
            yield Part(key=each, chunks=once(body_of(each, 1000)))


async def test_what_was_not_asked_for_is_left_out_and_its_community_named() -> None:
    federate, exchange = federated(Generous())
    wanted = [each.document_unique_id for each in three("Valley").documents]
    answer = await federate.retrieve(ITI_39, {HOMES["Valley"]: three("Valley")}, None, exchange)
    assert answer.head.status is ResponseStatus.PARTIAL_SUCCESS
    assert [(each.code, each.location) for each in answer.head.errors] == [("XDSRepositoryError", HOMES["Valley"].urn)]
    assert [each.document_unique_id for each in answer.head.documents] == wanted
    assert {each.home_community_id for each in answer.head.documents} == {HOMES["Valley"]}  # not what it says itself
    assert [(part.key, await read(part)) async for part in answer.pour] == [
        (each, body_of(each, 1000)) for each in wanted
    ]  # fmt: skip
