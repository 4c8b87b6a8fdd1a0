"""Resolve: by which ids a patient is known, and who fits these demographics (ITI-45, ITI-47).

Answers come from the same patients and links that feeds and reconciliation make. An answer never has more matches than
`PAGE`; what is left is asked for by continuing the query, which runs again from where it was: nothing of an answer is kept,
only the question, for a while and for so many askers.

What a newcomer gets wrong: an id of a domain that nobody has told us of is an *error* (AE), an id of a known domain that
the patient does not have is *not found* (NF).

Source: ITI TF-2 3.45.4.2.3, 3.47.4.2.3, 3.47.4.3.3.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from gateway.ports.identity import Identity
from gateway.ports.store import Store
from gateway.services.exchange import Exchange
from profiles.errors import RuleViolation, UnknownPatient, UnknownQuery
from profiles.findings import Finding
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.patient import Patient
from profiles.pdqv3.iti47 import (
    Candidate,
    CandidatesQuery,
    CandidatesResponse,
    Continuation,
    Quantities,
    QueryResponseCode,
    asked_domain,
)
from profiles.pixv3.iti45 import ASKED_ID, IdentifiersQuery, IdentifiersResponse
from profiles.pixv3.iti45 import asked_domain as asked_source

PAGE = 100  # matches of one answer, each of some 2 KiB
LOOKED_AT = 1_000  # patients of one name; whoever has more of them is asked for more of the name
REMEMBERED = 1_000  # questions that may be continued
REMEMBERED_FOR = timedelta(minutes=10)  # a person looks at a page of names and asks for the next


@dataclass(frozen=True, slots=True, kw_only=True)
class _Open:
    """A question with more to come: where its next answer begins, from 0."""

    query: CandidatesQuery
    next: int
    until: datetime


class Resolve:
    """Who is who, for those who ask."""

    def __init__(self, *, store: Store, domains: frozenset[Oid]) -> None:
        """`domains` are the assigning authorities that this house knows: its own, the affinity domain's, its peers'."""
        self._store = store
        self._domains = domains
        self._open: OrderedDict[tuple[str, str], _Open] = OrderedDict()

    # --- ids ----------------------------------------------------------------------------------------------------------

    async def identifiers(self, query: IdentifiersQuery, exchange: Exchange) -> IdentifiersResponse:
        """The other ids of a patient, of the domains that were asked for.

        Raises:
            UnknownPatient: Nobody has the id, or a domain that was asked for is not known here, each with its place.
        """
        self._check_domains(query.domains, asked_source)
        async with self._store.view() as work:
            patient = await work.identity.get(query.identifier)
            if patient is None:
                raise UnknownPatient("nobody here has this id", code="204", location=ASKED_ID)
            known = await everything_known(work.identity, patient)
        others = tuple(
            each
            for each in known
            if each != query.identifier and (not query.domains or each.authority in query.domains)
        )
        exchange.learned.text = f"{len(others)} other id(s) of a patient"
        if not others:
            return IdentifiersResponse(code=QueryResponseCode.NOT_FOUND)
        return IdentifiersResponse(identifiers=others, name=patient.name)

    def _check_domains(self, domains: Sequence[Oid], place: Callable[[int], str]) -> None:
        unknown = tuple(
            Finding(rule="unknown-domain", text="this domain is not known here", code="204", location=place(position))
            for position, domain in enumerate(domains, 1)
            if domain not in self._domains
        )
        if unknown:
            # An error of the application and not of the parameters: the answers of 3.45 and 3.47 say AE.
            raise UnknownPatient(unknown[0].text, code="204", location=unknown[0].location, findings=unknown)

    # --- demographics -------------------------------------------------------------------------------------------------

    async def candidates(self, query: CandidatesQuery, exchange: Exchange) -> CandidatesResponse:
        """The first of those who fit; the others are asked for by `more`.

        Raises:
            RuleViolation, TooManyResults: As the port says of the search.
            UnknownPatient: A domain that was asked for is not known here; each is a finding with its place.
        """
        self._check_domains(query.domains, asked_domain)
        return await self._page(query, 0, query.initial_quantity, exchange)

    async def more(self, request: Continuation, exchange: Exchange) -> CandidatesResponse:
        """The next of those who fit an earlier question.

        Raises:
            UnknownQuery: There is no such question of this asker, or not any more.
        """
        found = self._open.get(_key(request, exchange))
        if found is None or found.until <= exchange.now:
            raise UnknownQuery("no query of this id can be continued", code="204", cure="It is to be asked again")
        if request.quantity == 0 or request.start == 0:
            raise RuleViolation("a continuation asks for one match or more, from the first")
        start = found.next if request.start is None else request.start - 1
        page = await self._page(found.query, start, request.quantity or found.query.initial_quantity, exchange)
        return replace(page, question=found.query.question)

    def forget(self, request: Continuation, exchange: Exchange) -> None:
        """No more of an answer is wanted. That of a question which is not remembered is no error: it is forgotten."""
        self._open.pop(_key(request, exchange), None)
        exchange.learned.text = "A query was cancelled"

    async def _page(
        self, query: CandidatesQuery, start: int, quantity: int | None, exchange: Exchange
    ) -> CandidatesResponse:
        size = min(quantity or PAGE, PAGE)
        async with self._store.view() as work:
            found = await who_fits(work.identity, query)
            page = [await shown(work.identity, each, query.domains) for each in found[start : start + size]]
        remaining = max(len(found) - start - len(page), 0)
        key = _key(query, exchange)
        self._open.pop(key, None)
        if remaining:
            self._open[key] = _Open(query=query, next=start + len(page), until=exchange.now + REMEMBERED_FOR)
            while len(self._open) > REMEMBERED:
                self._open.popitem(last=False)
        exchange.learned.text = f"{len(page)} of {len(found)} patients found"
        return CandidatesResponse(
            code=QueryResponseCode.OK if page else QueryResponseCode.NOT_FOUND,
            candidates=tuple(Candidate(patient=each) for each in page),
            quantities=Quantities(total=len(found), current=len(page), remaining=remaining),
        )


async def who_fits(identity: Identity, query: CandidatesQuery) -> list[Patient]:
    """All who fit. Who has no id of the domains that were asked for is left out (ITI TF-2 3.47.4.2.3).

    Raises:
        RuleViolation, TooManyResults: As the port says of the search.
    """
    found = await identity.find(query.criteria, LOOKED_AT)
    if not query.domains:
        return list(found)
    return [each for each in found if (await shown(identity, each, query.domains)).identifiers]


async def shown(identity: Identity, patient: Patient, domains: tuple[Oid, ...]) -> Patient:
    """A patient with all ids, or with those of these domains."""
    known = await everything_known(identity, patient)
    return replace(patient, identifiers=tuple(each for each in known if not domains or each.authority in domains))


async def everything_known(identity: Identity, patient: Patient) -> tuple[PatientIdentifier, ...]:
    """Every id of a patient: those that the patient has, and those that links hold for the same person."""
    known = dict.fromkeys(patient.identifiers)
    for each in patient.identifiers:
        for link in await identity.links(each):
            known |= dict.fromkeys((link.local, link.foreign))
    return tuple(known)


def _key(asked: CandidatesQuery | Continuation, exchange: Exchange) -> tuple[str, str]:
    """Whose question it is: a stranger who guesses an id of a query continues nothing."""
    caller = exchange.caller
    who = caller.peer.name if caller.peer is not None else f"{caller.person} {caller.network_address}"
    return who, str(asked.query_id if isinstance(asked, Continuation) else asked.question.id)
