"""Services: the use cases of this house, upon its adapters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from gateway.adapters.archive_dicomweb import DicomwebArchive
from gateway.adapters.code_sets import CodeSets
from gateway.model.house import House, Repository
from gateway.ports.store import Work
from gateway.services.administer import Administer
from gateway.services.backfill import Asked, Backfill, open_backfill
from gateway.services.collect import Collect
from gateway.services.demand import Demand
from gateway.services.discover import Discover
from gateway.services.documents import Documents
from gateway.services.elsewhere import Elsewhere
from gateway.services.federate import Federate
from gateway.services.feed import Feed
from gateway.services.follow import Follow
from gateway.services.forward import Forward
from gateway.services.inform import Inform
from gateway.services.ingest import Ingest
from gateway.services.lookup import Lookup
from gateway.services.matrix import Matrix
from gateway.services.notify import Notify
from gateway.services.operations import Operations
from gateway.services.probe import Probe
from gateway.services.publish import Publish
from gateway.services.push import Push
from gateway.services.remove import Removal
from gateway.services.resolve import Resolve
from gateway.services.retrieve import Retrieve
from gateway.services.rewrite import Rewrite
from gateway.services.rules import OFFER, REGISTER, Rule, When
from gateway.services.search import Search
from gateway.services.snapshot import Snapshots
from gateway.services.stored_query import StoredQueries
from gateway.services.synchronise import Synchronise
from gateway.services.transfer import Transfer
from gateway.services.update import Update
from gateway.services.vet import Vet, Vetting
from gateway.services.viewing import Viewing
from gateway.settings import RuleSection, Settings
from gateway.wiring.adapters import Adapters
from profiles.model.identifiers import Oid


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """What a further repository does with documents."""

    ingest: Ingest
    retrieve: Retrieve
    removal: Removal


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What actors, the worker of jobs and operators call; `synchronise` is None where the archive is our own.

    `retrieve` hands out what our own repository has, `retrieve_any` what any of ours has.
    """

    ingest: Ingest
    push: Push
    retrieve: Retrieve
    retrieve_any: Retrieve
    further: Mapping[Repository, Keeping]
    queries: StoredQueries
    federate: Federate
    forward: Forward
    discover: Discover
    update: Update
    removal: Removal
    search: Search
    viewing: Viewing
    feed: Feed
    resolve: Resolve
    follow: Follow
    operations: Operations
    probe: Probe
    matrix: Matrix
    documents: Documents
    administer: Administer
    synchronise: Synchronise | None
    rules: Sequence[Rule]


def _rule(told: RuleSection, registry: str) -> Rule:
    """Of our own registry a rule says nothing where another house has that of what we keep (`registry`)."""
    there = {REGISTER: f"share:{registry}", OFFER: f"{OFFER}:{registry}"} if registry else {}
    return Rule(
        do=tuple(there.get(action, action) for action in told.do), when=When(told.when), modality=told.modality,
        institution=told.institution, description=told.description,
        younger_than=timedelta(days=told.younger_than_days) if told.younger_than_days else None,
    )  # fmt: skip


def _elsewhere(settings: Settings, house: House, adapters: Adapters) -> Elsewhere | None:
    name = settings.affinity_domain.registry
    if not name:
        return None
    return Elsewhere(
        house=house, store=adapters.store, peers=adapters.peers, clock=adapters.clock,
        registry=adapters.directory.known(name),
    )  # fmt: skip


