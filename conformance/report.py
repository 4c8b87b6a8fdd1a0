"""What a run found, for people and for machines: JSON, JUnit XML, and one HTML page that needs nothing else.

A failing verdict says what was sent, what came, what the section says, and what to look at.
"""

import html
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lxml import etree

from conformance.evidence import Exchange, Message
from conformance.rows import Requirement
from conformance.runner import Result, Run
from conformance.verdict import Verdict

VERSION = version("radgate")  # the tester's; of `run --self` the system's too
ORDER = (Verdict.FAIL, Verdict.ERROR, Verdict.SKIP, Verdict.OMIT, Verdict.PASS)


def explained(result: Result, rows: Mapping[str, Requirement]) -> tuple[str, ...]:
    """The lines below a verdict that is not a pass: sent, came, said by whom, and where to look."""
    lines = []
    asked = next((each for each in reversed(result.exchanges) if each.address), None)
    if asked is not None:
        lines.append(f"sent: {asked.transaction} to {asked.address}, {_size(asked.request)}")
        lines.append(f"came: {_came(asked)}")
    if result.exchanges and result.exchanges[-1] is not asked:
        last = result.exchanges[-1]
        lines.append(f"came by itself: {last.transaction}, {_size(last.response)}")
    for id in result.case.requirements:
        row = rows[id]
        lines.append(f"asked: {row.id} ({row.section}) {row.level}: {row.text}")
    files = dict.fromkeys(
        message.file
        for each in (asked, *result.exchanges[-1:])
        if each is not None
        for message in (each.request, each.response)
        if message.file
    )
    if files:
        lines.append(f"look at: {result.folder}/ {', '.join(files)}")
    return tuple(lines)


def _came(exchange: Exchange) -> str:
    if exchange.broke:
        return exchange.broke
    status = exchange.response.head.partition("\r\n")[0].removeprefix("HTTP/1.1 ")
    what = f"HTTP {status}, " if status else ""  # MLLP has none
    return f"{what}{_size(exchange.response)} after {exchange.ms:.0f} ms"


def _size(message: Message) -> str:
    return f"{message.size_bytes:,} bytes" if message.size_bytes else "without a body"


# --- JSON -------------------------------------------------------------------------------------------------------------


def as_json(run: Run, rows: Mapping[str, Requirement]) -> str:
    """Everything that is known of the run."""
    return json.dumps(
        {
            "system": run.system,
            "tester": VERSION,
            "at": run.at.isoformat(timespec="seconds"),
            "strict": run.strict,
            "seconds": round(run.seconds, 3),
            "good": run.good,
            "verdicts": {str(verdict): run.count(verdict) for verdict in Verdict},
            "results": [_result(result, rows) for result in run.results],
        },
        indent=1,
        ensure_ascii=False,
    )


def _result(result: Result, rows: Mapping[str, Requirement]) -> dict[str, Any]:
    case = result.case
    return {
        "case": case.id, "title": case.title, "transaction": case.transaction, "actor": case.actor,
        "requirements": list(case.requirements), "verdict": result.verdict, "detail": result.detail,
        "explained": list(explained(result, rows)) if result.verdict is not Verdict.PASS else [],
        "findings": [asdict(finding) for finding in result.findings],
        "ms": round(result.ms, 1), "evidence": result.folder,
        "exchanges": [asdict(exchange) for exchange in result.exchanges],
    }  # fmt: skip


# --- JUnit ------------------------------------------------------------------------------------------------------------


def as_junit(run: Run, rows: Mapping[str, Requirement]) -> bytes:
    """As continuous integration reads it; what nobody claims counts as skipped."""
    root = etree.Element("testsuites", name=run.system, time=f"{run.seconds:.3f}")
    for name in dict.fromkeys(result.case.suite for result in run.results):
        results = [result for result in run.results if result.case.suite == name]
        suite = etree.SubElement(
            root, "testsuite", name=name, timestamp=run.at.isoformat(timespec="seconds"), tests=str(len(results)),
            failures=str(sum(result.verdict is Verdict.FAIL for result in results)),
            errors=str(sum(result.verdict is Verdict.ERROR for result in results)),
            skipped=str(sum(result.verdict in (Verdict.SKIP, Verdict.OMIT) for result in results)),
            time=f"{sum(result.ms for result in results) / 1000:.3f}",
        )  # fmt: skip
        for result in results:
            _, _, short = result.case.id.partition("/")
            test = etree.SubElement(suite, "testcase", classname=name, name=short, time=f"{result.ms / 1000:.3f}")
            kind = {Verdict.FAIL: "failure", Verdict.ERROR: "error"}.get(result.verdict, "skipped")
            if result.verdict is not Verdict.PASS:
                told = etree.SubElement(test, kind, message=_xml(result.detail))
                told.text = _xml("\n".join(explained(result, rows)))
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)


def _xml(text: str) -> str:
    """Without what XML 1.0 cannot hold."""
    return "".join(
        each if each in "\t\n" or " " <= each < "\ud800" or "\ue000" <= each < "\ufffe" else "?" for each in text
    )


