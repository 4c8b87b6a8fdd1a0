"""What libraries bring and a running house never reads: their tests, sources and stubs, and one file under three names."""

import hashlib
import shutil
import sys
from pathlib import Path

OURS = frozenset({"gateway", "profiles", "conformance"})
SOURCES = frozenset({".c", ".cpp", ".h", ".hpp", ".hrl", ".pxd", ".pyi", ".pyx"})
UNUSED = ("fhir", "fhir_core")
"""What no module of ours imports: FHIR is plain JSON here, and these models are what tests judge it by."""

SAME_BYTES = 64 * 1024
"""Files below this size are not worth a comparison."""


def trimmed(packages: Path) -> int:
    """Trim a `site-packages`; answers how many bytes went."""
    before = _size(packages)
    for folder in (*sorted(packages.rglob("tests")), *(packages / each for each in UNUSED)):
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


def _files(folder: Path) -> list[Path]:
    return [each for each in folder.rglob("*") if each.is_file() and not each.is_symlink()]


def _size(folder: Path) -> int:
    return sum(each.stat().st_size for each in _files(folder))


if __name__ == "__main__":
    for each in sys.argv[1:]:
        print(f"{trimmed(Path(each)) / 1e6:.0f} MB less in {each}")
