"""The statement: what radgate claims beside what the suite saw.

It is an IHE integration statement, a DICOM conformance statement for what is served, and what a FHIR CapabilityStatement
lists.

Nothing is typed twice: claims come from `claims.toml`, verdicts from the result files of `run --json`, and what is served
from the tables of `profiles`. Where several results are given, the worst verdict of a case counts.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from conformance.blocks import Block, Heading, Table, as_html, as_markdown
from conformance.case import Case
from conformance.claims import Claim, Claims, read_claims
from conformance.dicom_statement import dicom_statement
from conformance.front_page import NoPlace, rewrite
from conformance.report import ORDER, VERSION, write
from conformance.rows import coverage, requirements
from conformance.suites import cases
from conformance.verdict import Verdict
from profiles.catalogue import PROFILES, TRANSACTIONS
from profiles.describe.capability import interactions_of
from profiles.describe.statement import Described, described
from profiles.ehr.interaction import FhirTransaction
from profiles.transaction import Actor
from profiles.wire.fhir.capability import FHIR_VERSION

VENDOR, PRODUCT = "the radgate project", "radgate"
VERIFIED, NOT_VERIFIED, NOT_CLAIMED = "claimed and verified", "claimed, not verified", "not claimed"
TITLES: Mapping[str, str] = {
    "XDS.b": "Cross-Enterprise Document Sharing",
    "XDS-I.b": "Cross-Enterprise Document Sharing for Imaging",
    "XCA": "Cross-Community Access",
    "XCA-I": "Cross-Community Access for Imaging",
    "XCDR": "Cross-Community Document Reliable Interchange",
    "WIA": "Web-based Image Access",
    "PIX": "Patient Identifier Cross-referencing",
    "PIXV3": "Patient Identifier Cross-reference HL7 V3",
    "PDQV3": "Patient Demographics Query HL7 V3",
    "XCPD": "Cross-Community Patient Discovery",
    "SWF.b": "Scheduled Workflow",
    "ATNA": "Audit Trail and Node Authentication",
    "XUA": "Cross-Enterprise User Assertion",
    "EHR access": "no profile of IHE: HL7 FHIR R4 alone",
}
ELSEWHERE: Mapping[str, str] = {
    "ITI-51": "Multi-Patient Queries (MPQ)",
    "ITI-57": "XDS Metadata Update",
    "ITI-62": "Remove Metadata and Documents (RMD)",
    "ITI-86": "Remove Metadata and Documents (RMD)",
    "ITI-92": "Restricted Metadata Update (RMU)",
}
"""Transactions that stand among those of XDS.b, whose profile is another one."""
NAMED = 6  # cases that did not pass, of one claim, that are named before the rest is counted


class BadResult(Exception):
    """A result file cannot be used; the text names it and says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One result file: which system, by which version of the tester, when, how strict, each case's verdict by its id."""

    system: str
    tester: str
    at: datetime
    verdicts: dict[str, Verdict]
    strict: bool = False


