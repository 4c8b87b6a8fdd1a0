"""The statement: what radgate claims beside what the suite saw.

It is an IHE integration statement, a DICOM conformance statement for what is served, and what a FHIR CapabilityStatement
lists.

Nothing is typed twice: claims come from `claims.toml`, verdicts from the result files of `run --json`, and what is served
from the tables of `profiles`. Where several results are given, the worst verdict of a case counts.
"""

import html
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from pydicom.uid import UID

from conformance.case import Case
from conformance.claims import Claim, Claims, read_claims
from conformance.front_page import NoPlace, rewrite
from conformance.report import ORDER, STYLE, VERSION, write
from conformance.suites import cases
from conformance.verdict import Verdict
from profiles.catalogue import PROFILES, TRANSACTIONS
from profiles.describe.capability import interactions_of
from profiles.describe.statement import described
from profiles.ehr.interaction import FhirTransaction
from profiles.model.modalities import MODALITY_OF_SOP_CLASS
from profiles.transaction import HttpTransaction
from profiles.wia.rad129.messages import CONDITIONS
from profiles.wire.dicom.charset import DEFINED_TERMS
from profiles.wire.dicom.encode import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from profiles.wire.dicom.syntaxes import MEDIA_TYPES, RECEIVABLE
from profiles.wire.dicom.web import SERVICE, WEB_SYNTAXES
from profiles.wire.fhir.capability import FHIR_VERSION

VENDOR, PRODUCT = "the radgate project", "radgate"
VERIFIED, NOT_VERIFIED, NOT_CLAIMED = "claimed and verified", "claimed, not verified", "not claimed"


class BadResult(Exception):
    """A result file cannot be used; the text names it and says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One result file: which system, by which version of the tester, when, and the verdict of each case by its id."""

    system: str
    tester: str
    at: datetime
    verdicts: dict[str, Verdict]


