"""Run cases one after another, each with its own evidence, and say what became of each.

Cases do not run side by side: a gateway that answers one question wrongly because of another is judged by load, and
evidence that is in order can be read.
"""

import asyncio
import re
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import aiohttp

from conformance.around import NOTHING, Around
from conformance.case import Case
from conformance.evidence import Evidence, Exchange
from conformance.in_flight import InFlight
from conformance.system import System
from conformance.target import Target
from conformance.verdict import Failed, Unclaimed, Unreachable, Verdict
from profiles.errors import ExchangeError
from profiles.findings import Finding, Severity

CASE_S = 120.0
WAITS = 3  # of a case, at most: that it is provoked, that it asks, that it has what it asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of a case; `detail` is a sentence, "" for a pass. `exchanges` are its evidence, in order."""

    case: Case
    verdict: Verdict
    detail: str
    findings: tuple[Finding, ...]
    exchanges: tuple[Exchange, ...]
    folder: str
    ms: float


@dataclass(slots=True, kw_only=True)
class Run:
    """All results of one run, with what was judged and when."""

    system: str
    strict: bool
    at: datetime
    results: list[Result] = field(default_factory=list)
    seconds: float = 0.0

    def count(self, verdict: Verdict) -> int:
        """How many cases ended so."""
        return sum(result.verdict is verdict for result in self.results)

    @property
    def good(self) -> bool:
        """Whether nothing failed, nothing broke, and all that is claimed could be tried."""
        return not any(
            result.verdict in (Verdict.FAIL, Verdict.ERROR, Verdict.SKIP) for result in self.results
        )  # an omitted one is not claimed


async def run(
    cases: Iterable[Case],
    system: System,
    folder: Path,
    *,
    strict: bool = False,
    told: Callable[[Result], None] = lambda result: None,
    in_flight: InFlight | None = None,
    around: Around = NOTHING,
) -> Run:
    """Try the cases on a system.

    Args:
        cases: In this order.
        system: Who is asked.
        folder: Evidence goes below it, one folder for each case.
        strict: Whether a warning fails a case too.
        told: Hears of each result as it is there.
        in_flight: Changes messages on their way; the tester's own test.
        around: Whom the system speaks to itself.
    """
    began, done = time.perf_counter(), Run(system=system.name, strict=strict, at=datetime.now(UTC))
    connector = aiohttp.TCPConnector(ssl=system.tls if system.tls is not None else True)
    async with aiohttp.ClientSession(
        connector=connector, trust_env=False, auto_decompress=False, headers={"Accept-Encoding": "identity"}
    ) as session:
        for case in cases:
            place = re.sub(r"[^\w.-]", "_", case.id)
            evidence = Evidence(folder / place, began)
            target = Target(system, session, evidence, in_flight=in_flight, around=around)
            result = await _tried(case, target, evidence, place, strict=strict)
            done.results.append(result)
            told(result)
    done.seconds = time.perf_counter() - began
    return done


async def _tried(case: Case, target: Target, evidence: Evidence, place: str, *, strict: bool) -> Result:
    began = time.perf_counter()
    limit_s = CASE_S + WAITS * target.wait_s
    verdict, detail = Verdict.PASS, ""
    if not target.system.claims_to(case.actor, case.transaction):
        verdict, detail = Verdict.OMIT, f"{case.transaction} as {case.actor} is not claimed"
    else:
        try:
            async with asyncio.timeout(limit_s):
                await case.body(target)
        except Failed as failed:
            verdict, detail = Verdict.FAIL, str(failed)
        except Unclaimed as unclaimed:
            verdict, detail = Verdict.OMIT, str(unclaimed)
        except Unreachable as unreachable:
            verdict, detail = Verdict.SKIP, str(unreachable)
        except ExchangeError as error:
            verdict, detail = Verdict.FAIL, error.detail
        except TimeoutError:
            verdict, detail = Verdict.FAIL, f"nothing ended it within {limit_s:.0f} s"
        except Exception as error:  # the tester broke: said of it, not of the target
            verdict, detail = Verdict.ERROR, "".join(traceback.format_exception_only(error)).strip()
    findings = tuple(dict.fromkeys(target.findings))
    blamed = [each for each in findings if strict or each.severity is Severity.ERROR]
    if verdict is Verdict.PASS and blamed:
        verdict, detail = Verdict.FAIL, f"{blamed[0].rule}: {blamed[0].text}"
    return Result(
        case=case, verdict=verdict, detail=detail, findings=findings, exchanges=tuple(evidence.exchanges),
        folder=place, ms=(time.perf_counter() - began) * 1000,
    )  # fmt: skip
