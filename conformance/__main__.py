"""`python -m conformance`: the demonstration of the main job, and the suite that proves any house."""

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conformance.system import System

DEMO = """\
Three houses start on this machine, each a process of its own, over mutual TLS: Lakeside, an outside hospital; Valley, the
local gateway; Region, a health information exchange. A study crosses from one to the other, step by step, and every step
says what it saw. Then the houses serve until Ctrl-C.

Ends with 0 if every step held, else with 1."""
DEMO_EXAMPLES = (
    "radgate demo --once --json result.json  # for scripts",
    "radgate demo --study ~/ct  # your own DICOM files instead of the synthetic study",
    "radgate demo --once --sabotage receive  # break a step on purpose: it must fail",
)
SUITE = """\
Cases are sentences that are true of a system when they pass: an imaging document source, a registry, a repository. They
speak to it by its wires alone, so that it may be any product."""
SUITE_EXAMPLES = (
    "radgate conformance run --self --html report.html  # this program, started on scratch data",
    "radgate conformance run --target theirs.toml --strict --junit junit.xml",
)
LIST = "Each case with its actor, its transaction and the sentence that it proves."
LIST_EXAMPLES = (
    "radgate conformance list --transaction RAD-69",
    "radgate conformance list --transaction RAD-69 --faults  # what can be done to a house, for run --fault",
    "radgate conformance list --json",
)
RUN = """\
A verdict is pass, fail, skip (it could not get there), omit (nobody claims it) or error (the tester broke). Every exchange
is kept as it was on the wire.

Ends with 0 if nothing failed, broke or, being claimed, was skipped; else with 1."""
RUN_EXAMPLES = (
    "radgate conformance run --self --case RAD69-partial",
    "radgate conformance run --target theirs.toml --evidence evidence --json result.json",
    "radgate conformance run --target orthanc --study ~/ct --patient 'P1^^^&1.2.3&ISO'  # a preset, and what it holds",
    "radgate conformance run --target http://host/dicom-web --transaction RAD-129  # one transaction at an address",
    "radgate conformance run --target theirs.toml --provoke './ask.sh theirs'  # what makes it ask, with RADGATE_WHAT ...",
    "radgate conformance run --self --fault partial-as-success  # cases must fail",
)
SIMULATE = """\
A community that has studies (ITI-18, ITI-43, RAD-69) and takes submissions (RAD-68), two others behind their gateways, an
archive (QIDO-RS, WADO-RS, STOW-RS), a receiver of HL7 v2 and an audit repository, on this machine. Each message is told as
it comes, with what is odd about it.

Runs until Ctrl-C."""
SIMULATE_EXAMPLES = (
    "radgate conformance simulate  # a synthetic study, free ports, no TLS",
    "radgate conformance simulate --port-base 18443 --studies ~/ct --tls certificates",
)
LOAD = """\
Clients ask one thing over and over, each with one request under way, and verify every answer: throughput, latencies (p50,
p95, p99), what went wrong and, of a system on this machine, its memory and processor time.

Ends with 0 if there were answers and all were right; else with 1."""
LOAD_EXAMPLES = (
    "radgate conformance load --self --transaction RAD-69 --clients 8 --seconds 30 --html load.html",
    "radgate conformance load --target theirs.toml --transaction 'FHIR ImagingStudy search' --json load.json",
)
STATEMENT = """\
What radgate claims beside what the suite saw: IHE integration statement, DICOM conformance statement, FHIR capabilities.
Each claim is claimed and verified, or claimed, not verified, or not claimed. Of several results the worst verdict counts.

With --check ends with 0 if every case of what is claimed has passed; else with 1."""
STATEMENT_EXAMPLES = (
    "radgate conformance statement --result result.json --output statement.html",
    "radgate conformance statement --result sqlite.json --result postgresql.json --check --output out/statement.md",
    "radgate conformance statement --readme README.md  # its table of transactions, made anew of the claims",
)
COVERAGE = "Each requirement of the Framework, in our words, with the cases that prove it, or why none does."
COVERAGE_EXAMPLES = ("radgate conformance coverage", "radgate conformance coverage --json")


