"""A whole house and its peers, every answer verified: `python -m tests.bench.bench_load [TRANSACTION ...]`.

All seven kinds of `radgate conformance load`, without TLS on either side: WADO-RS and STOW-RS beside Orthanc, ADT by MLLP
beside the `hl7` library's server, which keeps nothing. Each leaves its last page with plots in `reports/`.
"""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from conformance.house import free_ports
from conformance.own import SOAP
from conformance.samples import SampleStudy, sample_patient, write_ct_study
from conformance.system import COMMUNITY
from tests.bench.client import Kept
from tests.bench.compare import missing
from tests.bench.houses import AUTHORITY, LOCATION, STOW_TYPE, House, house, scratch, stow_body
from tests.bench.loaded import beside, described
from tests.support.orthanc import orthanc

PATIENT = sample_patient(1, AUTHORITY)
SLICES = 20
SIMULATOR = """
[[peer]]
name = "Simulator"
home_community_id = "{home}"
repository_unique_ids = ["{repository}"]
retrieve_location_uids = ["{location}"]
patient_authority = "{authority}"
[peer.endpoint]
"RAD-69" = "http://127.0.0.1:{port}/RAD-69"
"""


def endpoints_of(ours: House) -> dict[str, str]:
    """Where a house is asked."""
    base = f"http://127.0.0.1:{ours.http}"
    return {
        **{id: f"{base}/soap/{path}" for id, path in SOAP.items()},
        "FHIR": f"{base}/fhir/r4", "DICOMWEB": f"{base}/dicomweb", "MLLP": f"mllp://127.0.0.1:{ours.mllp}",
    }  # fmt: skip


def given(port: int, path: str, study: SampleStudy) -> None:
    """The study, in one request."""
    kept = Kept(port)
    kept.post(path, stow_body([each.path.read_bytes() for each in study.instances]), STOW_TYPE)
    kept.close()


@asynccontextmanager
async def library() -> AsyncIterator[int]:
    """The MLLP server of the `hl7` library, as its documentation shows it; its port."""
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.bench_hl7", "--serve", stdout=subprocess.PIPE
    )
    try:
        assert server.stdout is not None
        yield int((await server.stdout.readline()).split()[1])
    finally:
        server.terminate()
        await server.wait()


async def measure(folder: Path, kinds: Sequence[str]) -> None:
    """Those of these kinds."""
    study = write_ct_study(folder / "ct", seed=1, patient=PATIENT, series=1, instances=SLICES)
    who = PATIENT.identifiers[0]
    (port,) = free_ports(1)
    home, repository, location = COMMUNITY
    more = SIMULATOR.format(home=home.urn, repository=repository, location=location, authority=AUTHORITY, port=port)
    async with house(folder / "house", knows=[PATIENT], more=more) as one:
        await asyncio.to_thread(given, one.http, "/dicomweb/studies", study)
        ours = described(folder / "house.toml", endpoints_of(one), who, study, location=LOCATION, soap_port=port)
        for kind in ("ITI-18", "FHIR ImagingStudy search"):  # while the patient has little
            if kind in kinds:
                await beside(kind, kind, clients=16, ours=ours)
        if "RAD-69" in kinds:
            await beside("RAD-69 of 20 CT", "RAD-69", clients=4, ours=ours, unit="MB/s", growth_asked=64.0)
        try:
            with orthanc(folder / "orthanc") as judge:
                await asyncio.to_thread(given, judge.http_port, "/dicom-web/studies", study)
                address = {"DICOMWEB": f"http://127.0.0.1:{judge.http_port}/dicom-web"}
                theirs = described(folder / "orthanc.toml", address, who, study)
                if "RAD-107" in kinds:
                    await beside("WADO-RS of 20 CT", "RAD-107", clients=4, ours=ours, peer=theirs, name="Orthanc",
                                 asked=1.5, unit="MB/s", growth_asked=64.0)  # fmt: skip
                if "RAD-108" in kinds:
                    for clients, asked in ((1, 2.0), (4, 1.3)):
                        await beside("STOW-RS of 10 CT", "RAD-108", clients=clients, ours=ours, peer=theirs,
                                     name="Orthanc", asked=asked, unit="MB/s", growth_asked=64.0)  # fmt: skip
        except pytest.skip.Exception as absent:
            missing("WADO-RS and STOW-RS beside Orthanc", str(absent))
        if "RAD-68" in kinds:
            await beside("RAD-68, images fetched beside it", "RAD-68", clients=16, ours=ours)
        if "ITI-8" in kinds:
            async with library() as library_port:
                theirs = described(folder / "hl7.toml", {"MLLP": f"mllp://127.0.0.1:{library_port}"}, who)
                for clients, asked in ((1, 2.5), (50, 10.0)):
                    await beside("ADT by MLLP, durable before AA", "ITI-8", clients=clients, ours=ours, peer=theirs,
                                 name="hl7.mllp, nothing kept", asked=asked)  # fmt: skip


KINDS = ("RAD-69", "RAD-107", "RAD-108", "RAD-68", "ITI-18", "FHIR ImagingStudy search", "ITI-8")


def main() -> None:
    """All, or those named."""
    with scratch() as folder:
        asyncio.run(measure(folder, sys.argv[1:] or KINDS))


if __name__ == "__main__":
    main()
