"""Programs that are sent to hosts as one text."""

from __future__ import annotations

import ast
import zlib
from collections.abc import Iterator, Sequence
from importlib import import_module, resources

import pytest

from backend.hostprogram import joined


def named(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Each name that a module makes, and by what."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name, ast.unparse(node)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [each.id for one in targets for each in ast.walk(one) if isinstance(each, ast.Name)]
            yield from ((name, ast.unparse(node)) for name in names)


@pytest.mark.parametrize(
    ("package", "place"),
    [
        ("backend.disk.host", "backend.disk.remote"),
        ("backend.ownership.host", "backend.ownership.asking"),
        ("backend.sync.host", "backend.sync.side"),
    ],
)
def test_no_module_takes_another_ones_name(package: str, place: str) -> None:
    modules: Sequence[str] = import_module(place).MODULES
    made: dict[str, tuple[str, str]] = {}
    for module in modules:
        tree = ast.parse(resources.files(package).joinpath(f"{module}.py").read_text("utf-8"))
        for name, by in named(tree):
            other, before = made.setdefault(name, (module, by))
            assert other == module or before == by, f"{name} is another thing in {other} than in {module}"
    compile(zlib.decompress(joined(package, modules)), package, "exec")
