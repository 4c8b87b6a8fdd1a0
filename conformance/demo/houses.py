"""Three houses, each its own `radgate serve` process with its own folder and settings.

**Lakeside** is an outside hospital, **Valley** the local gateway, **Region** a health information exchange. The demo talks
to them as anybody would: by their wires and by the command line.
"""

import json
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from conformance.certificates import Authority, Identity
from conformance.house import House, free_ports
from profiles.model.identifiers import Oid


@dataclass(slots=True, kw_only=True)
class Neighbourhood:
    """The three houses, and the EHR that the demo plays."""

    folder: Path
    lakeside: House
    valley: House
    region: House
    ehr: Identity
    ehr_port: int

    @property
    def all(self) -> Sequence[House]:
        """In the order in which a study meets them."""
        return (self.lakeside, self.valley, self.region)

    def client_context(self) -> ssl.SSLContext:
        """The EHR's side of mutual TLS."""
        context = ssl.create_default_context(cafile=str(self.ehr.authority))
        context.load_cert_chain(self.ehr.certificate, self.ehr.key)
        return context

    def server_context(self) -> ssl.SSLContext:
        """The EHR's listener: it too asks who is calling."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(self.ehr.authority))
        context.load_cert_chain(self.ehr.certificate, self.ehr.key)
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def session(self) -> aiohttp.ClientSession:
        """An HTTP client that is the EHR."""
        connector = aiohttp.TCPConnector(ssl=self.client_context())
        return aiohttp.ClientSession(connector=connector, trust_env=False, headers={"Accept-Encoding": "identity"})


def build(folder: Path, *, announce: bool = True, share: bool = True, authority: Oid | None = None) -> Neighbourhood:
    """Make certificates, ids and settings for everybody below a folder.

    Args:
        folder: Everything goes there.
        announce: Whether Valley has the standing rule to tell the EHR; sabotage leaves it out.
        share: The same for Region.
        authority: Whose ids Lakeside's patients have, where the study is somebody's own.
    """
    certificates = Authority(folder / "certificates")
    ports = free_ports(7)
    houses = [
        House(
            name=name, folder=folder / name.lower(), identity=certificates.issue(name), number=number,
            http_port=ports[2 * index], mllp_port=ports[2 * index + 1],
        )
        for index, (name, number) in enumerate((("Lakeside", 1), ("Valley", 2), ("Region", 3)))
    ]  # fmt: skip
    lakeside, valley, region = houses
    lakeside.authority = authority
    all_of_us = Neighbourhood(
        folder=folder, lakeside=lakeside, valley=valley, region=region, ehr=certificates.issue("EHR"), ehr_port=ports[6]
    )
    actions = [*(["announce:EHR"] if announce else []), *(["share:Region"] if share else [])]
    _write(lakeside, [_peer(valley, **{"RAD-68": f"{valley.base_url}/soap/document-recipient"}), _ehr(all_of_us)])
    _write(
        valley,
        [
            _peer(lakeside, **{"RAD-69": f"{lakeside.base_url}/soap/imaging-source"}),
            _peer(region, **{"RAD-68": f"{region.base_url}/soap/repository"}),
            _ehr(all_of_us),
            f'[[rule]]\nwhen = "study.available"\ndo = {json.dumps(actions)}\n' if actions else "",
        ],
        affinity=region,
    )
    _write(
        region,
        [
            _peer(valley, **{"RAD-69": f"{valley.base_url}/soap/imaging-source"}),
            # As a consumer, Region asks its own registry and repository, by their wires.
            _peer(
                region,
                **{"ITI-18": f"{region.base_url}/soap/registry", "ITI-43": f"{region.base_url}/soap/repository"},
            ),
            _ehr(all_of_us),
        ],
    )
    return all_of_us


def _write(house: House, blocks: Sequence[str], affinity: House | None = None) -> None:
    house.folder.mkdir(parents=True, exist_ok=True)
    domain = f'\n[affinity_domain]\npatient_authority = "{affinity.patient_authority}"\n' if affinity else ""
    text = f"""[house]
name = "{house.name}"
data = "data"
home_community_id = "{house.oid(1).urn}"
repository_unique_id = "{house.oid(2)}"
retrieve_location_uid = "{house.oid(3)}"
patient_authority = "{house.patient_authority}"
{domain}
[listen]
http_port = {house.http_port}
mllp_port = {house.mllp_port}

[tls]
certificate = "{house.identity.certificate}"
key = "{house.identity.key}"
trust = ["{house.identity.authority}"]
"""
    house.config.write_text("\n".join([text, *blocks]), encoding="utf-8")


def _peer(house: House, **endpoints: str) -> str:
    lines = "\n".join(f'"{transaction}" = "{address}"' for transaction, address in endpoints.items())
    return f"""[[peer]]
name = "{house.name}"
home_community_id = "{house.oid(1).urn}"
repository_unique_ids = ["{house.oid(2)}"]
retrieve_location_uids = ["{house.oid(3)}"]
patient_authority = "{house.patient_authority}"
certificate = "{house.identity.certificate}"
unknown_patient = "hold"
[peer.endpoint]
{lines}
"""


def _ehr(all_of_us: Neighbourhood) -> str:
    return f"""[[peer]]
name = "EHR"
certificate = "{all_of_us.ehr.certificate}"
hl7_application = "EHR"
hl7_facility = "VALLEY"
[peer.endpoint]
MLLP = "mllps://127.0.0.1:{all_of_us.ehr_port}"
"""