def read_result(path: Path) -> Seen:
    """Read what `run --json` wrote.

    Raises:
        BadResult: It is something else.
    """
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        at = datetime.fromisoformat(told["at"])
        return Seen(
            system=str(told["system"]), tester=str(told["tester"]), at=at.astimezone(UTC),
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


@dataclass(frozen=True, slots=True)
class Heading:
    """`level` 1 is the title."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """Every row is as long as the head."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


Block = Heading | Table | str  # a str is a paragraph


def statement(claims: Claims, seen: Sequence[Seen], all_cases: Sequence[Case], on: date) -> tuple[Block, ...]:
    """The whole of it, as of a day, in reading order."""
    verdicts = worst(seen)
    return (
        *_front(seen, on),
        *_integration(claims, verdicts, all_cases),
        *_dicom(),
        *_fhir(claims, verdicts, all_cases),
    )


def _front(seen: Sequence[Seen], on: date) -> Iterator[Block]:
    yield Heading(1, f"{PRODUCT} {VERSION}: conformance")
    yield Table(("Vendor", "Product", "Version", "Date"), ((VENDOR, PRODUCT, VERSION, on.isoformat()),))
    if not seen:
        yield "No result was given: nothing here is verified."
        return
    yield Table(
        ("What was judged", "By version", "When", "Verdicts"),
        tuple(
            (each.system, each.tester, f"{each.at:%Y-%m-%d %H:%M} UTC", _counts(each.verdicts.values()))
            for each in seen
        ),
    )


def _counts(verdicts: Iterable[Verdict]) -> str:
    counted = Counter(verdicts)
    return ", ".join(f"{counted[each]} {each}" for each in ORDER if counted[each]) or "none"


def _integration(claims: Claims, verdicts: dict[str, Verdict], all_cases: Sequence[Case]) -> Iterator[Block]:
    yield Heading(2, "IHE integration statement")
    told = {each.id: each for each in described()}
    for profile, transactions in PROFILES.items():
        yield Heading(3, profile)
        rows = []
        for id in dict.fromkeys(each.id for each in transactions):
            of = told[id]
            for actor in dict.fromkeys((of.responder, of.initiator)):
                ends = [
                    word
                    for end, word in ((of.responder, "answers"), (of.initiator, "asks"))
                    if end is actor and len({of.responder, of.initiator}) == 2
                ]
                said, evidence = _standing(claims.by_pair[(actor, id)], verdicts, all_cases)
                name = id if id == of.name else f"{id} {of.name}"
                rows.append((name, str(actor), "".join(ends) or "both ends", said, evidence, of.section))
        yield Table(("Transaction", "Actor", "Part", "Standing", "Evidence", "Section"), tuple(rows))
        options = []
        for each in claims.options:
            if each.profile == profile:
                judged = judge(each.cases, verdicts)
                options.append((each.name, str(each.actor), judged.said, judged.told))
        if options:
            yield Table(("Option", "Actor", "Standing", "Evidence"), tuple(options))


def _standing(claim: Claim, verdicts: dict[str, Verdict], all_cases: Sequence[Case]) -> tuple[str, str]:
    if not claim.standing.done:
        return NOT_CLAIMED, claim.why
    judged = judge(_cases_of(claim, all_cases), verdicts)
    return judged.said, claim.why or judged.told


def _dicom() -> Iterator[Block]:
    yield Heading(2, "DICOM conformance statement")
    yield (
        f"Implementation Class UID {IMPLEMENTATION_CLASS_UID.decode()}, Implementation Version Name "
        f"{IMPLEMENTATION_VERSION_NAME.decode()}. DICOM is served by web services (PS3.18) alone; DIMSE is not spoken."
    )
    yield Heading(3, "Web services")
    yield Table(
        ("Transaction", "Method", "Resource"),
        tuple(
            (each.id, method, path)
            for each in TRANSACTIONS
            if isinstance(each, HttpTransaction) and each.service == SERVICE
            for path in each.paths
            for method in each.methods
        ),
    )
    yield f"Among the keys of a search are {', '.join(sorted(CONDITIONS))}."
    yield Heading(3, "Transfer syntaxes")
    yield "Instances are kept as they came; in each of these they are received."
    media = {syntax: name for name, syntaxes in MEDIA_TYPES.items() for syntax in syntaxes}
    yield Table(
        ("UID", "Name", "Media type of a frame", "Retrieved as stored by transfer-syntax=*"),
        tuple(
            (uid, _name(uid), media.get(uid, "application/octet-stream"), "yes" if uid in WEB_SYNTAXES else "no")
            for uid in RECEIVABLE
        ),
    )
    yield Heading(3, "SOP classes")
    yield (
        "No SOP class is refused: what comes in the form of a file (PS3.10) is stored. Of these the modality is known "
        "where only a manifest tells of the series."
    )
    yield Table(("UID", "Name", "Modality"), tuple((uid, _name(uid), of) for uid, of in MODALITY_OF_SOP_CLASS.items()))
    yield Heading(3, "Character sets")
    yield f"Specific Character Set (0008,0005): {', '.join(DEFINED_TERMS)}; with code extensions (ISO 2022) when read."
    yield Heading(3, "Security")
    yield "TLS with certificates of both sides (ITI-19) and audit messages by syslog over TLS (ITI-20), as stated above."


def _name(uid: str) -> str:
    name = UID(uid).name
    return "" if name == uid else name


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


# --- how it is written --------------------------------------------------------------------------------------------------


def as_markdown(blocks: Iterable[Block]) -> str:
    """As Markdown; what would end a cell or start HTML is escaped."""
    return "\n\n".join(_markdown(block) for block in blocks) + "\n"


def _markdown(block: Block) -> str:
    match block:
        case Heading(level, text):
            return f"{'#' * level} {_plain(text)}"
        case Table(head, rows):
            lines = (head, ("---",) * len(head), *(tuple(map(_plain, row)) for row in rows))
            return "\n".join(f"| {' | '.join(line)} |" for line in lines)
        case _:
            return _plain(block)


def _plain(text: str) -> str:
    single = " ".join(text.split())
    for special in "\\|*_`[":
        single = single.replace(special, f"\\{special}")
    return single.replace("&", "&amp;").replace("<", "&lt;")


def as_html(blocks: Sequence[Block]) -> str:
    """As one page that needs nothing else."""
    title = next((block.text for block in blocks if isinstance(block, Heading)), PRODUCT)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{STYLE}</style></head>\n<body>\n'
        + "\n".join(_html(block) for block in blocks)
        + "\n</body></html>\n"
    )


def _html(block: Block) -> str:
    match block:
        case Heading(level, text):
            return f"<h{level}>{html.escape(text)}</h{level}>"
        case Table(head, rows):
            titles = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in head)
            body = "\n".join(
                f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows
            )  # fmt: skip
            return f"<table><thead><tr>{titles}</tr></thead><tbody>\n{body}</tbody></table>"
        case _:
            return f"<p>{html.escape(block)}</p>"


def stated(results: Sequence[Path], *, as_page: bool, output: Path | None, check: bool) -> tuple[str, ...]:
    """Write or print the statement of today; with `check` what cannot be stood by, 0..n sentences.

    Raises:
        SystemExit: A result cannot be read.
    """
    try:
        seen = [read_result(path) for path in results]
    except BadResult as error:
        raise SystemExit(str(error)) from error
    claims, all_cases = read_claims(), cases()
    blocks = statement(claims, seen, all_cases, datetime.now(UTC).date())
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
