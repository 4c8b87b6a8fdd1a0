"""The house's own modules, read once."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Module:
    """A file of ours: `below` is its path from the root, `name` what one imports."""

    below: str
    text: str
    tree: ast.Module

    @property
    def name(self) -> str:
        return self.below.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @property
    def file(self) -> str:
        return self.below.rpartition("/")[2]

    def imports(self) -> Iterator[tuple[int, str]]:
        """Line and full name of everything that it imports: `from a import b` is `a.b`."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from ((node.lineno, f"{node.module or ''}.{alias.name}") for alias in node.names)


@lru_cache(maxsize=8)
def _read(folder: str) -> tuple[Module, ...]:
    texts = ((path, path.read_text(encoding="utf-8")) for path in sorted((ROOT / folder).rglob("*.py")))
    return tuple(Module(path.relative_to(ROOT).as_posix(), text, ast.parse(text)) for path, text in texts)


def modules(*folders: str) -> Iterator[Module]:
    """Every module below these folders."""
    for folder in folders:
        yield from _read(folder)
