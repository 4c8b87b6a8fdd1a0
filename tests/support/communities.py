"""Three communities on loopback: Region, and Valley and Lakeside whom it knows as other homes.

The houses run inside the test. Leaving them proves that no log line names a patient, and that nothing ended as a defect.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientTimeout

from gateway.app import running
from gateway.settings import Settings
from profiles.model.identifiers import Oid
from profiles.xdsi.rad69 import RetrieveImagingDocumentSetRequest
from tests.support.scenario import DOMAIN, VALLEY, Valley, logged, nothing_leaked

REGION_HOME, VALLEY_HOME, LAKESIDE_HOME, NOBODY = Oid("1.2.5.1"), Oid("1.2.3.1"), Oid("1.2.4.1"), Oid("1.2.99.1")
HOMES = {"Region": REGION_HOME, "Valley": VALLEY_HOME, "Lakeside": LAKESIDE_HOME}
LOCATIONS = {name: Oid(f"{home}.3") for name, home in HOMES.items()}
REPOSITORIES = {name: Oid(f"{home}.2") for name, home in HOMES.items()}
GATEWAY, IMAGING_GATEWAY = "/soap/initiating-gateway", "/soap/imaging-initiating-gateway"
RESPONDING, IMAGING_RESPONDING = "/soap/responding-gateway", "/soap/imaging-responding-gateway"


def settings_of(
    data: Path, name: str, peers: Mapping[str, str] | None = None, deadline_s: float = 10.0, **more: Any
) -> Settings:
    """A house that knows other communities by base address; `more` are settings as they are."""
    return Settings.model_validate(
        {
            "house": {
                "name": name, "data": data, "home_community_id": HOMES[name],
                "repository_unique_id": REPOSITORIES[name], "retrieve_location_uid": LOCATIONS[name],
                "patient_authority": VALLEY,
            },
            "affinity_domain": {"patient_authority": DOMAIN},
            "listen": {"http_port": 0, "mllp_port": 0, "drain_timeout_s": 1.0},
            "access": {"anonymous_loopback": True},
            "limits": {"idle_timeout_s": 5.0, "community_deadline_s": deadline_s},
            "peer": [
                {
                    "name": other,
                    "home_community_id": HOMES[other],
                    "endpoint": {
                        "ITI-38": f"{url}{RESPONDING}",
                        "ITI-39": f"{url}{RESPONDING}",
                        "RAD-75": f"{url}{IMAGING_RESPONDING}",
                    },
                }
                for other, url in (peers or {}).items()
            ],
            **more,
        }
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Communities:
    """Region, and whom it knows."""

    folder: Path
    houses: Mapping[str, Valley]

    def __getitem__(self, name: str) -> Valley:
        return self.houses[name]


@asynccontextmanager
async def communities(
    folder: Path, *, deadline_s: float = 10.0, valley: Mapping[str, Any] | None = None, **instead: str
) -> AsyncIterator[Communities]:
    """Valley and Lakeside stand, and Region beside them; `instead` of a house, Region finds another address.

    `valley` are settings of Valley's as they are.
    """
    async with logged() as log, AsyncExitStack() as stack:
        http = await stack.enter_async_context(ClientSession(timeout=ClientTimeout(total=60), auto_decompress=False))
        houses: dict[str, Valley] = {}

        async def start(settings: Settings) -> None:
            addresses = await stack.enter_async_context(running(settings))
            houses[settings.house.name] = Valley(data=settings.house.data, addresses=addresses, http=http, log=log)

        for name in ("Valley", "Lakeside"):
            if name not in instead:
                await start(settings_of(folder / name, name, **(valley or {} if name == "Valley" else {})))
        known = {name: house.url for name, house in houses.items()} | instead
        await start(settings_of(folder / "Region", "Region", known, deadline_s))
        yield Communities(folder=folder, houses=houses)
        nothing_leaked(log.getvalue())
        assert b'"defect"' not in log.getvalue(), log.getvalue()[-3000:]


def at_home(request: RetrieveImagingDocumentSetRequest, home: Oid | None) -> RetrieveImagingDocumentSetRequest:
    """The same request with a home on every instance."""
    return replace(
        request,
        studies=tuple(
            replace(
                study,
                series=tuple(
                    replace(
                        series,
                        documents=tuple(replace(each, home_community_id=home) for each in series.documents),
                    )
                    for series in study.series
                ),
            )
            for study in request.studies
        ),
    )
