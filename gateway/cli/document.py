"""`radgate document`: documents here and elsewhere."""

import getpass
import mimetypes
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from gateway.cli import asking, saying
from gateway.cli.options import (
    ConfigOption,
    DataOption,
    JsonOption,
)

document_cli = typer.Typer(
    no_args_is_help=True, help="Documents here and elsewhere: find, get, submit, replace and more."
)


AtOption = Annotated[str, typer.Option("--at", help="A peer that has a registry; without it, our own.")]
AskedOption = Annotated[
    str, typer.Option("--at", help="A peer that has a registry, or is another community; without it, our own registry.")
]


@document_cli.command(
    "find",
    epilog=saying.examples(
        "radgate document find --patient 'D55^^^&1.2.3.9&ISO'",
        "radgate document find --patient 'D55^^^&1.2.3.9&ISO' --at Region --study 1.2.840.1",
        "radgate document find --patient 'D55^^^&1.2.3.9&ISO' --patient 'D56^^^&1.2.3.9&ISO' --at Region",
    ),
)
def document_find(
    patient: Annotated[
        list[str],
        typer.Option(help="Whose, as ID^^^&OID&ISO, in the registry's own domain; more than once for several."),
    ],
    study: Annotated[str, typer.Option(help="Only about this Study Instance UID.")] = "",
    at: AskedOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look for the documents of a patient, or of several; who looked stands in the audit."""
    found = asking.Running(config, data).ask(
        "GET", "/documents", patient=patient, study=study, at=at, person=getpass.getuser()
    )
    whose = ("patient",) if len(patient) > 1 else ()
    table = saying.table_of(*whose, "document", "type", "title", "created", "form", "bytes")
    for each in found:
        size = f"{each['size_bytes']:,}" if each["size_bytes"] is not None else ""
        of = (each["patient_id"],) if whose else ()
        created = saying.of_dtm(each["created"])
        saying.row(table, *of, each["unique_id"], each["type"], each["title"], created, each["mime_type"], size)
    saying.show(found, as_json, table)


@document_cli.command("get", epilog=saying.examples("radgate document get 1.2.826.0.1.99 --to report.pdf --at Region"))
def document_get(
    document: Annotated[str, typer.Argument(metavar="DOCUMENT", help="Its uniqueId.")],
    to: Annotated[Path, typer.Option(help="The file that it becomes.")],
    at: AskedOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a document into a file, and compare it with the hash of its entry; who took it stands in the audit."""
    path = f"/documents/{quote(document, safe='')}/content"
    size = asking.Running(config, data).bring(path, to, at=at, person=getpass.getuser())
    saying.show({"file": str(to), "size_bytes": size}, as_json, saying.facts((("file", to), ("bytes", f"{size:,}"))))


FileArgument = Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="The document.")]
MimeOption = Annotated[str, typer.Option("--mime", help="Its media type; without it, what its name says.")]
FormatOption = Annotated[
    str,
    typer.Option("--format", help="Its format, as VALUE^SYSTEM^DISPLAY; without it, of a report its kind, else none."),
]
ByOption = Annotated[
    str, typer.Option("--by", help="RAD-68, ITI-41 or ITI-80; without it, the first that the peer has an endpoint for.")
]
HomeOption = Annotated[
    str, typer.Option("--home", help="The community that it is for, if the peer speaks for several.")
]