def command_line() -> argparse.ArgumentParser:
    """Every verb, explained."""
    parser = argparse.ArgumentParser(prog="radgate", description="Proofs by the wire.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    _demo(_verb(verbs, "demo", "the main job with three houses on this machine", DEMO, DEMO_EXAMPLES))
    proofs = _verb(verbs, "conformance", "prove any house, ours too", SUITE, SUITE_EXAMPLES)
    suite = proofs.add_subparsers(dest="noun", required=True)
    _list(_verb(suite, "list", "the cases", LIST, LIST_EXAMPLES))
    _run(_verb(suite, "run", "try cases on a system", RUN, RUN_EXAMPLES))
    _simulate(_verb(suite, "simulate", "counterparts to ask and to tell", SIMULATE, SIMULATE_EXAMPLES))
    _load(_verb(suite, "load", "many clients for a while, every answer verified", LOAD, LOAD_EXAMPLES))
    _statement(_verb(suite, "statement", "what is claimed, and what of it was verified", STATEMENT, STATEMENT_EXAMPLES))
    _verb(suite, "coverage", "each requirement, and what proves it", COVERAGE, COVERAGE_EXAMPLES).add_argument(
        "--json", action="store_true", dest="as_json", help="as JSON"
    )
    return parser


def main() -> int:
    """Read the command line and run."""
    asked = command_line().parse_args()
    try:
        return _do(asked)
    except SystemExit as refused:
        if not getattr(asked, "as_json", False) or not isinstance(refused.code, str):
            raise
        print(json.dumps({"error": {"code": 1, "detail": refused.code, "cure": ""}}))
        return 1
    except BrokenPipeError:  # whoever read has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 0 if asked.verb == "demo" or asked.noun == "simulate" else 130


def _verb(among: Any, name: str, short: str, says: str, examples: tuple[str, ...]) -> argparse.ArgumentParser:
    """A command that explains itself as those of the gateway do: what it does, how it ends, and what one types."""
    shown = "\n".join(f"  $ {each}" for each in examples)
    made: argparse.ArgumentParser = among.add_parser(
        name, help=short, description=says, epilog=f"Examples:\n{shown}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    return made


def _demo(demo: argparse.ArgumentParser) -> None:
    demo.add_argument("--once", action="store_true", help="stop after the last step instead of serving")
    demo.add_argument("--json", type=Path, dest="json_file", metavar="FILE", help="write the result of every step")
    demo.add_argument("--sabotage", default="", metavar="STEP", help="break this step on purpose: the run must fail")
    demo.add_argument("--study", type=Path, metavar="DIR", help="your own DICOM folder instead of the synthetic study")
    demo.add_argument("--folder", type=Path, metavar="DIR", help="keep the houses' folders here")


def _choice(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--actor", help="only of this actor under test, such as 'Imaging Document Source'")
    parser.add_argument("--transaction", help="only of this transaction, such as RAD-69")
    parser.add_argument("--case", help="only those whose id has this in it")


def _list(listing: argparse.ArgumentParser) -> None:
    _choice(listing)
    listing.add_argument("--json", action="store_true", dest="as_json", help="as JSON")
    listing.add_argument(
        "--faults", action="store_true", help="instead: the faults that these cases catch, for --fault"
    )


def _run(run: argparse.ArgumentParser) -> None:
    _whom(run)
    _choice(run)
    run.add_argument("--store", default="", metavar="URL", help="with --self: an empty database instead of SQLite")
    run.add_argument(
        "--fault", default="", metavar="NAME", help="with --self: edit its messages so, on purpose: cases must fail"
    )
    run.add_argument(
        "--provoke", default="", metavar="CMD",
        help="with --target: run this to make the system do RADGATE_WHAT (fetch, share, submit ...) with RADGATE_STUDY or "
        "RADGATE_FILE of RADGATE_PATIENT and RADGATE_PEER; without it, you are told what to do and waited for",
    )  # fmt: skip
    run.add_argument("--strict", action="store_true", help="what a tolerant reader warns of fails a case too")
    run.add_argument("--evidence", type=Path, metavar="DIR", help="where every exchange is kept (a new folder)")
    run.add_argument("--json", type=Path, dest="json_file", metavar="FILE", help="write the results as JSON")
    run.add_argument("--junit", type=Path, metavar="FILE", help="write them as JUnit XML")
    run.add_argument("--html", type=Path, metavar="FILE", help="write them as a page, with links to the evidence")


def _whom(parser: argparse.ArgumentParser) -> None:
    from conformance.named import presets

    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--target", metavar="FILE|PRESET|URL",
        help=f"the system's description; or {', '.join(presets())}; or the address where --transaction is asked",
    )  # fmt: skip
    which.add_argument("--self", action="store_true", dest="own", help="radgate, started on scratch data")
    parser.add_argument(
        "--study", type=Path, metavar="DIR", help="with --target: DICOM files of a study that it holds too"
    )
    parser.add_argument(
        "--patient",
        default="",
        metavar="ID",
        help="with --target: a patient whom it knows, whose the study is: 'P1^^^&1.2.3&ISO'",
    )


def _named(asked: argparse.Namespace, transaction: str | None) -> "System | None":
    """Who is meant by --target; None: our own house.

    Raises:
        SystemExit: Nobody, or it is told of what our own house holds.
    """
    from conformance.named import system_named
    from conformance.system import BadDescription

    if asked.own:
        if asked.study is not None or asked.patient:
            raise SystemExit("--study and --patient are of systems of others; our own house has its own")
        return None
    try:
        return system_named(asked.target, transaction_id=transaction, study=asked.study, patient=asked.patient)
    except BadDescription as error:
        raise SystemExit(str(error)) from error


def _simulate(simulators: argparse.ArgumentParser) -> None:
    simulators.add_argument(
        "--port-base",
        type=_port_base,
        default=0,
        metavar="N",
        help="SOAP there, audit, MLLP, two other communities and the archive at the next ports",
    )
    simulators.add_argument("--studies", type=Path, metavar="DIR", help="DICOM files instead of a synthetic study")
    simulators.add_argument(
        "--tls", type=Path, metavar="DIR", help="speak TLS, with certificates made new into this folder, for you too"
    )


def _load(load: argparse.ArgumentParser) -> None:
    _whom(load)
    load.add_argument(
        "--transaction", required=True, metavar="T",
        help="RAD-69, RAD-107 (or WADO-RS), RAD-108 (or STOW-RS), RAD-68, ITI-18, 'FHIR ImagingStudy search' (or "
        "ImagingStudy), ITI-8 (or MLLP)",
    )  # fmt: skip
    load.add_argument("--clients", type=_clients, default=4, metavar="N", help="so many at once (4)")
    load.add_argument("--seconds", type=_seconds, default=10.0, metavar="S", help="requests begin for so long (10)")
    load.add_argument("--json", type=Path, dest="json_file", metavar="FILE", help="write the result as JSON")
    load.add_argument("--html", type=Path, metavar="FILE", help="write it as a page, with plots")


def _clients(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= 10_000:
        raise argparse.ArgumentTypeError("a number from 1 to 10000")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 86_400:
        raise argparse.ArgumentTypeError("a number of seconds, above 0 and at most a day")
    return seconds


def _loaded(asked: argparse.Namespace) -> int:
    from conformance.house import HouseFailed
    from conformance.load import loaded
    from conformance.load_report import as_html, as_json, told
    from conformance.load_works import ALSO_CALLED, WORKS
    from conformance.provide import NotTaken
    from conformance.report import write
    from conformance.system import BadDescription
    from conformance.verdict import Failed, Unreachable

    transaction = ALSO_CALLED.get(asked.transaction.casefold(), asked.transaction)
    if transaction not in WORKS:
        raise SystemExit(f"--transaction {asked.transaction}: there is load of {', '.join(WORKS)}")
    try:
        done = asyncio.run(
            loaded(
                _named(asked, transaction), transaction, clients=asked.clients, seconds=asked.seconds,
                say=lambda line: print(line, flush=True),
            )
        )  # fmt: skip
    except (BadDescription, HouseFailed, NotTaken, Failed, Unreachable) as error:
        raise SystemExit(str(error)) from error
    for file, render in ((asked.json_file, as_json), (asked.html, as_html)):
        if file is not None:
            write(file, render(done))
    print("\n".join(told(done)))
    return _code(done.good)


def _port_base(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= 65_533:
        raise argparse.ArgumentTypeError("a port from 1 to 65533, the first of three")
    return int(text)


def _statement(statement: argparse.ArgumentParser) -> None:
    statement.add_argument(
        "--result",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="what `run --json` wrote; more than once",
    )
    statement.add_argument("--format", choices=("markdown", "html"), help="as what; else as the output's name says")
    statement.add_argument("--output", type=Path, metavar="FILE", help="write it there instead of printing it")
    statement.add_argument(
        "--readme",
        type=Path,
        metavar="FILE",
        help="only write the table of transactions between its marks of this page",
    )
    statement.add_argument("--check", action="store_true", help="fail where a case of what is claimed did not pass")


def _do(asked: argparse.Namespace) -> int:
    if asked.verb == "demo":
        from conformance.demo.show import show

        return _code(
            asyncio.run(
                show(
                    once=asked.once, json_file=asked.json_file, sabotage=asked.sabotage, study=asked.study,
                    folder=asked.folder,
                )
            )
        )  # fmt: skip
    if asked.noun == "simulate":
        from conformance.simulate import simulate

        # A shell that starts us in the background has it ignored, and then nobody could end us so.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        from conformance.system import BadDescription

        try:
            asyncio.run(
                simulate(
                    lambda line: print(line, flush=True),
                    port_base=asked.port_base,
                    studies=asked.studies,
                    tls=asked.tls,
                )
            )
        except BadDescription as error:
            raise SystemExit(str(error)) from error
        return 0
    if asked.noun == "load":
        return _loaded(asked)
    from conformance.judge import Asked, Files, be_a_fault, covered, faults_listed, judged, listed
    from conformance.suites import cases

    if asked.noun == "coverage":
        covered(as_json=asked.as_json)
        return 0
    if asked.noun == "statement":
        from conformance.statement import in_readme, stated

        if asked.readme is not None:
            return in_readme(asked.readme)

        wrong = stated(
            asked.result,
            as_page=None if asked.format is None else asked.format == "html",
            output=asked.output,
            check=asked.check,
        )
        for each in wrong:
            print(each, file=sys.stderr)
        return _code(not wrong)
    wanted = Asked(actor=asked.actor, transaction=asked.transaction, case=asked.case)
    if asked.noun == "list":
        (faults_listed if asked.faults else listed)(wanted, as_json=asked.as_json)
        return 0
    wanted.of(cases())  # who asks for what is not there is told so before anything is made
    be_a_fault(asked.fault)
    target = _named(asked, asked.transaction)
    evidence = asked.evidence or Path(tempfile.mkdtemp(prefix="radgate-evidence-"))
    print(f"Evidence: {evidence}")
    files = Files(evidence=evidence, json=asked.json_file, junit=asked.junit, html=asked.html)
    return _code(
        asyncio.run(
            judged(
                target,
                wanted,
                files,
                strict=asked.strict,
                store_url=asked.store,
                fault=asked.fault,
                provoke=asked.provoke,
            )
        )
    )


def _code(good: bool) -> int:
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
