"""Finding studies in a whole house beside Orthanc: `python -m tests.bench.bench_find [studies ...]`.

QIDO-RS by patient on catalogues of 1,000 and 10,000 studies; the house is asked again with 30,000, which Orthanc would
take an hour to be filled with. Rows enter the index before the house starts; Orthanc gets little objects.
Then ImagingStudy by patient through the same house, sockets, turn and audit included.
"""

import asyncio
import io
import statistics
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from tests.bench.bench_fhir_search import BATCH, STUDIES_OF_A_PATIENT, study
from tests.bench.client import Kept
from tests.bench.compare import at_most, median, missing, sooner
from tests.bench.houses import AUTHORITY, house, scratch, store_of
from tests.support.orthanc import Orthanc, orthanc
from tests.support.registered import arrived

SIZES = (1_000, 10_000)
LARGE = 30_000
ROUNDS = 60
JSON, FHIR = {"Accept": "application/dicom+json"}, {"Accept": "application/fhir+json"}


def little(number: int) -> bytes:
    """An object without pixels of study `number`."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, f"1.2.3.{number}.1.1"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"1.2.3.{number}", f"1.2.3.{number}.1"
    dataset.PatientID, dataset.PatientName = f"P{number // STUDIES_OF_A_PATIENT}", f"Family{number % 977}^X"
    dataset.AccessionNumber, dataset.StudyDate, dataset.Modality = f"A{number}", "20260314", "CT"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def fill_judge(judge: Orthanc, numbers: range) -> None:
    """By its own address, on four connections."""

    def some(part: range) -> None:
        kept = Kept(judge.http_port)
        for number in part:
            kept.post("/instances", little(number), {"Content-Type": "application/dicom"})
        kept.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(some, [range(numbers.start + each, numbers.stop, 4) for each in range(4)]))


async def fill_house(folder: Path, numbers: range) -> None:
    """Rows as an arrival would leave them."""
    async with store_of(folder) as store:
        for start in range(numbers.start, numbers.stop, BATCH):
            async with store.unit() as work:
                for number in range(start, min(start + BATCH, numbers.stop)):
                    whole = study(number)
                    await work.studies.add(arrived(whole), whole.patient, "", datetime.now(UTC))


def patients(size: int) -> Iterator[str]:
    """Whom to ask for, all over the catalogue."""
    for turn in range(ROUNDS):
        yield f"P{(turn * 7919) % (size - 10) // STUDIES_OF_A_PATIENT}"


def asked(port: int, path: str, size: int) -> list[float]:
    """Milliseconds of each."""
    kept = Kept(port)
    accept = JSON if path.startswith("/dicom") else FHIR
    kept.seconds(path + next(patients(size)), accept)
    taken = [kept.seconds(path + who, accept) * 1000 for who in patients(size)]
    kept.close()
    return taken


async def at(folder: Path, size: int) -> dict[str, list[float]]:
    """A house with so many studies."""
    paths = {
        "QIDO-RS": "/dicomweb/studies?PatientID=",
        "ImagingStudy": f"/fhir/r4/ImagingStudy?_summary=true&patient.identifier=urn:oid:{AUTHORITY}|",
    }
    async with house(folder) as ours:
        return {name: await asyncio.to_thread(asked, ours.http, path, size) for name, path in paths.items()}


async def measure(folder: Path, sizes: tuple[int, ...]) -> None:
    """Grow both; the house once more alone."""
    ours: dict[int, dict[str, list[float]]] = {}
    held = 0
    try:
        with orthanc(folder / "orthanc", SyncStorageArea=False) as judge:
            for size in sizes:
                await asyncio.to_thread(fill_judge, judge, range(held, size))
                await fill_house(folder / "house", range(held, size))
                held = size
                theirs = await asyncio.to_thread(asked, judge.http_port, "/dicom-web/studies?PatientID=", size)
                ours[size] = await at(folder / "house", size)
                sooner(f"QIDO-RS by patient, {size} studies", ours=median(ours[size]["QIDO-RS"]), peer=median(theirs),
                       unit="ms", beside="Orthanc", asked=5.0 if size >= 10_000 else None)  # fmt: skip
    except pytest.skip.Exception as absent:
        missing("QIDO-RS beside Orthanc", str(absent))
    await fill_house(folder / "house", range(held, LARGE))
    ours[LARGE] = await at(folder / "house", LARGE)
    first = min(ours)
    for name in ours[LARGE]:
        growth = median(ours[LARGE][name]) / median(ours[first][name])
        at_most(f"{name} by patient, {first} to {LARGE} studies: growth", growth, 1.5, "x")
        p95 = statistics.quantiles(ours[LARGE][name], n=20)[18]
        at_most(f"{name} by patient, {LARGE} studies: p95, turn and audit included", p95, 10.0, "ms")


def main() -> None:
    """The sizes named, or those asked for."""
    with scratch() as folder:
        asyncio.run(measure(folder, tuple(map(int, sys.argv[1:])) or SIZES))


if __name__ == "__main__":
    main()
