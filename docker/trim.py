"""What pip brings and a running house never reads: tests, sources, stubs, one file under three names, whole libraries."""

import hashlib
import re
import shutil
import sys
from importlib.metadata import distributions
from pathlib import Path

OURS = frozenset({"gateway", "profiles", "conformance"})
SOURCES = frozenset({".c", ".cpp", ".h", ".hpp", ".hrl", ".pxd", ".pyi", ".pyx"})
UNUSED = frozenset(
    {
        "charset-normalizer", "fhir-core", "fhir-resources", "hl7", "isodate", "platformdirs", "requests", "requests-file",
        "requests-toolbelt", "urllib3", "zeep",
    }
)  # fmt: skip
"""Distributions that no module of ours imports, and what only they need: FHIR, HL7 v2 and SOAP are bytes, JSON and elements
here, and these libraries are what tests judge them by. pyproject names them; the image has neither them nor their metadata.
"""

SAME_BYTES = 64 * 1024
"""Files below this size are not worth a comparison."""


def trimmed(packages: Path) -> int:
    """Trim a `site-packages`; answers how many bytes went."""
    before = _size(packages)
    for each in list(distributions(path=[str(packages)])):
        if re.sub(r"[-_.]+", "-", each.name).lower() in UNUSED:
            _removed([packages / file for file in each.files or ()])
    for folder in sorted(packages.rglob("tests")):
        if folder.is_dir() and folder.relative_to(packages).parts[0] not in OURS:
            shutil.rmtree(folder)
    kept: dict[str, Path] = {}
    for file in sorted(_files(packages)):
        if file.relative_to(packages).parts[0] in OURS:
            continue
        if file.suffix in SOURCES:
            file.unlink()
        elif file.stat().st_size >= SAME_BYTES:
            # Wheels have no links: a shared library lies there as lib.so, lib.so.3 and lib.so.3.2.
            first = kept.setdefault(hashlib.sha256(file.read_bytes()).hexdigest(), file)
            if first is not file and first.parent == file.parent:
                file.unlink()
                file.symlink_to(first.name)
    return before - _size(packages)


def _removed(files: list[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)
    for folder in sorted({above for file in files for above in file.parents}, key=lambda each: -len(each.parts)):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _files(folder: Path) -> list[Path]:
    return [each for each in folder.rglob("*") if each.is_file() and not each.is_symlink()]


def _size(folder: Path) -> int:
    return sum(each.stat().st_size for each in _files(folder))


if __name__ == "__main__":
    for each in sys.argv[1:]:
        print(f"{trimmed(Path(each)) / 1e6:.0f} MB less in {each}")
