"""Open questions: who waits for which answer. Implements `Questions`; the SOAP carrier opens and closes them.

They are of this process and do not outlive it: whoever waited is gone then too, and asks again.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.model.peer import Peer
from gateway.ports.questions import Arrival
from profiles.errors import AccessDenied, Busy, ExchangeError, RuleViolation

OPEN_AT_ONCE = 1_000  # of all peers: each is a caller who waits
CLOSED_REMEMBERED = 1_000  # so that what comes late is told from what nobody asked

UNKNOWN = "nobody here has asked what this answers"
LATE = "nobody waits for this answer any more"
REPEATED = "an answer to this has come already"


class Question:
    """One question. `arrived` is set when its answer begins to come."""

    def __init__(self, peer: Peer) -> None:
        """Nothing has come yet."""
        loop = asyncio.get_running_loop()
        self.peer = peer.name
        self.answered = False
        self.arrived: asyncio.Future[Arrival] = loop.create_future()
        self._read: asyncio.Future[ExchangeError | None] = loop.create_future()

    async def give(self, arrival: Arrival) -> ExchangeError | None:
        """Hand it over; see `Awaited.give`."""
        if self.arrived.done():  # who asked went just now
            return RuleViolation(LATE, location="wsa:RelatesTo")
        self.arrived.set_result(arrival)
        return await self._read

    def end(self, unread: ExchangeError | None) -> None:
        """Say how the answer was read; the first word counts."""
        self.arrived.cancel()
        if not self._read.done():
            self._read.set_result(unread)


class OpenQuestions:
    """Implements `Questions`."""

    def __init__(self, address: str, *, most: int = OPEN_AT_ONCE) -> None:
        """`address` is where answers are to be brought, as others reach us; from the settings, never from a message."""
        self.address = address
        self._most = most
        self._open: dict[str, Question] = {}
        self._closed: OrderedDict[str, str] = OrderedDict()  # why nothing is awaited any more, by message id

    @contextmanager
    def asked(self, message_id: str, peer: Peer) -> Iterator[Question]:
        """A question is open inside the context, and only there.

        Raises:
            Busy: Too many are.
        """
        if len(self._open) >= self._most:
            raise Busy("too many answers are awaited already", cure="Ask again when some of them have come")
        question = self._open[message_id] = Question(peer)
        try:
            yield question
        finally:
            if self._open.get(message_id) is question:  # else it was asked again meanwhile, under the same id
                del self._open[message_id]
            self._closed[message_id] = REPEATED if question.answered else LATE
            if len(self._closed) > CLOSED_REMEMBERED:
                self._closed.popitem(last=False)
            question.end(RuleViolation(LATE, location="wsa:RelatesTo"))

    def awaits(self, peer: Peer) -> bool:
        """Whether anything is awaited from this peer; see `Questions.awaits`."""
        return any(each.peer == peer.name for each in self._open.values())

    def match(self, relates_to: str, peer: Peer) -> Question:
        """Whose answer it is; see `Questions.match`."""
        question = self._open.get(relates_to)
        if question is None:
            raise RuleViolation(
                self._closed.get(relates_to, UNKNOWN), location="wsa:RelatesTo",
                cure="If it comes late, raise answer_timeout_s of the [[peer]]; if several processes share the work, give"
                " each a listen.reply_url of its own",
            )  # fmt: skip
        if question.peer != peer.name:
            raise AccessDenied("this answer is awaited from somebody else", location="wsa:RelatesTo")
        if question.answered:
            raise RuleViolation(REPEATED, location="wsa:RelatesTo")
        question.answered = True
        return question
