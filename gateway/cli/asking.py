"""Asking: the settings, and a running house through the control address in its data folder."""

import hashlib
import http.client
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn
from urllib.parse import quote, urlencode, urlsplit

from gateway.cli import saying

if TYPE_CHECKING:
    from gateway.settings import Settings

RESTING = frozenset({"held", "done", "failed", "cancelled", "abandoned", "incomplete"})
WATCH_S = 0.25
BRING_BYTES = 256 * 1024
TIMEOUT_S = 60.0  # nothing came for so long; an export may take as long as it likes


def settings(config: Path | None, data: Path | None = None) -> "Settings":
    """Those of a file, with another data folder if one is named; ends the command where they cannot be used."""
    from gateway.settings import SettingsError
    from gateway.settings_reading import load

    try:
        settings = load(config)
    except SettingsError as error:
        saying.complain(error.problems)
    if data is None:
        return settings
    return settings.model_copy(update={"house": settings.house.model_copy(update={"data": data.absolute()})})


class Running:
    """A running house, asked through its control address."""

    def __init__(self, config: Path | None, data: Path | None, *, timeout_s: float = TIMEOUT_S) -> None:
        """Find it; `timeout_s` is how long it may say nothing."""
        folder = data or settings(config).house.data
        self._timeout_s = timeout_s
        try:
            found = json.loads((folder / "control.json").read_bytes())
            self._address, self._token = urlsplit(found["address"]), str(found["token"])
        except FileNotFoundError:
            saying.fail(saying.Exit.NOT_RUNNING, f"No house is running on {folder}.", "Start it with `radgate serve`.")
        except PermissionError:
            saying.fail(
                saying.Exit.REFUSED, f"{folder} is not yours to read.", "Ask as the user that the house runs as."
            )
        except (ValueError, KeyError, TypeError):
            saying.fail(
                saying.Exit.NOT_RUNNING,
                f"control.json in {folder} cannot be read.",
                "Start the house again.",
            )

    def ask(self, method: str, path: str, body: object = None, **query: object) -> Any:
        """Ask it, with a value or an open file; a refusal ends the command with what the house said."""
        with self._asked(method, path, body, query) as response:
            if response.status >= http.HTTPStatus.BAD_REQUEST:
                _refused(response)
            return json.loads(response.read() or b"null")

    def look(self, path: str) -> Any:
        """What is there; None: nothing."""
        with self._asked("GET", path, None, {}) as response:
            return json.loads(response.read()) if response.status == http.HTTPStatus.OK else None

    def bring(self, path: str, to: Path, **query: object) -> int:
        """Take what is there into a file, whole or not at all; answers its size."""
        size, digest = 0, hashlib.sha1(usedforsecurity=False)
        with self._asked("GET", path, None, query) as response:
            if response.status >= http.HTTPStatus.BAD_REQUEST:
                _refused(response)
            with written(to) as file:
                while chunk := response.read(BRING_BYTES):
                    digest.update(chunk)
                    with writing(to):
                        size += file.write(chunk)
                told = response.headers.get("X-SHA1", "")
                if told and told.lower() != digest.hexdigest():
                    saying.fail(
                        saying.Exit.FAULTY,
                        "What came is not what its entry says (SHA-1).",
                        "Ask whoever keeps it.",
                    )
        return size

    def lines(self, path: str, **query: object) -> Iterator[bytes]:
        """Ask for many, and take them one by one."""
        with self._asked("GET", path, None, query) as response:
            if response.status >= http.HTTPStatus.BAD_REQUEST:
                _refused(response)
            yield from response

    @contextmanager
    def _asked(
        self, method: str, path: str, body: object, query: dict[str, object]
    ) -> Iterator[http.client.HTTPResponse]:
        named = [
            (key, each) for key, value in query.items() for each in (value if isinstance(value, list) else [value])
        ]
        sent = urlencode([(key, value) for key, value in named if value not in (None, "")])
        connection = http.client.HTTPConnection(
            self._address.hostname or "", self._address.port, timeout=self._timeout_s
        )
        try:
            connection.request(
                method, f"{path}?{sent}" if sent else path,
                body=body if body is None or hasattr(body, "read") else json.dumps(body),
                headers={"Authorization": f"Bearer {self._token}"},
            )  # fmt: skip
            yield connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            saying.fail(saying.Exit.NOT_RUNNING, f"The house does not answer: {error}.", "Is it still running?")
        finally:
            connection.close()

    def watch(self, exchange_id: str, quiet: bool) -> dict[str, Any]:
        """Follow an exchange until it rests."""
        with saying.progress(quiet) as show:
            while True:
                job: dict[str, Any] = self.ask("GET", f"/exchanges/{exchange_id}")
                last = job["steps"][-1]["text"] if job["steps"] else ""
                if job["kind"] == "backfill":
                    last = job["reason"] or last
                elif job["state"] not in RESTING and job["reason"]:  # it is tried again: whoever waits sees for what
                    last = f"{last} — {job['reason']}"
                done, total = self._counts(job)
                show(f"{job['state']}: {last}", done, total)
                if job["state"] in RESTING:
                    return job
                time.sleep(WATCH_S)

    def _counts(self, job: dict[str, Any]) -> tuple[int, int | None]:
        """How many instances of its study are here, and how many there will be; of a back-fill, how many studies."""
        if job["kind"] == "backfill":
            return job["payload"]["done"], job["payload"]["total"]
        uid = job["study_instance_uid"]
        study = self.look(f"/studies/{quote(uid)}") if uid else None
        if study is None:
            return 0, None
        return study["instances"], study["instances"] + len(study["missing"])


@contextmanager
def written(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of what is there when it is whole, and is nowhere when it is not."""
    new = path.with_name(path.name + ".part")
    with writing(path):
        file = new.open("wb")
    try:
        yield file
        with writing(path):
            file.close()
            new.replace(path)
    finally:
        with suppress(OSError):
            file.close()
        new.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What goes wrong meanwhile is the file's fault, and not the house's."""
    try:
        yield
    except OSError as error:
        saying.fail(saying.Exit.REFUSED, f"{path} cannot be written: {error.strerror}.", "Choose another place.")


def _refused(response: http.client.HTTPResponse) -> NoReturn:
    try:
        said = json.loads(response.read()).get("error", {})
    except (ValueError, AttributeError):
        said = {}
    saying.fail(saying.Exit.REFUSED, str(said.get("detail") or "The house refused."), str(said.get("cure", "")))