# --- HTML -------------------------------------------------------------------------------------------------------------

STYLE = """
:root{color-scheme:light dark;--pass:#1a7f37;--fail:#cf222e;--skip:#9a6700;--line:#8884}
body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid var(--line);padding:.3rem .5rem;text-align:left;
vertical-align:top}summary{cursor:pointer}pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:.3rem 0}
.v{font-weight:600;text-transform:uppercase;font-size:.8rem}.pass{color:var(--pass)}.fail,.error{color:var(--fail)}
.skip,.omit{color:var(--skip)}
@media(prefers-color-scheme:dark){:root{--pass:#3fb950;--fail:#ff7b72;--skip:#d29922}}
"""


def as_html(run: Run, rows: Mapping[str, Requirement], evidence: str) -> str:
    """One page; `evidence` is the address of the evidence folder as seen from it."""
    return "\n".join(_page(run, rows, evidence))


def _page(run: Run, rows: Mapping[str, Requirement], evidence: str) -> Iterator[str]:
    title = f"{html.escape(run.system)}: {'good' if run.good else 'not good'}"
    yield f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
    yield '<meta name="viewport" content="width=device-width,initial-scale=1">'
    counts = ", ".join(f"{run.count(verdict)} {verdict}" for verdict in ORDER if run.count(verdict))
    yield (
        f"<h1>{title}</h1><p>{run.at:%Y-%m-%d %H:%M} UTC, {run.seconds:.0f} s: {counts}. "
        f"{'A warning fails a case.' if run.strict else 'Warnings fail no case.'} By radgate {VERSION}.</p>"
    )
    yield from _blamed(run)
    yield from _suites(run)
    for suite in dict.fromkeys(result.case.suite for result in run.results):
        yield f'<h2 id="{html.escape(suite, quote=True)}">{html.escape(suite)}</h2>'
        yield "<table><tr><th>Verdict</th><th>Case</th></tr>"
        for result in run.results:
            if result.case.suite == suite:
                yield from _row(result, rows, evidence)
        yield "</table>"
    yield "</html>"


def _blamed(run: Run) -> Iterator[str]:
    """What makes the run not good, each with a way to its row."""
    blamed = [each for each in run.results if each.verdict in (Verdict.FAIL, Verdict.ERROR, Verdict.SKIP)]
    if not blamed:
        return
    yield "<h2>What is not good</h2><ul>"
    for verdict in ORDER:
        for result in blamed:
            if result.verdict is verdict:
                yield (
                    f'<li><span class="v {verdict}">{verdict}</span> <a href="#{_anchor(result)}">'
                    f"{html.escape(result.case.title)}</a>: {html.escape(result.detail)}</li>"
                )
    yield "</ul>"


def _suites(run: Run) -> Iterator[str]:
    """How each suite ended, with its transaction and actor."""
    yield "<h2>Suites</h2><table><tr><th>Suite</th><th>Transaction</th><th>Actor</th><th>Verdicts</th></tr>"
    for suite, transaction, actor in dict.fromkeys(
        (each.case.suite, each.case.transaction, each.case.actor) for each in run.results
    ):
        ended = Counter(
            each.verdict
            for each in run.results
            if (each.case.suite, each.case.transaction, each.case.actor) == (suite, transaction, actor)
        )
        counts = ", ".join(
            f'<span class="{verdict}">{ended[verdict]} {verdict}</span>' for verdict in ORDER if ended[verdict]
        )
        name = html.escape(suite, quote=True)
        yield f'<tr><td><a href="#{name}">{name}</a></td><td>{transaction}</td><td>{actor}</td><td>{counts}</td></tr>'
    yield "</table>"


def _anchor(result: Result) -> str:
    return html.escape(result.case.id, quote=True)


def _row(result: Result, rows: Mapping[str, Requirement], evidence: str) -> Iterator[str]:
    yield f'<tr id="{_anchor(result)}"><td class="v {result.verdict}">{result.verdict}</td><td>'
    opened = " open" if result.verdict in (Verdict.FAIL, Verdict.ERROR) else ""
    yield f"<details{opened}><summary>{html.escape(result.case.title)}</summary>"
    lines = [result.case.id, *([result.detail] if result.detail else []), *explained(result, rows)]
    lines += [f"noticed: {each.rule} ({each.severity}): {each.text}" for each in result.findings]
    yield f"<pre>{html.escape(chr(10).join(lines))}</pre>"
    for exchange in result.exchanges:
        yield f"{exchange.number}. {html.escape(exchange.transaction)}, {exchange.ms:.0f} ms: "
        for message, name in ((exchange.request, "request"), (exchange.response, "answer")):
            if message.file:
                at = html.escape(f"{evidence}/{result.folder}/{message.file}", quote=True)
                yield f'<a href="{at}">{name}</a> ({message.size_bytes:,} bytes) '
        yield "<br>"
    yield "</details></td></tr>"


def write(path: Path, text: str | bytes) -> None:
    """Write a report, and the folder it is to be in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
