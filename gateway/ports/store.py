"""Store and Work: one commit, one reply.

`turn` opens a unit; the actor stages rows in it; `turn` adds the step and the audit record; one commit; then the reply.
A unit's body is short: no peer, no archive, no parsing inside it. Bodies run one after another on the embedded store, and
several of them may share one commit.
"""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from gateway.ports.answers import Answers
from gateway.ports.audit import AuditSink
from gateway.ports.correlations import Correlations
from gateway.ports.identity import Identity
from gateway.ports.ledger import Ledger
from gateway.ports.objects import Documents
from gateway.ports.publications import Publications
from gateway.ports.raw import RawMessages
from gateway.ports.registrations import Registrations
from gateway.ports.registry import Registry
from gateway.ports.studies import Studies
from gateway.ports.support import Support


class Work(Protocol):
    """All that commits together."""

    @property
    def registry(self) -> Registry: ...
    @property
    def studies(self) -> Studies: ...
    @property
    def ledger(self) -> Ledger: ...
    @property
    def identity(self) -> Identity: ...
    @property
    def audit(self) -> AuditSink: ...
    @property
    def documents(self) -> Documents: ...
    @property
    def raw(self) -> RawMessages: ...
    @property
    def answers(self) -> Answers: ...
    @property
    def publications(self) -> Publications: ...
    @property
    def registrations(self) -> Registrations: ...
    @property
    def correlations(self) -> Correlations: ...
    @property
    def support(self) -> Support: ...


class Store(Protocol):
    """Where rows live."""

    def unit(self) -> AbstractAsyncContextManager[Work]:
        """A unit of work: leaving it normally returns after the commit is durable, leaving by an exception undoes it.

        Raises:
            OutOfResources: The disk is full.
            Busy: The store cannot take more now.
        """
        ...

    def view(self) -> AbstractAsyncContextManager[Work]:
        """Reading only: a consistent snapshot. Writing through it is an error."""
        ...

    async def close(self) -> None:
        """Finish what is committing and let go."""
        ...
