"""The command line: noun, then verb. `--json` everywhere, exit codes that a script can trust.

Exit codes: 0 done; 1 the house refused or failed, and said why; 2 the command was written wrongly; 3 the settings cannot
be used; 4 no house is running on this data folder; 5 verification found something.

Commands that ask a running house find it through `control.json` in its data folder; they have the operator's authority
because they can read that file. What a newcomer gets wrong: modules that take long to load (the settings, the house) are
imported where they are used, so that a question costs little more than Python.
"""

import sys
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from gateway.cli.audit import audit_cli
from gateway.cli.config import config_cli
from gateway.cli.document import document_cli
from gateway.cli.exchange import exchange_cli
from gateway.cli.house import house_cli
from gateway.cli.people import patient_cli, peer_cli
from gateway.cli.saying import Exit, Refusal, examples, paragraphs
from gateway.cli.study import study_cli, study_publish

__all__ = ["Exit", "cli", "main"]

EXIT_CODES = (
    "Exit codes: 0 done; 1 the house refused or failed, and said why; 2 the command was written wrongly; "
    "3 the settings cannot be used; 4 no house is running on this data folder; 5 a check found something."
)

JSON = "--json"


class CommandLine(TyperGroup):
    """All commands, and the one place where a refusal is told: to people, or with `--json` to programs."""

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, *more: Any, **options: Any) -> Any:
        """Run one command to its end."""
        for_programs = JSON in (sys.argv[1:] if args is None else args)
        try:
            if not for_programs:
                return super().main(args, prog_name, *more, **options)
            code = super().main(args, prog_name, *more, **options | {"standalone_mode": False})
        except Refusal as refusal:
            (refusal.tell_programs if for_programs else refusal.tell)()
            code = refusal.code
        except TyperException as wrong:  # the command was written wrongly: there is no other left here
            Refusal(Exit.USAGE, wrong.format_message(), "`--help` explains each command").tell_programs()
            code = Exit.USAGE
        except typer.Abort:
            Refusal(Exit.REFUSED, "It was broken off.").tell_programs()
            code = Exit.REFUSED
        sys.exit(code or Exit.DONE)


cli = typer.Typer(
    cls=CommandLine,
    no_args_is_help=True,
    add_completion=False,
    help="Imaging-exchange gateway: XDS-I.b, FHIR, HL7 v2, DICOMweb and ATNA around one archive.",
    epilog=paragraphs(
        examples(
            "radgate serve  # a house on embedded defaults, all below ./data",
            "radgate exchange list --state held  # what waits for a person",
            "radgate audit list --study UID  # the story of a study",
        ),
        "Every command takes --help, and --json for programs, which are told of refusals in JSON too.",
        EXIT_CODES,
    ),
    pretty_exceptions_enable=False,  # a traceback with values in it may name a patient
)
cli.add_typer(house_cli)
for name, group in (
    ("exchange", exchange_cli), ("study", study_cli), ("document", document_cli), ("patient", patient_cli),
    ("peer", peer_cli), ("audit", audit_cli), ("config", config_cli),
):  # fmt: skip
    cli.add_typer(group, name=name)
cli.command(
    "publish", epilog=examples("radgate publish --register --all --wait  # the same as `radgate study publish`")
)(study_publish)


def main() -> None:
    """Entry point of `radgate`."""
    cli()
