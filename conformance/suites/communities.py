"""What the suites of initiating gateways share: two other communities that have something, and what each of them was asked.

The system is asked as its own people ask it; behind it stand North and South. A case looks at both ends: at what reached
each community, and at what of their answers came back.

Source: ITI TF-2 3.38, 3.39, 3.80; RAD TF-2 4.75.
"""

import asyncio
import uuid
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from conformance.expect import expect
from conformance.simulators.foreign_community import ForeignCommunity
from conformance.simulators.imaging_community import Offered
from conformance.simulators.soap_server import Asked, Handler, HungUp
from conformance.suites.wia.dicomweb import new_study
from conformance.target import Target
from profiles.transaction import SoapTransaction
from profiles.wire.ebxml.response import RegistryError

MEET_S = 10.0


def communities(target: Target) -> tuple[ForeignCommunity, ForeignCommunity]:
    """North and South, who have nothing yet. North knows the known patient by the same id, South by a new one."""
    north, south = target.foreign
    north.empty()
    south.empty()
    north.patient = target.patient()
    south.patient = replace(south.patient, value=f"SOUTH{uuid.uuid4().hex[:8].upper()}")
    return north, south


async def offered(target: Target, community: ForeignCommunity, *, instances: int = 2) -> Offered:
    """A study of the community's patient, with the manifest that tells of it."""
    return community.offer(await new_study(target, instances=instances), community.patient)


class Listening:
    """What the communities are asked from now on."""

    def __init__(self, target: Target) -> None:
        """Begin."""
        self._target = target
        self._before = {each.name: len(each.counterpart.asked) for each in target.foreign}

    def asked(self, community: ForeignCommunity, transaction: SoapTransaction[Any, Any]) -> list[Asked]:
        """The requests of this transaction that a community got, in order, each kept as evidence.

        Raises:
            Failed: One cannot be read.
        """
        came = community.counterpart.asked[self._before[community.name] :]
        found = [each for each in came if each.transaction == transaction.id]
        for each in found:
            self._target.heard(f"to {community.name}", each)
        return found

    def once(self, community: ForeignCommunity, transaction: SoapTransaction[Any, Any]) -> Asked:
        """The one request of this transaction that a community got.

        Raises:
            Failed: There is none, or more than one.
        """
        found = self.asked(community, transaction)
        expect(len(found), f"how often {community.name} was asked by {transaction.id}").equals(1)
        return found[0]

    def nothing(self, *transactions: SoapTransaction[Any, Any], by: Iterable[ForeignCommunity]) -> None:
        """None of these communities was asked by any of these transactions."""
        for community in by:
            for each in transactions:
                expect(len(self.asked(community, each)), f"how often {community.name} was asked by {each.id}").equals(0)


def meeting(*handlers: Handler) -> list[Handler]:
    """Each answers when all of them have been asked: whoever asks one after the other waits in vain."""
    barrier = asyncio.Barrier(len(handlers))

    def waiting(handler: Handler) -> Handler:
        async def answer(request: Any) -> Any:
            try:
                async with asyncio.timeout(MEET_S):
                    await barrier.wait()
            except (TimeoutError, asyncio.BrokenBarrierError):
                raise HungUp from None
            return await handler(request)

        return answer

    return [waiting(each) for each in handlers]


def complains(errors: Iterable[RegistryError], *expected: tuple[str, str]) -> None:
    """These errors, each a code and what its location names, and no others."""
    told = list(errors)
    expect([each.code for each in told], "the error codes").equals([code for code, _ in expected])
    for each, (code, location) in zip(told, expected, strict=True):
        expect(each.location, f"the location of {code}").contains(location)
