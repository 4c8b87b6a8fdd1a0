"""`radgate study`: what the archive has, and what of it goes elsewhere or comes from there."""

from typing import Annotated, Any
from urllib.parse import quote

import typer

from gateway.cli import asking, saying
from gateway.cli.exchange import changed, show_exchange
from gateway.cli.options import ConfigOption, DataOption, JsonOption, LimitOption, StudyArgument, WaitOption

study_cli = typer.Typer(no_args_is_help=True, help="What the archive has: list, show, look, share, publish, fetch.")


@study_cli.command(
    "list",
    epilog=saying.examples("radgate study list --patient V123", "radgate study list --modality CT --modality MR"),
)
def study_list(
    config: ConfigOption = None,
    data: DataOption = None,
    patient: Annotated[str, typer.Option(help="Only of this patient id, alone or as ID^^^&OID&ISO.")] = "",
    accession: Annotated[str, typer.Option(help="Only with this accession number.")] = "",
    modality: Annotated[list[str] | None, typer.Option(help="Only with this modality; may be repeated.")] = None,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
) -> None:
    """List studies that are here or on their way, newest first."""
    studies = asking.Running(config, data).ask(
        "GET", "/studies", patient=patient, accession=accession, modality=modality or [], limit=limit
    )
    table = saying.table_of("study", "status", "started", "modalities", "series", "description", "from")
    for study in studies:
        saying.row(
            table, study["study_instance_uid"], study["status"], saying.when(study["started"] or ""),
            " ".join(study["modalities"]), study["series"], study["description"], study["source"],
        )  # fmt: skip
    saying.show(studies, as_json, table)


@study_cli.command("show")
def study_show(
    study: StudyArgument, config: ConfigOption = None, data: DataOption = None, as_json: JsonOption = False
) -> None:
    """Show one study with its series, the instances that have not come, and those that a newer manifest withdrew."""
    told = asking.Running(config, data).ask("GET", f"/studies/{quote(study)}")
    table = saying.table_of("series", "no.", "modality", "instances", "description")
    for each in told["details"]:
        number = "" if each["number"] is None else each["number"]
        saying.row(table, each["series_instance_uid"], number, each["modality"], each["instances"], each["description"])
    if not as_json:
        pairs = (
            ("study", told["study_instance_uid"]), ("status", told["status"]), ("patient", told["patient_id"]),
            ("accession", ", ".join(told["accession_numbers"])), ("started", saying.when(told["started"] or "")),
            ("description", told["description"]), ("from", told["source"]), ("instances", told["instances"]),
            ("missing", "\n".join(told["missing"])),
            ("withdrawn", "\n".join(map(_withdrawn, told["withdrawn"]))),
        )  # fmt: skip
        saying.output.print(saying.facts((key, value) for key, value in pairs if value not in ("", None)))
        saying.output.print()
    saying.show(told, as_json, table)


def _withdrawn(instance: dict[str, Any]) -> str:
    by = f"by manifest {instance['manifest']}" if instance["manifest"] else "before it came"
    return f"{instance['sop_instance_uid']} {by} at {saying.when(instance['at'])}"


@study_cli.command("share", epilog=saying.examples("radgate study share 1.2.3 --to Region --wait"))
def study_share(
    study: StudyArgument,
    to: Annotated[str, typer.Option(help="The peer.")],
    config: ConfigOption = None,
    data: DataOption = None,
    wait: WaitOption = False,
    as_json: JsonOption = False,
) -> None:
    """Publish our own manifest of a study to a peer (RAD-68)."""
    changed(asking.Running(config, data), f"/studies/{quote(study)}/share", {"peer": to}, wait, as_json)


