"""Two communities on loopback that know each other by their certificates: Region asks, Lakeside answers.

Both are whole houses inside the test, over mutual TLS, so that each is known to the other when it is called back.
"""

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientTimeout, TCPConnector

from gateway.app import running
from gateway.settings import Settings
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.patient import Patient
from tests.support.certificates import MadeCertificate, make_certificate
from tests.support.ports import free_port
from tests.support.scenario import ZEBEDIAH, Valley, logged, nothing_leaked

HOMES = {"Region": Oid("1.2.5.1"), "Lakeside": Oid("1.2.4.1")}
DOMAINS = {"Region": Oid("1.2.5.9"), "Lakeside": Oid("1.2.4.9")}
PATHS = {
    "ITI-18": "registry", "ITI-43": "repository", "RAD-69": "imaging-source",
    "ITI-38": "responding-gateway", "ITI-39": "responding-gateway", "ITI-55": "responding-gateway",
    "RAD-75": "imaging-responding-gateway",
}  # fmt: skip


def known_at(community: str, **changes: Any) -> Patient:
    """Zebediah, as a community knows him."""
    own = PatientIdentifier(value=f"{community[:2].upper()}99402", authority=DOMAINS[community])
    return replace(ZEBEDIAH, identifiers=(own,), **changes)


@dataclass(slots=True, kw_only=True)
class Pair:
    """Both houses, and their addresses; `start` and `stop` let one of them go down and come again."""

    folder: Path
    ports: Mapping[str, int]
    houses: dict[str, Valley]
    certificates: Mapping[str, MadeCertificate]

    def __getitem__(self, name: str) -> Valley:
        return self.houses[name]

    def url(self, name: str) -> str:
        """The base address of a house."""
        return f"https://127.0.0.1:{self.ports[name]}"

    def settings(self, name: str, peer: Mapping[str, Any], **sections: Any) -> Settings:
        """A house's; `peer` is what it says of the other one beside who they are."""
        (other,) = HOMES.keys() - {name}
        made = self.certificates[name]
        told: dict[str, Any] = {
            "house": {
                "name": name, "data": self.folder / name, "home_community_id": HOMES[name],
                "repository_unique_id": f"{HOMES[name]}.2", "retrieve_location_uid": f"{HOMES[name]}.3",
                "patient_authority": DOMAINS[name],
            },
            "listen": {"http_port": self.ports[name], "mllp_port": 0, "drain_timeout_s": 1.0},
            "tls": {"certificate": made.certificate, "key": made.key},
            "access": {"anonymous_loopback": True},
            "limits": {"idle_timeout_s": 5.0},
            "peer": [
                {
                    "name": other, "home_community_id": HOMES[other], "patient_authority": DOMAINS[other],
                    "retrieve_location_uids": [f"{HOMES[other]}.3"], "repository_unique_ids": [f"{HOMES[other]}.2"],
                    "certificate": self.certificates[other].certificate, "idle_timeout_s": 5.0, **peer,
                }
            ],
        }  # fmt: skip
        for section, values in sections.items():
            told[section] = {**told[section], **values} if isinstance(values, dict) else values
        return Settings.model_validate(told)

    def endpoints(self, name: str, *transactions: str) -> dict[str, str]:
        """Where a house is asked these."""
        return {each: f"{self.url(name)}/soap/{PATHS[each]}" for each in transactions}

    @asynccontextmanager
    async def standing(self, settings: Settings, http: ClientSession, log: Any) -> AsyncIterator[Valley]:
        """One house, while the block runs."""
        async with running(settings) as addresses:
            trusting = ssl.create_default_context()
            trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
            house = Valley(data=settings.house.data, addresses=addresses, http=http, log=log, tls=trusting)
            self.houses[settings.house.name] = house
            yield house


@asynccontextmanager
async def grounds(folder: Path) -> AsyncIterator[tuple[Pair, ClientSession, Any]]:
    """Nobody stands yet. Leaving proves that no log line names a patient, and that nothing ended as a defect."""
    pair = Pair(
        folder=folder,
        ports={name: free_port() for name in HOMES},
        houses={},
        certificates={name: make_certificate(folder, name) for name in HOMES},
    )
    async with (
        logged() as log,
        ClientSession(
            timeout=ClientTimeout(total=60), auto_decompress=False, connector=TCPConnector(ssl=False)
        ) as http,
    ):
        yield pair, http, log
        nothing_leaked(log.getvalue())
        assert b'"defect"' not in log.getvalue(), log.getvalue()[-3000:]


@asynccontextmanager
async def pair_of(
    folder: Path, *, region: Mapping[str, Any], replies: str = "/soap/reply", sections: Mapping[str, Any] | None = None
) -> AsyncIterator[Pair]:
    """Both stand. `region` is what Region says of Lakeside (`endpoint`: the transactions that it has addresses for).

    Lakeside lets answers be brought to the path `replies` of Region. `sections` of settings are by house.
    """
    async with grounds(folder) as (pair, http, log), AsyncExitStack() as stack:
        asked = {**region, "endpoint": pair.endpoints("Lakeside", *region["endpoint"])}
        for name, peer in (("Lakeside", {"reply_to": [pair.url("Region") + replies]}), ("Region", asked)):
            await stack.enter_async_context(
                pair.standing(pair.settings(name, peer, **(sections or {}).get(name, {})), http, log)
            )
        yield pair
