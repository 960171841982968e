"""Programs that are sent to hosts as one text."""

from __future__ import annotations

import ast
import zlib
from collections.abc import Iterator, Sequence
from importlib import import_module, resources
from typing import Any

import pytest

from backend import shipping
from backend.errors import Unreachable
from backend.hostprogram import joined, start


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


@pytest.mark.parametrize(
    ("codes", "given"), [((127, 0), "second"), ((1,), "first"), ((127, 127), ""), ((-1,), "")]
)
async def test_one_that_ends_before_it_was_sent(
    codes: tuple[int, ...], given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another python3 is looked for where there was none; what else it said is for who asked."""
    closed = list[str]()

    class Process:
        def __init__(self, name: str, code: int) -> None:
            self.name, self.code = name, code

        async def write(self, data: bytes) -> None:
            assert data == b"text"
            if self.code:
                raise Unreachable("the command has ended.")

        async def wait(self) -> int:
            return self.code

        async def close(self) -> None:
            closed.append(self.name)

    made = [Process(name, code) for name, code in zip(("first", "second"), codes, strict=False)]
    waiting = list(made)

    class Host:
        name = "h"

        async def start(self, argv: Sequence[str]) -> Process:
            return waiting.pop(0)

    async def find_python(link: object) -> str:
        return "/opt/python3"

    monkeypatch.setattr(shipping, "find_python", find_python)
    host: Any = Host()
    if given:
        found: Any = await start(host, b"text")
        assert found.name == given
    else:
        with pytest.raises(Unreachable):
            await start(host, b"text")
    assert closed == [each.name for each in made if each.name != given]