@document_cli.command(
    "submit",
    epilog=saying.examples(
        "radgate document submit report.pdf --study 1.2.840.1 --to Region --class 'REPORTS^1.2.3.8^Reports'",
        "radgate document submit letter.txt --patient 'D55^^^&1.2.3.9&ISO' --to Hillside --class 'LETTERS^1.2.3.8^Letters'",
        "radgate document submit letter.txt --patient … --to Hub --home urn:oid:1.2.4.1 --class …",
    ),
)
def document_submit(
    file: FileArgument,
    class_code: Annotated[str, typer.Option("--class", help="Its class, as VALUE^SYSTEM^DISPLAY.")],
    to: Annotated[str, typer.Option(help="The peer that takes it; without it, our own repository.")] = "",
    study: Annotated[str, typer.Option(help="Study Instance UID of the study that it reports on (PDF or CDA).")] = "",
    patient: Annotated[str, typer.Option(help="Whose it is, as ID^^^&OID&ISO, if it is no report.")] = "",
    type_code: Annotated[str, typer.Option("--type", help="Its type; without it, the table's default.")] = "",
    format_code: FormatOption = "",
    mime: MimeOption = "",
    title: Annotated[str, typer.Option(help="Without it, the title in it, or the study's description.")] = "",
    replaces: Annotated[str, typer.Option(help="entryUUID of the document that it takes the place of.")] = "",
    recipient: Annotated[
        list[str] | None,
        typer.Option(help="Whom it is for, as XON|XCN|XTN such as 'Hillside|^Welby^Marcus'; repeat for more."),
    ] = None,
    by: ByOption = "",
    home: HomeOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Provide a report of a study, or any document of a patient, to a peer or ourselves, and wait for the answer."""
    if bool(study) == bool(patient):
        saying.fail(saying.Exit.USAGE, "A document is of a study or of a patient.", "Give either --study or --patient.")
    _sent(
        asking.Running(config, data), "/documents", file, as_json, study=study, patient=patient, to=to, title=title,
        replaces=replaces, recipient=recipient, by=by, home=home, mime=mime or _guessed(file),
        **{"class": class_code, "type": type_code, "format": format_code},
    )  # fmt: skip


@document_cli.command(
    "replace",
    epilog=saying.examples(
        "radgate document replace 1.2.826.0.1.99 better.pdf --at Region",
        "radgate document replace 1.2.826.0.1.99 addendum.pdf --at Region --append",
    ),
)
def document_replace(
    document: Annotated[str, typer.Argument(metavar="DOCUMENT", help="uniqueId of the former one.")],
    file: FileArgument,
    at: AtOption = "",
    append: Annotated[bool, typer.Option("--append", help="It is added to the former one, which stays.")] = False,
    transform: Annotated[bool, typer.Option("--transform", help="It is another form of it, which stays.")] = False,
    transform_replace: Annotated[
        bool, typer.Option("--transform-replace", help="It is another form of it, and takes its place.")
    ] = False,
    class_code: Annotated[str, typer.Option("--class", help="Its class; without it, the former one's.")] = "",
    type_code: Annotated[str, typer.Option("--type", help="Its type; without it, the former one's.")] = "",
    format_code: FormatOption = "",
    mime: MimeOption = "",
    title: Annotated[str, typer.Option(help="Without it, the title in it, or the former one's.")] = "",
    by: ByOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a document in the place of one that is registered; what is not said is as it was of the former one."""
    said = {"append": append, "transform": transform, "transform-replace": transform_replace}
    relation, *more = [name for name, is_said in said.items() if is_said] or ["replace"]
    if more:
        saying.fail(saying.Exit.USAGE, "It is one or the other.", f"Give --{relation} or --{more[0]}.")
    _sent(
        asking.Running(config, data), f"/documents/{quote(document, safe='')}/replace", file, as_json, at=at,
        title=title, by=by, mime=mime or _guessed(file), relation=relation,
        **{"class": class_code, "type": type_code, "format": format_code},
    )  # fmt: skip


def _guessed(file: Path) -> str:
    return mimetypes.guess_type(file.name)[0] or ""


def _sent(house: asking.Running, path: str, file: Path, as_json: bool, **said: object) -> None:
    with file.open("rb") as content:
        entry = house.ask("POST", path, content, person=getpass.getuser(), **said)
    pairs = (("document", entry["unique_id"]), ("entry", entry["entry_uuid"]), ("form", entry["format"]))
    saying.show(entry, as_json, saying.facts(pairs))


@document_cli.command("deprecate", epilog=saying.examples("radgate document deprecate 1.2.826.0.1.99 --at Region"))
def document_deprecate(
    document: Annotated[str, typer.Argument(metavar="DOCUMENT", help="Its uniqueId.")],
    at: AtOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a document out of force (ITI-57): who looks for what is approved finds it no more; it is kept."""
    done = asking.Running(config, data).ask(
        "POST", f"/documents/{quote(document, safe='')}/deprecate", at=at, person=getpass.getuser()
    )
    saying.show(done, as_json, saying.facts((("document", document), ("deprecated entries", done["entries"]))))


@document_cli.command(
    "update",
    epilog=saying.examples(
        "radgate document update 1.2.826.0.1.99 --title 'CT of the chest' --at Region",
        "radgate document update 1.2.826.0.1.99 --confidentiality 'R^2.16.840.1.113883.5.25^Restricted' --by ITI-57",
    ),
)
def document_update(
    document: Annotated[str, typer.Argument(metavar="DOCUMENT", help="Its uniqueId.")],
    at: AtOption = "",
    title: Annotated[str, typer.Option(help="Its title from now on.")] = "",
    comments: Annotated[str, typer.Option(help="What else is said of it.")] = "",
    class_code: Annotated[str, typer.Option("--class", help="Its class, as VALUE^SYSTEM^DISPLAY.")] = "",
    type_code: Annotated[str, typer.Option("--type", help="Its type, as VALUE^SYSTEM^DISPLAY.")] = "",
    confidentiality: Annotated[
        list[str] | None,
        typer.Option(help="A code, as VALUE^SYSTEM^DISPLAY, in the place of all before; more than once."),
    ] = None,
    availability: Annotated[str, typer.Option(help="Whether it can be fetched at once: online or offline.")] = "",
    by: Annotated[
        str, typer.Option("--by", help="ITI-92 or ITI-57; without it, ITI-92 unless the peer has ITI-57 alone.")
    ] = "",
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change what is registered of a document (ITI-92, ITI-57): a new version, the one before it stays known."""
    done = asking.Running(config, data).ask(
        "POST", f"/documents/{quote(document, safe='')}/update", at=at, by=by, title=title, comments=comments,
        confidentiality=confidentiality or [], availability=availability, person=getpass.getuser(),
        **{"class": class_code, "type": type_code},
    )  # fmt: skip
    pairs = [pair for each in done for pair in (("entry", each["entry_uuid"]), ("version", each["version"]))]
    saying.show(done, as_json, saying.facts((("document", document), *pairs)))


@document_cli.command(
    "remove",
    epilog=saying.examples(
        "radgate document remove 1.2.826.0.1.99", "radgate document remove 1.2.826.0.1.99 --at Region --metadata-only"
    ),
)
def document_remove(
    document: Annotated[str, typer.Argument(metavar="DOCUMENT", help="Its uniqueId.")],
    at: AtOption = "",
    metadata_only: Annotated[bool, typer.Option("--metadata-only", help="Its bytes stay in the repository.")] = False,
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove a document with all that the registry says of it (ITI-62, ITI-86). There is no way back."""
    done = asking.Running(config, data).ask(
        "DELETE", f"/documents/{quote(document, safe='')}", at=at, person=getpass.getuser(),
        **({"metadata_only": "true"} if metadata_only else {}),
    )  # fmt: skip
    saying.show(done, as_json, saying.facts((("document", document), ("removed objects", done["objects"]))))
