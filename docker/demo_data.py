"""Demonstration data by the wires that everybody uses: a patient by ITI-8, two studies by STOW-RS, and their description.

What it leaves in the folder, the studies' files and `system.toml`, is what `radgate conformance run --target` judges by.
"""

import argparse
import asyncio
import shutil
import sys
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from conformance.provide import NotTaken, push_study, tell_patient
from conformance.samples import SampleStudy, sample_patient, write_ct_study, write_us_study
from conformance.system import BadDescription, hl7_of, tls_of
from profiles.errors import PeerError
from profiles.model.identifiers import Oid

DESCRIPTION = Path(__file__).parent / "system.toml"
STORED_S = 60.0


async def provide(description: Path, into: Path) -> str:
    """Tell the house of the description of a patient, and give it studies; answers what was done.

    Raises:
        NotTaken: It refuses, or does not say in time that it has them.
        BadDescription: The description is none.
    """
    told = tomllib.loads(description.read_text(encoding="utf-8"))
    into.mkdir(parents=True, exist_ok=True)
    patient = sample_patient(3, Oid(told["known"]["patient_authority"]), prefix="C")
    studies = await asyncio.to_thread(
        lambda: [
            write_ct_study(into / "ct", seed=41, patient=patient, series=2, instances=6, rows=128),
            write_us_study(into / "us", seed=42, patient=patient),
        ]
    )
    mllp, dicomweb = urlsplit(told["endpoint"]["MLLP"]), told["endpoint"]["DICOMWEB"]
    tls = tls_of(**{key: Path(value) for key, value in told["tls"].items()})
    address = hl7_of(told.get("hl7", {}), description)
    await tell_patient(mllp.hostname or "", mllp.port or 2575, patient, address=address, ssl=tls)
    size = 0
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls), trust_env=False) as session:
        for study in studies:
            size += await push_study(session, dicomweb, study)
        for study in studies:
            await _found(session, dicomweb, study)
    await asyncio.to_thread(shutil.copyfile, description, into / "system.toml")
    count = sum(len(study.instances) for study in studies)
    return f"{len(studies)} studies of {patient.identifiers[0].value}, {count} instances, {size / 1e6:.1f} MB"


async def _found(session: aiohttp.ClientSession, base: str, study: SampleStudy) -> None:
    """Wait until it tells of every instance."""
    address = f"{base}/studies/{study.study_instance_uid}/instances"
    try:
        async with asyncio.timeout(STORED_S):
            while True:
                async with session.get(address, headers={"Accept": "application/dicom+json"}) as answer:
                    if answer.status == 200 and len(await answer.json(content_type=None)) == len(study.instances):
                        return
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise NotTaken(f"the house did not tell of a study within {STORED_S:.0f} s") from None


def main() -> int:
    """`demo_data.py FOLDER`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the studies' files and system.toml go")
    parser.add_argument("--description", type=Path, default=DESCRIPTION, help="the house, as a conformance target")
    asked = parser.parse_args()
    try:
        print(asyncio.run(provide(asked.description, asked.folder)))
    except (NotTaken, BadDescription, PeerError, OSError, aiohttp.ClientError) as error:
        print(f"not taken: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
