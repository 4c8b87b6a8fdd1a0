"""The command line: noun, then verb. `--json` everywhere, exit codes that a script can trust.

Exit codes: 0 done; 1 the house refused or failed, and said why; 2 the command was written wrongly; 3 the settings cannot
be used; 4 no house is running on this data folder; 5 verification found something.

Commands that ask a running house find it through `control.json` in its data folder; they have the operator's authority
because they can read that file. What a newcomer gets wrong: modules that take long to load (the settings, the house) are
imported where they are used, so that a question costs little more than Python.
"""

import typer

from gateway.cli.audit import audit_cli
from gateway.cli.config import config_cli
from gateway.cli.document import document_cli
from gateway.cli.exchange import exchange_cli
from gateway.cli.house import house_cli
from gateway.cli.people import patient_cli, peer_cli
from gateway.cli.saying import Exit, examples, paragraphs
from gateway.cli.study import study_cli

__all__ = ["Exit", "cli", "main"]

EXIT_CODES = (
    "Exit codes: 0 done; 1 the house refused or failed, and said why; 2 the command was written wrongly; "
    "3 the settings cannot be used; 4 no house is running on this data folder; 5 a check found something."
)

cli = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Imaging-exchange gateway: XDS-I.b, FHIR, HL7 v2, DICOMweb and ATNA around one archive.",
    epilog=paragraphs(
        examples(
            "radgate serve  # a house on embedded defaults, all below ./data",
            "radgate exchange list --state held  # what waits for a person",
            "radgate audit list --study UID  # the story of a study",
        ),
        "Every command takes --help, and --json for programs.",
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


def main() -> None:
    """Entry point of `radgate`."""
    cli()
