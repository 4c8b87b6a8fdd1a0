"""Elsewhere: our documents, in the registry of the affinity domain that another house has (ITI-42).

We keep the documents and hand them out; the registry tells others of them. They can be fetched before it is asked, for as
soon as it knows of them somebody may want them; where it says no, nothing of them stays.

What a newcomer gets wrong: an answer that did not come says nothing. The registry may have taken what it was sent, so the
documents stay; when the sender comes again with the same submission, and the registry knows it already, it was ours.

Source: ITI TF-2 3.41.4.1.3, 3.42.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from weakref import WeakValueDictionary

from gateway.model.house import House
from gateway.model.peer import Peer
from gateway.ports.clock import Clock
from gateway.ports.objects import StagedObject
from gateway.ports.peers import Peers
from gateway.ports.registrations import Registration
from gateway.ports.store import Store, Work
from gateway.services.exchange import Exchange, about_its_own_patient
from profiles.errors import PeerError, PeerProtocolError, PeerRefused, RuleViolation
from profiles.findings import Finding
from profiles.model.document import Submission
from profiles.model.query import SubmissionSetCriteria
from profiles.transaction import Facts, Party, StudyFact, User
from profiles.wire.ebxml.response import RegistryError, RegistryResponse, refusal, warned
from profiles.xds.iti18 import ITI_18, StoredQuery, StoredQueryRequest
from profiles.xds.iti42 import ITI_42, RegisterRequest

DUPLICATE = "XDSDuplicateUniqueIdInRegistry"


class Elsewhere:
    """The repository's side of a registry that another house has."""

    def __init__(self, *, house: House, store: Store, peers: Peers, clock: Clock, registry: Peer) -> None:
        """`registry` is the peer that has it."""
        self.registry = registry
        self._house = house
        self._store = store
        self._peers = peers
        self._clock = clock
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def may(self, submission: Submission, exchange: Exchange) -> None:
        """Whether what was submitted may go there.

        Raises:
            AccessDenied: The assertion that came with it is about another patient.
        """
        await about_its_own_patient(submission.submission_set.patient_id, exchange, self._store)

    async def register(
        self,
        submission: Submission,
        staged: Sequence[StagedObject],
        *,
        exchange_id: str,
        user: User | None = None,
        studies: tuple[StudyFact, ...] = (),
    ) -> tuple[Registration, tuple[RegistryError, ...]]:
        """Keep the documents and register them; outside every unit of work.

        Args:
            submission: As it was submitted; its entries say hash, size and our repository.
            staged: Their documents, in the same order.
            exchange_id: On whose timeline it stands.
            user: For whom it is done.
            studies: What audit says that it is about.

        Returns:
            What the caller keeps as taken in the commit before its answer; and the registry's warnings.

        Raises:
            RuleViolation: The registry refuses; the findings are its errors and warnings, in its words. Or other bytes are
                kept under a uniqueId (XDSNonIdenticalHash).
            PeerError: Nobody knows whether it took them, or it cannot be asked.
        """
        mine = self.registration(submission)
        turn = self._turns.setdefault(mine.set_unique_id, asyncio.Lock())
        async with turn:
            async with self._store.unit() as work:
                before = await work.registrations.get(mine.set_unique_id)
                for entry, each in zip(submission.entries, staged, strict=True):
                    await work.documents.keep(entry.unique_id, each)
                if before is None:
                    await work.registrations.keep(mine)
            again = before is not None and not before.taken and before.digest == mine.digest
            answer: list[RegistryResponse] = []
            try:
                await self._ask(submission, answer, exchange_id, user, studies)
            except PeerError as error:
                if not _is_certain(error, answered=bool(answer)):
                    raise
                has = await self._has(submission, exchange_id, user) if again else False
                if has or (has is None and error.code == DUPLICATE):
                    return replace(mine, taken=True), ()
                if has is False:  # else it may have what it was sent before, whatever it says of this time
                    await self.forget(mine, before)
                if answer:
                    raise _passed_on(error, answer[0].errors) from error
                raise
            return replace(mine, taken=True), answer[0].errors

    def registration(self, submission: Submission) -> Registration:
        """What is remembered of a submission while no answer came."""
        said = sorted(f"{each.unique_id} {each.hash}" for each in submission.entries)
        return Registration(
            set_unique_id=submission.submission_set.unique_id, peer=self.registry.name, at=self._clock.now(),
            patient_id=submission.submission_set.patient_id,
            documents=tuple(dict.fromkeys(sorted(each.unique_id for each in submission.entries))),
            digest=hashlib.sha256("\n".join(said).encode()).hexdigest(),
        )  # fmt: skip

    async def _ask(
        self,
        submission: Submission,
        answer: list[RegistryResponse],
        exchange_id: str,
        user: User | None,
        studies: tuple[StudyFact, ...],
    ) -> None:
        facts = replace(self._facts(), patients=(submission.submission_set.patient_id,), studies=studies)
        async with self._peers.call(
            ITI_42,
            self.registry,
            RegisterRequest(submission=submission),
            exchange_id=exchange_id,
            facts=facts,
            user=user,
        ) as call:
            answer.append(call.response)
            refused = refusal(call.response.status, call.response.errors)
            if refused is not None:
                raise refused
            why, cure = warned(call.response.errors)
            call.learned(text=f"{len(submission.entries)} document(s) registered", why=why, cure=cure)

    async def _has(self, submission: Submission, exchange_id: str, user: User | None) -> bool | None:
        """Whether what the registry has under the set's uniqueId is this. None: it cannot be asked."""
        if ITI_18.id not in self.registry.endpoints:
            return None
        asked = StoredQueryRequest(
            query=StoredQuery.GET_SUBMISSION_SET_AND_CONTENTS,
            submission_sets=SubmissionSetCriteria(unique_ids=(submission.submission_set.unique_id,)),
        )
        facts = replace(self._facts(), patients=(submission.submission_set.patient_id,))
        async with self._peers.call(
            ITI_18, self.registry, asked, exchange_id=exchange_id, facts=facts, user=user
        ) as call:
            refused = refusal(call.response.status, call.response.errors)
            if refused is not None:
                raise refused
            call.learned(text="Asked what it has of this submission set")
            if not call.response.submission_sets:
                return False
            there = {
                (each.unique_id, each.hash)
                for each in call.response.entries
                if each.repository_unique_id == self._house.repository_unique_id
            }
        return {(each.unique_id, each.hash) for each in submission.entries} <= there

    async def forget(self, mine: Registration, before: Registration | None = None) -> None:
        """The registry has nothing of it: no document stays that nothing else has. `before`: what was remembered of it."""
        async with self._store.unit() as work:
            if before is None or (before.digest == mine.digest and not before.taken):
                await work.registrations.drop(mine.set_unique_id)
            await let_go(work, mine.documents, self._clock)

    def _facts(self) -> Facts:
        return Facts(
            at=self._clock.now(), source_id=self._house.name, local=self._house.party(),
            remote=Party(user_id=self.registry.name),
        )  # fmt: skip


async def let_go(work: Work, documents: Sequence[str], clock: Clock) -> None:
    """Of these documents, those that neither a registry elsewhere nor our own may know are not kept any more."""
    for unique_id in documents:
        if not await work.registrations.of_document(unique_id) and not await work.registry.entries(unique_id):
            await work.documents.remove(unique_id, clock.now())


def _is_certain(error: PeerError, *, answered: bool) -> bool:
    """Whether the registry has nothing of what it was sent: it says so, or nothing was sent."""
    if answered:
        return not isinstance(error, PeerProtocolError)  # Success and an error at once says nothing
    return isinstance(error, PeerRefused) or not error.sent


def _passed_on(error: PeerError, errors: Sequence[RegistryError]) -> RuleViolation:
    return RuleViolation(
        f"the registry of the affinity domain refuses: {error.detail}", code=error.code or "XDSRegistryError",
        location=error.location, cure=error.cure, findings=findings_of(errors),
    )  # fmt: skip


def findings_of(errors: Sequence[RegistryError]) -> tuple[Finding, ...]:
    """A registry's errors and warnings, to be said again in its words."""
    return tuple(
        Finding(
            rule="registry-elsewhere", text=each.context, code=each.code, location=each.location, severity=each.severity
        )
        for each in errors
    )