def services_of(settings: Settings, house: House, adapters: Adapters) -> Services:
    """Make them all; nothing runs yet."""
    store, archive, objects, compute = adapters.store, adapters.archive, adapters.objects, adapters.compute
    peers, directory, clock = adapters.peers, adapters.directory, adapters.clock
    foreign = archive if isinstance(archive, DicomwebArchive) else None
    rewrite = Rewrite(store=store, archive=archive, compute=compute, clock=clock)
    codes = CodeSets(settings.affinity_domain.code_sets, house.patient_authority)
    operations = Operations(
        house=house, store=store, compute=compute, clock=clock, directory=directory, wake=adapters.due.ring
    )
    lookup = Lookup(house=house, store=store, peers=peers, directory=directory, clock=clock, release=operations.release)
    elsewhere = _elsewhere(settings, house, adapters)
    discover = Discover(
        house=house, store=store, peers=peers, directory=directory, clock=clock,
        shared=frozenset(settings.affinity_domain.shared_authorities),
        keep_for=timedelta(hours=settings.limits.correlation_hours),
    )  # fmt: skip
    publish = Publish(
        house=house, store=store, objects=objects, peers=peers, directory=directory, compute=compute, clock=clock,
        codes=codes.current, lookup=lookup, discover=discover, elsewhere=elsewhere,
    )  # fmt: skip
    snapshots = Snapshots(
        house=house, store=store, objects=objects, peers=peers, directory=directory, compute=compute, clock=clock,
        codes=codes.current,
    )  # fmt: skip
    demand = Demand(
        house=house, store=store, objects=objects, compute=compute, clock=clock,
        snapshots=snapshots if settings.publish.keep_on_demand else None,
    )  # fmt: skip
    rules = [_rule(rule, settings.affinity_domain.registry) for rule in settings.rule]
    backfill = Backfill(store=store, publish=publish, rules=rules, clock=clock)
    per_minute = settings.publish.per_minute

    publishes = any(not action.startswith("announce:") for rule in rules for action in rule.do)

    async def walked(work: Work) -> None:
        """What an archive had before it was known is published as the rules say, and not all at once."""
        if publishes:
            await open_backfill(work, clock, Asked(per_minute=per_minute))

    synchronise = (
        None
        if foreign is None
        else Synchronise(
            house=house, store=store, archive=foreign, clock=clock, per_minute=per_minute, walked=walked,
            again=timedelta(seconds=settings.archive.look_again_s), late=timedelta(seconds=settings.archive.late_s),
            holds=publishes,
        )
    )  # fmt: skip
    transfer = Transfer(
        house=house, store=store, archive=archive, peers=peers, directory=directory, compute=compute, clock=clock,
        rewrite=rewrite,
    )  # fmt: skip
    collect = Collect(
        house=house, store=store, objects=objects, peers=peers, directory=directory, discover=discover, compute=compute,
        clock=clock,
    )  # fmt: skip
    vet = Vet(vetting=Vetting(settings.affinity_domain.check_codes), codes=codes.current, compute=compute)
    update, removal = Update(house=house, clock=clock, vet=vet), Removal(house=house, compute=compute)
    return Services(
        ingest=Ingest(
            house=house, objects=objects, compute=compute, clock=clock, peers=directory.all(), elsewhere=elsewhere,
            vet=vet,
        ),
        push=Push(house=house, store=store, archive=archive, clock=clock, peers=directory.all()),
        retrieve=Retrieve(
            house=house, store=store, archive=archive,
            demand=demand,
        ),
        retrieve_any=Retrieve(
            house=house, store=store, archive=archive, demand=demand, repositories=house.repositories
        ),
        further={
            each: Keeping(
                ingest=Ingest(
                    house=house, objects=objects, compute=compute, clock=clock, peers=directory.all(), vet=vet,
                    repository=each,
                ),
                retrieve=Retrieve(house=house, store=store, archive=archive, repositories=(each,)),
                removal=Removal(house=house, compute=compute, repository=each),
            )
            for each in house.further
        },
        queries=StoredQueries(house=house, store=store, limit=settings.limits.results),
        federate=Federate(
            house=house, peers=peers, directory=directory, discover=discover, objects=objects,
            deadline_s=settings.limits.community_deadline_s,
        ),
        forward=Forward(store=store, peers=peers, directory=directory),
        update=update,
        removal=removal,
        administer=Administer(
            house=house, store=store, peers=peers, directory=directory, compute=compute, clock=clock, update=update,
            removal=removal, codes=codes.current,
        ),
        discover=discover,
        search=Search(store=store, notice=lambda: "" if synchronise is None else synchronise.notice),
        viewing=Viewing(store=store, archive=archive, compute=compute),
        feed=Feed(house=house, clock=clock, peers=directory.all()),
        resolve=Resolve(store=store, domains=domains_of(settings, house)),
        follow=Follow(
            store=store, rewrite=rewrite, clock=clock, system=house.name, publish=publish, snapshots=snapshots,
            transfer=transfer, collect=collect,
            notify=Notify(house=house, store=store, peers=peers, directory=directory, clock=clock),
            inform=Inform(house=house, store=store, peers=peers, directory=directory, clock=clock), lookup=lookup,
            discover=discover,
            rules=rules, synchronise=synchronise, backfill=backfill,
        ),
        operations=operations,
        documents=Documents(
            house=house, store=store, objects=objects, peers=peers, directory=directory, compute=compute, clock=clock,
            codes=codes.current, discover=discover, elsewhere=elsewhere, demand=demand,
        ),
        matrix=Matrix(store=store, directory=directory, sightings=adapters.sightings),
        probe=Probe(
            house=house, store=store, peers=peers, ways=adapters.ways, directory=directory, clock=clock
        ),
        synchronise=synchronise,
        rules=rules,
    )  # fmt: skip


def domains_of(settings: Settings, house: House) -> frozenset[Oid]:
    """The assigning authorities of patient ids that the settings name."""
    named = {house.patient_authority, house.affinity_authority, *settings.house.hl7_namespaces.values()}
    named |= house.domains
    named |= set(settings.affinity_domain.shared_authorities)
    for peer in settings.peer:
        named |= {peer.patient_authority, *peer.hl7_namespaces.values()}
    return frozenset(each for each in named if each is not None)
