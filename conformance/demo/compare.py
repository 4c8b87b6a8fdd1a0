"""Compare what came out with what went in: pixel bytes must be the same, attributes but for the ones that are coerced."""

from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from pydicom import dcmread
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset

from conformance.samples import SampleStudy, pixels_sha256

COERCED = (
    "PatientName", "PatientID", "IssuerOfPatientID", "IssuerOfPatientIDQualifiersSequence", "PatientBirthDate",
    "PatientSex", "OtherPatientIDsSequence", "AccessionNumber", "IssuerOfAccessionNumberSequence",
    "OriginalAttributesSequence", "SpecificCharacterSet", "PatientAddress",
)  # fmt: skip
"""What a house may make its own on arrival (DICOM PS3.3 C.12.1.1.9); everything else stays as it was made."""


@dataclass(slots=True)
class Comparison:
    """What was found: `wrong` says of each instance what differs that must not."""

    same: int = 0
    size_bytes: int = 0
    coerced: frozenset[str] = frozenset()
    wrong: tuple[str, ...] = ()


class Comparer:
    """Takes instances one at a time; nothing is held but the hashes of what was generated."""

    def __init__(self, study: SampleStudy) -> None:
        """Expect exactly the instances of this study."""
        self._expected = {
            str(instance.sop_instance_uid): instance for series in study.series for instance in series.instances
        }
        self._seen: set[str] = set()
        self._coerced: set[str] = set()
        self._wrong: list[str] = []
        self._size = 0

    def take(self, body: bytes) -> None:
        """Compare one Part 10 file with the one that was generated."""
        dataset = dcmread(BytesIO(body))
        uid = str(dataset.SOPInstanceUID)
        self._size += len(body)
        expected = self._expected.get(uid)
        if expected is None:
            self._wrong.append(f"{uid} was never generated")
            return
        self._seen.add(uid)
        if pixels_sha256(dataset) != expected.pixels_sha256:
            self._wrong.append(f"{uid}: the pixels differ")
        changed = set(_differences(dcmread(expected.path, stop_before_pixels=True), dataset))
        self._coerced |= changed & set(COERCED)
        if changed - set(COERCED):
            self._wrong.append(f"{uid}: {', '.join(sorted(changed - set(COERCED)))} differ")

    def finish(self) -> Comparison:
        """The verdict; an instance that never came is wrong too."""
        missing = self._expected.keys() - self._seen
        wrong = (*self._wrong, *(f"{uid} did not come" for uid in sorted(missing)))
        return Comparison(
            same=len(self._seen) - len(self._wrong),
            size_bytes=self._size,
            coerced=frozenset(self._coerced),
            wrong=wrong,
        )


def _differences(generated: Dataset, served: Dataset) -> Iterable[str]:
    tags = {element.tag for element in generated} | {element.tag for element in served}
    for tag in tags:
        if tag.group in (0x0002, 0x7FE0):
            continue
        if generated.get(tag) != served.get(tag):
            yield keyword_for_tag(tag) or str(tag)


def files_of(study: SampleStudy) -> tuple[Path, ...]:
    """The generated files, in series and instance order."""
    return tuple(instance.path for series in study.series for instance in series.instances)