def read_result(path: Path) -> Seen:
    """Read what `run --json` wrote.

    Raises:
        BadResult: It is something else.
    """
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        at = datetime.fromisoformat(told["at"])
        return Seen(
            system=str(told["system"]), tester=str(told["tester"]), at=at.astimezone(UTC), strict=bool(told["strict"]),
            verdicts={str(each["case"]): Verdict(each["verdict"]) for each in told["results"]},
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadResult(f"{path} is no result of `radgate conformance run --json`: {error!r}") from error


# --- claims beside verdicts ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What is claimed and what became of it; `verdicts` counts, and `missing` are cases that no result has."""

    said: str
    verdicts: Counter[Verdict]
    missing: tuple[str, ...]
    wrong: tuple[str, ...]  # cases that ended otherwise than with a pass

    @property
    def told(self) -> str:
        """The verdict counts as words: `30 pass, 2 fail, 1 not run`."""
        parts = [f"{self.verdicts[each]} {each}" for each in ORDER if self.verdicts[each]]
        return ", ".join([*parts, *([f"{len(self.missing)} not run"] if self.missing else [])]) or "no case"


def worst(seen: Iterable[Seen]) -> dict[str, Verdict]:
    """The verdict of each case over all results: in `report.ORDER`, the first that any has."""
    found: dict[str, Verdict] = {}
    for each in seen:
        for id, verdict in each.verdicts.items():
            found[id] = min(found.get(id, verdict), verdict, key=ORDER.index)
    return found


def judge(ids: Sequence[str], verdicts: dict[str, Verdict]) -> Judged:
    """What these cases make of something that is claimed; it is verified where there are some and all passed."""
    wrong = tuple(id for id in ids if verdicts.get(id, Verdict.PASS) is not Verdict.PASS)
    missing = tuple(id for id in ids if id not in verdicts)
    return Judged(
        said=VERIFIED if ids and not wrong and not missing else NOT_VERIFIED,
        verdicts=Counter(verdicts[id] for id in ids if id in verdicts), missing=missing, wrong=wrong,
    )  # fmt: skip


def problems(claims: Claims, seen: Sequence[Seen], all_cases: Sequence[Case]) -> tuple[str, ...]:
    """Why what is claimed as done cannot be stood by: failing and missing cases, results of another version; 0..n."""
    verdicts = worst(seen)
    found = [
        f"a result of {each.at:%Y-%m-%d} is of version {each.tester}, and this is {VERSION}"
        for each in seen
        if each.tester != VERSION
    ]
    for claim in claims.by_pair.values():
        if claim.standing == "claims":
            ids = _cases_of(claim, all_cases)
            found += [] if ids else [f"{claim.actor}, {claim.transaction}: claimed, and no case judges it"]
            found += _unfit(f"{claim.actor}, {claim.transaction}", judge(ids, verdicts), verdicts)
    for option in claims.options:
        found += _unfit(f"{option.actor}, {option.name}", judge(option.cases, verdicts), verdicts)
    return tuple(found)


def _unfit(whose: str, judged: Judged, verdicts: dict[str, Verdict]) -> list[str]:
    wrong = [f"{whose}: {id} ended with {verdicts[id]}" for id in judged.wrong]
    return [*wrong, *(f"{whose}: {id} was not run" for id in judged.missing)]


def _cases_of(claim: Claim, all_cases: Sequence[Case]) -> tuple[str, ...]:
    return tuple(
        each.id for each in all_cases if (each.actor, each.transaction) == (claim.actor, claim.transaction)
    )  # fmt: skip


# --- what is told -------------------------------------------------------------------------------------------------------


def statement(claims: Claims, seen: Sequence[Seen], all_cases: Sequence[Case], on: date) -> tuple[Block, ...]:
    """The whole of it, as of a day, in reading order."""
    verdicts = worst(seen)
    return (
        *_front(seen, on),
        *_summary(claims, verdicts, all_cases),
        *_open(claims, verdicts, all_cases),
        *_integration(claims, verdicts, all_cases),
        *dicom_statement(),
        *_fhir(claims, verdicts, all_cases),
    )


def _front(seen: Sequence[Seen], on: date) -> Iterator[Block]:
    yield Heading(1, f"{PRODUCT} {VERSION}: conformance")
    yield Table(("Vendor", "Product", "Version", "Date"), ((VENDOR, PRODUCT, VERSION, on.isoformat()),))
    if not seen:
        yield "No result was given: nothing here is verified."
        return
    yield Table(
        ("What was judged", "By version", "When", "Verdicts", "A warning fails"),
        tuple(
            (
                each.system, each.tester, f"{each.at:%Y-%m-%d %H:%M} UTC", _counts(each.verdicts.values()),
                "yes" if each.strict else "no",
            )
            for each in seen
        ),
    )  # fmt: skip
    yield (
        f'"{VERIFIED[0].upper()}{VERIFIED[1:]}": every case of the suite about it passed. The exchanges of a case '
        "are kept as evidence beside the result. The suite is of the same project as the product: other judges of each "
        "transaction are named in the project's README."
    )


def _counts(verdicts: Iterable[Verdict]) -> str:
    counted = Counter(verdicts)
    return ", ".join(f"{counted[each]} {each}" for each in ORDER if counted[each]) or "none"


def _summary(claims: Claims, verdicts: dict[str, Verdict], all_cases: Sequence[Case]) -> Iterator[Block]:
    """Profile, actor, options, as an integration statement has them, and how far each is verified."""
    said = {pair: _standing(claim, verdicts, all_cases)[0] for pair, claim in claims.by_pair.items()}
    counted = Counter(said.values())
    yield Heading(2, "Summary")
    yield (
        f"Of {len(said)} ends of transactions, {counted[VERIFIED]} are {VERIFIED}, {counted[NOT_VERIFIED]} "
        f"{NOT_VERIFIED}, "
        f"{counted[NOT_CLAIMED]} {NOT_CLAIMED}. An actor is verified where all its transactions in the profile are."
    )
    rows = []
    for profile, transactions in PROFILES.items():
        by_actor: dict[str, dict[Actor, list[str]]] = {}
        for id in dict.fromkeys(each.id for each in transactions):
            (of,) = [each for each in transactions if each.id == id]
            named = ELSEWHERE.get(id, f"{TITLES[profile]} ({profile})" if profile != "EHR access" else TITLES[profile])
            for actor in dict.fromkeys((of.responder, of.initiator)):
                by_actor.setdefault(named, {}).setdefault(actor, []).append(id)
        for named, actors in by_actor.items():
            for actor, ids in actors.items():
                options = [each.name for each in claims.options if (each.profile, each.actor) == (profile, actor)]
                shown = options if named not in ELSEWHERE.values() else []
                rows.append((named, str(actor), ", ".join(shown) or "none", *_of_actor(actor, ids, said)))
    yield Table(("Integration profile", "Actor", "Options", "Standing", "But for"), tuple(rows))


def _of_actor(actor: Actor, ids: Sequence[str], said: Mapping[tuple[Actor, str], str]) -> tuple[str, str]:
    """The standing of an actor: that of most worth which any of its transactions has, and which have less."""
    order = (VERIFIED, NOT_VERIFIED, NOT_CLAIMED)
    best = min((said[(actor, id)] for id in ids), key=order.index)
    less = [f"{id}: {said[(actor, id)]}" for id in ids if said[(actor, id)] != best]
    return (best if not less else f"in part {best}"), "; ".join(less)


def _open(claims: Claims, verdicts: dict[str, Verdict], all_cases: Sequence[Case]) -> Iterator[Block]:
    """What is claimed and not verified, with the reason: the cases that did not pass, or why there are none."""
    rows = []
    for claim in claims.by_pair.values():
        if claim.standing.done:
            judged = judge(_cases_of(claim, all_cases), verdicts)
            if judged.said != VERIFIED:
                rows.append((claim.transaction, str(claim.actor), _why(judged, verdicts, claim.why)))
    for option in claims.options:
        judged = judge(option.cases, verdicts)
        if judged.said != VERIFIED:
            rows.append((f"{option.profile}, {option.name}", str(option.actor), _why(judged, verdicts, "no case yet")))
    yield Heading(2, "Claimed and not verified")
    if rows:
        yield Table(("Transaction or option", "Actor", "Why"), tuple(rows))
    else:
        yield "Nothing: all that is claimed is verified."


def _why(judged: Judged, verdicts: dict[str, Verdict], otherwise: str) -> str:
    found = [*(f"{id}: {verdicts[id]}" for id in judged.wrong), *(f"{id}: not run" for id in judged.missing)]
    more = [f"and {len(found) - NAMED} more"] if len(found) > NAMED else []
    return "; ".join([*found[:NAMED], *more]) or otherwise


def _integration(claims: Claims, verdicts: dict[str, Verdict], all_cases: Sequence[Case]) -> Iterator[Block]:
    yield Heading(2, "IHE integration statement")
    yield (
        "Each transaction with both its ends. Requirements: those of `radgate conformance coverage` that a case "
        "proves, of those "
        "that the transaction has for the actor; why the others are not tested stands there."
    )
    told = {each.id: each for each in described()}
    proofs = coverage(all_cases, requirements())
    for profile, transactions in PROFILES.items():
        yield Heading(3, profile)
        yield f"{TITLES[profile][0].upper()}{TITLES[profile][1:]}."
        rows = []
        for id in dict.fromkeys(each.id for each in transactions):
            of = told[id]
            for actor in dict.fromkeys((of.responder, of.initiator)):
                said, evidence = _standing(claims.by_pair[(actor, id)], verdicts, all_cases)
                asked = [
                    bool(each.cases)
                    for each in proofs
                    if each.requirement.transaction == id and each.requirement.actor in (actor, None)
                ]
                proved = f"{sum(asked)} of {len(asked)}" if asked and claims.by_pair[(actor, id)].standing.done else ""
                name = id if id == of.name else f"{id}: {of.name}"
                rows.append((name, str(actor), _part(of, actor), said, evidence, proved, of.section))
        yield Table(("Transaction", "Actor", "Part", "Standing", "Evidence", "Requirements", "Section"), tuple(rows))
        options = []
        for each in claims.options:
            if each.profile == profile:
                judged = judge(each.cases, verdicts)
                options.append((each.name, str(each.actor), judged.said, judged.told))
        if options:
            yield Table(("Option", "Actor", "Standing", "Evidence"), tuple(options))


def _part(of: Described, actor: Actor) -> str:
    if of.responder is of.initiator:
        return "both ends"
    return "answers" if actor is of.responder else "asks"


def _standing(claim: Claim, verdicts: dict[str, Verdict], all_cases: Sequence[Case]) -> tuple[str, str]:
    if not claim.standing.done:
        return NOT_CLAIMED, claim.why
    judged = judge(_cases_of(claim, all_cases), verdicts)
    return judged.said, claim.why or judged.told


def _fhir(claims: Claims, verdicts: dict[str, Verdict], all_cases: Sequence[Case]) -> Iterator[Block]:
    yield Heading(2, "FHIR CapabilityStatement")
    yield f"FHIR {FHIR_VERSION}. What /metadata lists is made of the same interactions."
    rows = []
    for each in TRANSACTIONS:
        if isinstance(each, FhirTransaction):
            (offered,) = interactions_of((each,))
            said, evidence = _standing(claims.by_pair[(each.responder, each.id)], verdicts, all_cases)
            names = ", ".join(parameter.name for parameter in offered.parameters)
            rows.append((offered.resource or "the server", offered.code, names, said, evidence))
    yield Table(("Resource", "Interaction", "Search parameters", "Standing", "Evidence"), tuple(rows))
    of_itself = [each for each in all_cases if each.transaction == "FHIR capabilities"]
    yield Table(
        ("What is checked of the statement itself", "Verdict"),
        tuple((each.title, str(verdicts.get(each.id, "not run"))) for each in of_itself),
    )


def stated(results: Sequence[Path], *, as_page: bool | None, output: Path | None, check: bool) -> tuple[str, ...]:
    """Write or print the statement of today; with `check` what cannot be stood by, 0..n sentences.

    `as_page` None: a page where the output's name says so, else Markdown.

    Raises:
        SystemExit: A result cannot be read.
    """
    try:
        seen = [read_result(path) for path in results]
    except BadResult as error:
        raise SystemExit(str(error)) from error
    claims, all_cases = read_claims(), cases()
    blocks = statement(claims, seen, all_cases, datetime.now(UTC).date())
    if as_page is None:
        as_page = output is not None and output.suffix.lower() in (".html", ".htm")
    text = as_html(blocks) if as_page else as_markdown(blocks)
    if output is None:
        print(text, end="")
    else:
        write(output, text)
    return problems(claims, seen, all_cases) if check else ()


def in_readme(path: Path) -> int:
    """Write the table of transactions of a page anew, and say whether it was otherwise.

    Raises:
        SystemExit: The page has no place for it.
    """
    try:
        changed = rewrite(path, read_claims())
    except NoPlace as error:
        raise SystemExit(str(error)) from error
    print(f"{path}: {'written anew' if changed else 'as it was'}")
    return 0
