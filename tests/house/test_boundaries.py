"""What stays in its room: private names, output, and what is nobody's business but ours."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.house.modules import ROOT, Module, modules

BORROWED = {
    "lxml.etree._Element": "lxml's own annotation of an element",
    "zlib._Decompress": "the standard library has no public name for it",
    "pydicom.sr._concepts_dict": "the dictionary of coded concepts, as a judge",
}
"""Private names of others that we use, and why."""

HANDLES = {
    "tests/gateway/actors/test_fhir_server.py": "the address of a client session of aiohttp's, which has no public one",
    "tests/gateway/inbound/test_fhir.py": "the same",
    "tests/gateway/adapters/test_archive_dicomweb.py": "the port that aiohttp's site was given",
    "tests/gateway/adapters/test_audit_sql.py": "a round of the trail's own task, at a moment that the test chooses",
    "tests/profiles/wire/dicom/test_dictionary.py": "pydicom's tables, whose every row is compared",
    "tests/bench/bench_store.py": "measures what stands between the store and its driver",
}
"""Tests that look inside, and for what."""


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def _own_names(module: Module) -> set[str]:
    """Names that the module itself binds, as functions, classes, variables or attributes."""
    own: set[str] = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            own.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            own.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            own.add(node.attr)
    return own


def _trespasses(module: Module) -> Iterator[str]:
    for line, name in module.imports():
        private = any(_is_private(part) for part in name.split("."))
        if private and not any(name.startswith(each) for each in BORROWED):
            yield f"{module.below}:{line} imports {name}"
    own = _own_names(module)
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and _is_private(node.attr) and node.attr not in own:
            written = ast.unparse(node)
            if module.below not in HANDLES and not any(each.endswith(written) for each in BORROWED):
                yield f"{module.below}:{node.lineno} uses {written}"


@pytest.mark.parametrize("folder", ["profiles", "gateway", "conformance", "tests"])
def test_no_module_reaches_for_a_private_name_of_another(folder: str) -> None:
    assert not [each for module in modules(folder) for each in _trespasses(module)]


def test_whoever_looks_inside_is_still_there() -> None:
    assert not [each for each in HANDLES if not (ROOT / each).exists()]


def test_only_command_lines_print() -> None:
    for module in modules("profiles", "gateway"):
        if module.below.startswith("gateway/cli/"):
            continue
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id != "print", f"{module.below}:{node.lineno}"


WITH_REASON = re.compile(r"# (?:type: ignore\[[^\]]+\]|noqa: [A-Z0-9, ]+?) +[#-] ?\S")
EXCUSED = re.compile(r"# (?:type: ignore|noqa)\b")


def test_every_exception_from_the_checkers_has_its_reason_beside_it() -> None:
    for module in modules("profiles", "gateway", "conformance"):
        for number, line in enumerate(module.text.splitlines(), 1):
            if EXCUSED.search(line):
                assert WITH_REASON.search(line), f"{module.below}:{number} {line.strip()}"


def test_nothing_is_left_for_later() -> None:
    later = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|pragma: no cover|raise NotImplementedError")
    for module in modules("profiles", "gateway", "conformance"):
        found = later.search(module.text)
        assert found is None, f"{module.below}: {found and found[0]}"


NOTES = re.compile(r"(?<![\w/])[a-z][a-z0-9-]*\.md\b|\b([dD]ecision|[lL]esson)s? \d+")


def test_code_cites_nothing_that_a_reader_cannot_open() -> None:
    """Sections of standards are for everybody; notes of those who wrote it are not."""
    for module in modules("profiles", "gateway", "conformance"):
        for number, line in enumerate(module.text.splitlines(), 1):
            assert not NOTES.search(line), f"{module.below}:{number} {line.strip()}"


LOADED_LATE = ("alembic", "asyncpg", "fhir", "jinja2", "numpy", "PIL", "pydicom", "sqlalchemy.orm", "zeep")
"""Each takes some 20 to 500 ms to load, and a house that starts can do without."""


def test_a_house_starts_without_what_it_may_never_need() -> None:
    program = f"import sys, gateway.cli, gateway.app; print([each for each in {LOADED_LATE} if each in sys.modules])"
    told = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
