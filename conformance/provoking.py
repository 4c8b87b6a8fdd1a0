"""Our own house does what a case wants of it, by its command line: `fetch`, `share`, `submit` and so on."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import date, timedelta

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
    "register": lambda of: ("document", "submit", of["file"], "--patient", of["patient"], "--class", CLASS),
    "look": lambda of: ("document", "find", "--patient", of["patient"], "--at", of["peer"]),
    "get": lambda of: ("document", "get", of["document"], "--to", of["file"], "--at", of["peer"]),
    "find": lambda of: ("document", "find", *_each("--patient", of["patient"].split()), "--at", of["peer"]),
    "update": lambda of: _changed(of, "ITI-57"),
    "restrict": lambda of: _changed(of, "ITI-92"),
    "deprecate": lambda of: ("document", "deprecate", of["document"], "--at", of["peer"]),
    "remove": lambda of: ("document", "remove", of["document"], "--at", of["peer"]),
    "replace": lambda of: ("document", "replace", of["document"], of["file"], "--at", of["peer"], "--by", "ITI-41"),
}  # fmt: skip
ELSEWHERE = frozenset({"register"})


def by_command_line(house: House, elsewhere: Callable[[], Awaitable[House]]) -> Provoke:
    """How our house is made to do something; `elsewhere` is one whose registry somebody else has."""

    async def provoke(what: str, facts: Facts) -> bool:
        try:
            if what == "offer":
                await _offer(house, facts)
            else:
                await (await elsewhere() if what in ELSEWHERE else house).command(*COMMANDS[what](facts))
        except CommandFailed as failed:
            raise NotDone(str(failed)) from failed
        return True

    return provoke


async def _offer(house: House, of: Facts) -> None:
    """There is no command for one study: it is chosen by what is known of it. Who will try again has not done so."""
    shown = await house.command("study", "show", of["study"])
    day = date.fromisoformat(shown["started"][:10])
    opened = await house.command(
        "study", "publish", "--on-demand", "--to", of["peer"], "--patient", shown["patient_id"].partition("^")[0],
        "--modality", shown["modalities"][0], "--since", f"{day:%Y%m%d}", "--until", f"{day + timedelta(days=1):%Y%m%d}",
        "--per-minute", "6000",
    )  # fmt: skip
    while True:
        told = await house.command("exchange", "show", opened["id"])
        progress = told["payload"]
        if progress["counts"]["failed"] or progress["counts"]["held"]:
            raise NotDone(told["reason"])
        if told["state"] == "done":
            return
        for each in await house.command("exchange", "list", "--study", of["study"]):
            if each["id"] in progress["under_way"] and each["attempt"]:
                raise NotDone(f"it will try again: {each['reason']}")
