"""What initiating gateways owe in ITI-39 and RAD-75 alike: each community is asked for its own, and all answers are one.

Source: ITI TF-2 3.39.4.1; RAD TF-2 4.75.4.1.
"""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from conformance.case import Case, case
from conformance.expect import expect
from conformance.simulators.foreign_community import ForeignCommunity
from conformance.simulators.imaging_community import poured
from conformance.simulators.soap_server import Handler
from conformance.submissions import new_uid
from conformance.suites.asking import well_addressed
from conformance.suites.communities import Listening, communities, complains, meeting
from conformance.suites.retrieved import home_written, in_schema_order
from conformance.target import Answer, Target
from profiles.model.content import Poured
from profiles.model.identifiers import Oid
from profiles.transaction import Actor, SoapTransaction
from profiles.wire.ebxml.response import ResponseStatus
from profiles.wire.ebxml.retrieve import RetrieveDocumentSetResponse
from profiles.wire.ebxml.retrieve import nothing as no_parts

Retrieved = Answer[Poured[RetrieveDocumentSetResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One document or instance, where it is, and the hash of its bytes; `study` and `series` are of images."""

    uid: str
    home: Oid
    repository: str
    sha1: str = ""
    study: str = ""
    series: str = ""

    @classmethod
    def of(cls, body: bytes, **told: Any) -> "Wanted":
        """By its bytes."""
        return cls(sha1=hashlib.sha1(body, usedforsecurity=False).hexdigest(), **told)


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How one kind of thing is fetched: `inner` by the gateway's own people, `outer` between communities.

    `there` makes what a community has, 2..n; `here` what the system itself has, one; `request` asks for such; `named` is
    what a request asks for. `handler` is how a community answers. `located` is what the location of a community's error
    names, by the uniqueId of what it has not.
    """

    actor: Actor
    prefix: str
    inner: SoapTransaction[Any, Any]
    outer: SoapTransaction[Any, Any]
    there: Callable[[Target, ForeignCommunity], Awaitable[Sequence[Wanted]]]
    here: Callable[[Target], Awaitable[Wanted]]
    request: Callable[[Sequence[Wanted]], Any]
    named: Callable[[Any], list[Wanted]]
    handler: Callable[[ForeignCommunity], Handler]

    async def ask(self, target: Target, *wanted: Wanted) -> Retrieved:
        """Ask the gateway as its people do."""
        return await target.call(self.inner, self.request(wanted), at=self.actor)

    def asked(self, listening: Listening, community: ForeignCommunity) -> list[Wanted]:
        """All that a community was asked for, in however many requests."""
        requests = [each.request for each in listening.asked(community, self.outer)]
        return [one for request in requests for one in self.named(request)]


def retrieval_cases(suite: str, way: Way) -> tuple[Case, ...]:
    """The cases of one way."""
    told: dict[str, Any] = {"transaction": way.outer.id, "actor": way.actor, "suite": suite}
    named = "RAD75-001" if way.outer.id == "RAD-75" else f"{way.prefix}/asks-home"

    def row(*names: str) -> tuple[str, ...]:
        return tuple(f"{way.prefix}/{name}" for name in names)

    @case(
        "IHE-WSA101", "IHE-WSA102", "V/packaging", **told,
        title="A retrieval between communities is addressed as it must be",
    )  # fmt: skip
    async def addressed(target: Target) -> None:
        north, _ = communities(target)
        wanted = await way.there(target, north)
        listening = Listening(target)
        await way.ask(target, *wanted)
        well_addressed(listening.asked(north, way.outer)[0], way.outer)

    @case(
        named, *row("asks-home", "asks-own"), **told, title="Each community is asked for its own, by home and all ids"
    )
    async def shares(target: Target) -> None:
        north, south = communities(target)
        norths, souths = await way.there(target, north), (await way.there(target, south))[:1]
        listening = Listening(target)
        await way.ask(target, norths[0], *souths, *norths[1:])
        expect(way.asked(listening, north), "what North is asked for").has_same([_ids(each) for each in norths])
        expect(way.asked(listening, south), "what South is asked for").has_same([_ids(each) for each in souths])

    @case(*row("asks-own"), **told, title="A community that is not named is not asked")
    async def nobody_else(target: Target) -> None:
        north, south = communities(target)
        wanted = await way.there(target, north)
        listening = Listening(target)
        answer = await way.ask(target, *wanted)
        expect(way.asked(listening, north), "what North is asked for").has_same([_ids(each) for each in wanted])
        listening.nothing(way.outer, by=[south])
        _came(answer, wanted)

    @case(*row("merge", "merge-home"), **told, title="What two communities hand out comes as one, byte by byte")
    async def merged(target: Target) -> None:
        wanted = [each for one in communities(target) for each in await way.there(target, one)]
        answer = await way.ask(target, *wanted)
        expect(answer.response.head.status, "the status").equals(ResponseStatus.SUCCESS)
        expect(answer.response.head.errors, "RegistryErrorList").is_absent()
        _came(answer, wanted)

    @case(*row("merge", "merge-home"), **told, title="What the gateway's own community has stands beside it")
    async def own_too(target: Target) -> None:
        north, south = communities(target)
        own, theirs = await way.here(target), await way.there(target, north)
        listening = Listening(target)
        answer = await way.ask(target, own, *theirs)
        expect(answer.response.head.status, "the status").equals(ResponseStatus.SUCCESS)
        _came(answer, [own, *theirs])
        expect(way.asked(listening, north), "what North is asked for").has_same([_ids(each) for each in theirs])
        listening.nothing(way.outer, by=[south])

    @case(*row("merge-schema"), **told, title="The elements of the answer stand in their order")
    async def element_order(target: Target) -> None:
        north, _ = communities(target)
        in_schema_order(await way.ask(target, *await way.there(target, north)))

    @case(*row("merge-partial"), **told, title="What one community has not keeps nothing else back, and is told")
    async def partly(target: Target) -> None:
        north, south = communities(target)
        norths, souths = await way.there(target, north), await way.there(target, south)
        gone = replace(norths[0], uid=new_uid())
        answer = await way.ask(target, norths[0], gone, *souths)
        expect(answer.response.head.status, "the status").equals(ResponseStatus.PARTIAL_SUCCESS)
        complains(answer.response.head.errors, ("XDSDocumentUniqueIdError", north.home.urn))
        _came(answer, [norths[0], *souths])

    @case(*row("merge-partial"), **told, title="Where nothing comes the answer is a failure")
    async def nothing(target: Target) -> None:
        wanted = [(await way.there(target, each))[0] for each in communities(target)]
        answer = await way.ask(target, *(replace(each, uid=new_uid()) for each in wanted))
        expect(answer.response.head.status, "the status").equals(ResponseStatus.FAILURE)
        errors = sorted(answer.response.head.errors, key=lambda each: each.location.rpartition(" ")[2])
        complains(errors, *(("XDSDocumentUniqueIdError", each.home.urn) for each in wanted))
        expect(answer.received, "what came").is_absent()

    @case(
        *row("asks-unknown-home", "merge-partial"),
        **told,
        title="A home that nobody answers for keeps nothing else back",
    )
    async def unknown_home(target: Target) -> None:
        north, south = communities(target)
        wanted = await way.there(target, north)
        stranger = replace(wanted[0], home=Oid(new_uid()), uid=new_uid())
        listening = Listening(target)
        answer = await way.ask(target, *wanted, stranger)
        expect(answer.response.head.status, "the status").equals(ResponseStatus.PARTIAL_SUCCESS)
        complains(answer.response.head.errors, ("XDSUnknownCommunity", stranger.home.urn))
        _came(answer, wanted)
        expect(way.asked(listening, north), "what North is asked for").has_same([_ids(each) for each in wanted])
        listening.nothing(way.outer, by=[south])

    async def unavailable(target: Target, conduct: str) -> None:
        north, south = communities(target)
        norths, souths = await way.there(target, north), await way.there(target, south)
        with north.instead(way.outer, getattr(north, conduct)):
            answer = await way.ask(target, *norths, *souths)
        expect(answer.response.head.status, "the status").equals(ResponseStatus.PARTIAL_SUCCESS)
        complains(answer.response.head.errors, ("XDSUnavailableCommunity", north.home.urn))
        _came(answer, souths)

    @case(*row("merge-unavailable"), **told, title="A community that says nothing is given up, and named")
    async def silent(target: Target) -> None:
        await unavailable(target, "silent")

    @case(*row("merge-unavailable"), **told, title="A community that hangs up is named")
    async def gone(target: Target) -> None:
        await unavailable(target, "gone")

    @case(*row("merge-partial"), **told, title="A community that answers with a SOAP fault is named")
    async def faulty(target: Target) -> None:
        north, south = communities(target)
        norths, souths = await way.there(target, north), await way.there(target, south)
        with north.instead(way.outer, north.faulty):
            answer = await way.ask(target, *norths, *souths)
        expect(answer.response.head.status, "the status").equals(ResponseStatus.PARTIAL_SUCCESS)
        expect([each.location for each in answer.response.head.errors], "the locations of the errors").equals(
            [north.home.urn]
        )
        _came(answer, souths)

    @case(*row("merge-partial"), **told, title="A community that fails and gives no reason is named all the same")
    async def unexplained(target: Target) -> None:
        north, south = communities(target)
        norths, souths = await way.there(target, north), await way.there(target, south)

        async def curt(request: Any) -> Poured[RetrieveDocumentSetResponse]:
            return Poured(head=RetrieveDocumentSetResponse(status=ResponseStatus.FAILURE), pour=no_parts())

        with north.instead(way.outer, curt):
            answer = await way.ask(target, *norths, *souths)
        expect(answer.response.head.status, "the status").equals(ResponseStatus.PARTIAL_SUCCESS)
        expect([each.location for each in answer.response.head.errors], "the locations of the errors").equals(
            [north.home.urn]
        )
        _came(answer, souths)

    @case(*row("merge-home"), **told, title="The home of what comes is the one that it was asked of")
    async def other_home(target: Target) -> None:
        north, south = communities(target)
        wanted = await way.there(target, north)

        async def astray(request: Any) -> Poured[RetrieveDocumentSetResponse]:
            found: Poured[RetrieveDocumentSetResponse] = await way.handler(north)(request)
            first, *others = found.head.documents
            told = (
                replace(first, home_community_id=south.home),
                *(replace(each, home_community_id=None) for each in others),
            )
            return replace(found, head=replace(found.head, documents=told))

        with north.instead(way.outer, astray):
            answer = await way.ask(target, *wanted)
        for each in answer.response.head.documents:
            expect(each.home_community_id, "HomeCommunityId").equals(north.home)
        expect(answer.received or answer.response.head.errors, "documents or errors").is_there()

    @case(*row("merge-strangers"), **told, title="What nobody asked for is not handed on")
    async def strangers(target: Target) -> None:
        north, south = communities(target)
        norths, souths = await way.there(target, north), await way.there(target, south)
        stranger = new_uid()

        async def more(request: Any) -> Poured[RetrieveDocumentSetResponse]:
            asked = way.named(request)[0]
            return poured(asked.repository, {stranger: b"whose?"}, [stranger], north.home)

        with north.instead(way.outer, more):
            answer = await way.ask(target, norths[0], *souths)
        expect([each.document_unique_id for each in answer.response.head.documents], "what is told").has_same(
            [each.uid for each in souths]
        )
        expect(answer.response.head.status, "the status").equals(ResponseStatus.PARTIAL_SUCCESS)
        expect(
            [each.location for each in answer.response.head.errors if north.home.urn in each.location], "errors"
        ).is_there()
        _came(answer, souths)

    @case(*row("together"), **told, title="Communities are asked side by side")
    async def together(target: Target) -> None:
        both = communities(target)
        wanted = [each for one in both for each in await way.there(target, one)]
        with ExitStack() as stack:
            for each, handler in zip(both, meeting(*map(way.handler, both)), strict=True):
                stack.enter_context(each.instead(way.outer, handler))
            answer = await way.ask(target, *wanted)
        expect(answer.response.head.errors, "RegistryErrorList").is_absent()
        _came(answer, wanted)

    return (
        addressed, shares, nobody_else, merged, own_too, element_order, partly, nothing, unknown_home, silent, gone,
        faulty, unexplained, other_home, strangers, together,
    )  # fmt: skip


def _ids(wanted: Wanted) -> Wanted:
    """As a request can say it."""
    return replace(wanted, sha1="")


def _came(answer: Retrieved, wanted: Sequence[Wanted]) -> None:
    """Exactly these, from their homes and repositories, byte by byte."""
    head = answer.response.head
    expect([(each.key, each.sha1) for each in answer.received], "what came, and its SHA-1").has_same(
        [(each.uid, each.sha1) for each in wanted]
    )
    told = [(each.document_unique_id, each.repository_unique_id) for each in head.documents]
    expect(told, "uniqueId and repository of what came").has_same([(each.uid, each.repository) for each in wanted])
    expect(home_written(answer), "HomeCommunityId").has_same([each.home.urn for each in wanted])
    homes = {each.document_unique_id: each.home_community_id for each in head.documents}
    expect(homes, "the homes").equals({each.uid: each.home for each in wanted})
