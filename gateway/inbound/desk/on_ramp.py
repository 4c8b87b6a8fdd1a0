"""What the on-ramp page shows: rules, back-fills, what is held for a code, what registries have, and the archive behind us.

What a newcomer gets wrong: it names studies and no patients, so looking at it is nothing that audit has to tell.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.model.job import ExchangeJob, Kind, State
from gateway.ports.publications import Publication
from gateway.ports.store import Work
from gateway.services.backfill import UNDER_WAY, Asked, asked_of
from gateway.services.rules import OFFER, REGISTER, Rule, When, registry_of

LATEST = 50
BACKFILLS = 5
HELD = 500  # held exchanges that are looked through for those that lack a code
LINKS = 10  # of one missing code
_WHEN: Mapping[When, str] = {
    When.AVAILABLE: "a study is available",
    When.CHANGED: "a study has changed",
    When.GONE: "a study is gone",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruled:
    """A rule in words, and how many studies the registries that it is about have an entry in force of, 0..n of them."""

    condition: str
    actions: tuple[tuple[str, int | None], ...]  # None: it is about no registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Lacking:
    """What the table of codes lacks, and which exchanges wait for it: `count` of them, some of them to be followed."""

    reason: str
    cure: str
    count: int
    jobs: tuple[ExchangeJob, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filling:
    """A back-fill, newest first: what was asked for, and how far it is."""

    job: ExchangeJob
    asked: str
    per_minute: int
    done: int
    total: int
    counts: Mapping[str, int]

    @property
    def left(self) -> int:
        """Studies that were not looked at yet; more may have come meanwhile."""
        return max(self.total - self.done, 0)

    @property
    def under_way(self) -> bool:
        """Whether it goes on by itself."""
        return self.job.state in (State.READY, State.MOVING, State.STORED)


@dataclass(frozen=True, slots=True, kw_only=True)
class OnRamp:
    """All of the page. `walked` says what the last walk through a foreign archive found; "": there was none."""

    rules: tuple[Ruled, ...]
    fillings: tuple[Filling, ...]
    lacking: tuple[Lacking, ...]
    latest: Sequence[Publication]
    counts: Mapping[tuple[str, bool], int]
    walked: ExchangeJob | None
    found: str


async def shown(work: Work, rules: Sequence[Rule], study_instance_uid: str) -> OnRamp:
    """Read it; of one study only what registries have of it, where one is named."""
    counts = await work.publications.counts()
    filled = await work.ledger.list(kinds=frozenset({Kind.BACKFILL}), limit=BACKFILLS)
    held = await work.ledger.list(states=frozenset({State.HELD}), limit=HELD)
    walks = await work.ledger.list(kinds=frozenset({Kind.INDEX}), states=frozenset({State.DONE}), limit=1)
    steps = await work.ledger.timeline(walks[0].id) if walks else ()
    latest = (
        await work.publications.of(study_instance_uid) if study_instance_uid else await work.publications.latest(LATEST)
    )
    return OnRamp(
        rules=tuple(_ruled(each, counts) for each in rules), fillings=tuple(map(_filling, filled)),
        lacking=_lacking(held), latest=latest, counts=counts, walked=walks[0] if walks else None,
        found=next((step.text for step in reversed(steps) if step.text), ""),
    )  # fmt: skip


def _ruled(rule: Rule, counts: Mapping[tuple[str, bool], int]) -> Ruled:
    conditions = [
        f"{named} {' or '.join(values)}"
        for named, values in (
            ("of modality", rule.modality), ("of institution", rule.institution), ("described as", rule.description)
        )
        if values
    ]  # fmt: skip
    if rule.younger_than is not None:
        conditions.append(f"younger than {rule.younger_than.days} days")
    actions = []
    for action in rule.do:
        registry = registry_of(action)
        count = None if registry is None else counts.get((registry, action.startswith(OFFER)), 0)
        actions.append((said(action), count))
    return Ruled(condition=", ".join([f"When {_WHEN[rule.when]}", *conditions]), actions=tuple(actions))


def said(action: str) -> str:
    """An action of a rule, in words."""
    verb, _, peer = action.partition(":")
    where = f"at {peer}" if peer else "here"
    match verb:
        case "share":
            return f"published {where}"
        case _ if verb == REGISTER:
            return "registered here"
        case _ if verb == OFFER:
            return f"offered on demand {where}"
        case "announce":
            return f"announced to {peer}"
    return action


def _lacking(held: Sequence[ExchangeJob]) -> tuple[Lacking, ...]:
    groups: dict[tuple[str, str], list[ExchangeJob]] = {}
    for job in held:
        if job.lacks_codes:
            groups.setdefault((job.reason, job.cure), []).append(job)
    return tuple(
        Lacking(reason=reason, cure=cure, count=len(jobs), jobs=tuple(jobs[:LINKS]))
        for (reason, cure), jobs in sorted(groups.items(), key=lambda group: -len(group[1]))
    )


def _filling(job: ExchangeJob) -> Filling:
    asked, payload = asked_of(job), job.payload
    counts = payload["counts"]
    assert isinstance(counts, Mapping)
    if waiting := payload["under_way"]:
        assert isinstance(waiting, Mapping)
        counts = {**counts, UNDER_WAY: len(waiting)}
    return Filling(
        job=job, asked=_asked(asked), per_minute=asked.per_minute, done=int(str(payload["done"])),
        total=int(str(payload["total"])), counts=counts,
    )  # fmt: skip


def _asked(asked: Asked) -> str:
    where = ", ".join(map(said, asked.actions)) or "as the rules say"
    conditions = [
        text
        for text in (
            f"modality {' or '.join(asked.modalities)}" if asked.modalities else "",
            "one patient" if asked.patient else "",
            f"since {asked.since}" if asked.since else "",
            f"before {asked.until}" if asked.until else "",
        )
        if text
    ]
    return f"{'; '.join(conditions) or 'everything'}: {where}"
