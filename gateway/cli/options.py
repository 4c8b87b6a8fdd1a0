"""Options and arguments that several commands take."""

from pathlib import Path
from typing import Annotated

import typer

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", envvar="RADGATE_CONFIG", help="The settings, radgate.toml; without it, defaults."),
]
DataOption = Annotated[
    Path | None,
    typer.Option("--data", envvar="RADGATE_DATA", help="The house's data folder; without it, as the settings say."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
WaitOption = Annotated[bool, typer.Option("--wait", help="Wait until it rests, and show how it goes; 1 if not done.")]
LimitOption = Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the newest.")]
ExchangeArgument = Annotated[
    str, typer.Argument(metavar="EXCHANGE", help="Its id, as `radgate exchange list` shows it.")
]
StudyArgument = Annotated[str, typer.Argument(metavar="STUDY", help="Its Study Instance UID.")]
