"""Our own house does what a case wants of it, by its command line: `fetch`, `share`, `submit` and so on."""

from collections.abc import Callable, Iterable, Mapping

from conformance.around import Provoke
from conformance.house import CommandFailed, House
from conformance.submissions import REPORT
from conformance.verdict import NotDone

CLASS = f"{REPORT.value}^{REPORT.system}^{REPORT.display}"

Facts = Mapping[str, str]


def _each(option: str, values: Iterable[str]) -> tuple[str, ...]:
    return tuple(word for value in values for word in (option, value))


def _changed(of: Facts, by: str) -> tuple[str, ...]:
    return ("document", "update", of["document"], "--at", of["peer"], "--title", of["title"], "--by", by)


COMMANDS: Mapping[str, Callable[[Facts], tuple[str, ...]]] = {
    "fetch": lambda of: (
        "study", "fetch", "--patient", of.get("patient", ""), "--registry", of["peer"], "--study", of["study"], "--wait",
    ),
    "share": lambda of: ("study", "share", "--to", of["peer"], of["study"], "--wait"),
    "submit": lambda of: (
        "document", "submit", of["file"], "--patient", of["patient"], "--to", of["peer"], "--by", "ITI-41", "--class", CLASS
    ),
    "find": lambda of: ("document", "find", *_each("--patient", of["patient"].split()), "--at", of["peer"]),
    "update": lambda of: _changed(of, "ITI-57"),
    "restrict": lambda of: _changed(of, "ITI-92"),
    "deprecate": lambda of: ("document", "deprecate", of["document"], "--at", of["peer"]),
    "remove": lambda of: ("document", "remove", of["document"], "--at", of["peer"]),
    "replace": lambda of: ("document", "replace", of["document"], of["file"], "--at", of["peer"], "--by", "ITI-41"),
}  # fmt: skip


def by_command_line(house: House) -> Provoke:
    """How our house is made to do something."""

    async def provoke(what: str, facts: Facts) -> bool:
        try:
            await house.command(*COMMANDS[what](facts))
        except CommandFailed as failed:
            raise NotDone(str(failed)) from failed
        return True

    return provoke