@study_cli.command(
    "publish",
    epilog=saying.examples(
        "radgate study publish --to Region --all --wait  # everything that is available here",
        "radgate study publish --register --modality CT --since 2024 --per-minute 600",
        "radgate study publish --by-rules --all  # where the rules say",
        "radgate study publish --resume --wait  # look at the last one, and let it go on if it had stopped",
    ),
)
def study_publish(
    to: Annotated[list[str] | None, typer.Option(help="A peer; may be repeated.")] = None,
    register: Annotated[bool, typer.Option("--register", help="In our own registry.")] = False,
    on_demand: Annotated[bool, typer.Option("--on-demand", help="Its documents are made when asked for.")] = False,
    by_rules: Annotated[bool, typer.Option("--by-rules", help="Where the rules of study.available say.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Every study that is available here.")] = False,
    modality: Annotated[list[str] | None, typer.Option(help="Only with this modality; may be repeated.")] = None,
    patient: Annotated[str, typer.Option(help="Only of this patient id, alone or as ID^^^&OID&ISO.")] = "",
    since: Annotated[str, typer.Option(help="Only that began then or later, such as 2024 or 20240131.")] = "",
    until: Annotated[str, typer.Option(help="Only that began before.")] = "",
    per_minute: Annotated[
        int, typer.Option(min=0, max=60_000, help="At most so many; 0: publish.per_minute of the settings.")
    ] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="The last one, instead of a new one.")] = False,
    config: ConfigOption = None,
    data: DataOption = None,
    wait: WaitOption = False,
    as_json: JsonOption = False,
) -> None:
    """Publish what is here already (a back-fill): the newest first, at a rate, gone on with after a restart.

    It tells how many were published, were already there, are held (no code, no id in the affinity domain) or failed.
    """
    house = asking.Running(config, data)
    if resume:
        if to or register or on_demand or by_rules or every or modality or patient or since or until or per_minute:
            saying.fail(
                saying.Exit.USAGE,
                "The last one is asked for what it was asked for.",
                "Give --resume alone, or leave it out.",
            )
        _resume(house, wait, as_json)
        return
    if bool(to or register) == by_rules:
        saying.fail(saying.Exit.USAGE, "Say where: --to PEER or --register, or else --by-rules.")
    if every == bool(modality or patient or since or until):
        saying.fail(saying.Exit.USAGE, "Say which studies: --all, or else conditions.")
    body = {
        "to": to or [], "register": register, "on_demand": on_demand,
        "modality": modality or [], "patient": patient, "since": since,
        "until": until, "per_minute": per_minute,
    }  # fmt: skip
    changed(house, "/publish", body, wait, as_json)


def _resume(house: asking.Running, wait: bool, as_json: bool) -> None:
    """The last back-fill: let it go on if it had stopped, then look at it."""
    listed = house.ask("GET", "/exchanges", kind=["backfill"], limit=1)
    if not listed:
        saying.fail(saying.Exit.REFUSED, "There was no back-fill.", "Start one: `radgate study publish --help`.")
    path = f"/exchanges/{quote(listed[0]['id'])}"
    if listed[0]["state"] == "failed":
        changed(house, f"{path}/release", {}, wait, as_json)
        return
    job = house.watch(listed[0]["id"], as_json) if wait else house.ask("GET", path)
    show_exchange(job, as_json)


@study_cli.command(
    "look",
    epilog=saying.examples("radgate study look --study 1.2.3", "radgate study look --patient V123"),
)
def study_look(
    study: Annotated[str, typer.Option(help="Study Instance UID.")] = "",
    patient: Annotated[str, typer.Option(help="Patient id, as the archive has it.")] = "",
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look at a study or a patient of the archive now, and publish what is new, instead of waiting for the next walk."""
    if bool(study) == bool(patient):
        saying.fail(saying.Exit.USAGE, "Say which: --study or --patient.")
    told = asking.Running(config, data).ask("POST", "/look", {"study": study, "patient": patient})
    if not as_json:
        saying.output.print(told["found"])
        return
    saying.show(told, as_json, saying.table_of("found"))


@study_cli.command(
    "fetch", epilog=saying.examples("radgate study fetch --patient 'V123^^^&1.2.3.4&ISO' --registry Region --wait")
)
def study_fetch(
    patient: Annotated[str, typer.Option(help="Whose studies, as ID^^^&OID&ISO.")],
    registry: Annotated[str, typer.Option(help="The peer whose registry is asked, or another community.")],
    study: Annotated[str, typer.Option(help="Only this Study Instance UID.")] = "",
    config: ConfigOption = None,
    data: DataOption = None,
    wait: WaitOption = False,
    as_json: JsonOption = False,
) -> None:
    """Find a patient's manifests at a registry, take them, and fetch the images that they name."""
    body = {"patient": patient, "registry": registry, "study": study}
    changed(asking.Running(config, data), "/collect", body, wait, as_json)
