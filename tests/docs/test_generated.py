"""Pages that follow from the code are what the code says now."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.actions import load
from tests.docs.generate import HERE, generated
from tui.views import LISTED, view_class

NAMES = ("berth.1", "json.md", "keys.md")


@pytest.fixture(scope="module")
def found() -> dict[Path, str]:
    """What the pages ought to be; made once, as it takes a moment."""
    return generated()


@pytest.mark.parametrize("name", NAMES)
def test_the_page_is_current(name: str, found: dict[Path, str]) -> None:
    assert sorted(path.name for path in found) == sorted(NAMES)
    assert (HERE / name).read_text("utf-8") == found[HERE / name], f"docs/{name} is not current: make docs"


def test_every_action_has_a_row_with_its_verb_and_its_name() -> None:
    page = (HERE / "keys.md").read_text("utf-8")
    shown = {view_class(listed.name).ROW for listed in LISTED}
    for action in load().values():
        if action.on in shown - {None}:
            assert f"| `{action.name}` |" in page, action.name


def test_every_list_has_its_fields() -> None:
    from backend.model import ContainerRow, HostRow

    page = (HERE / "json.md").read_text("utf-8")
    for row in (HostRow, ContainerRow):
        assert all(f"| `{field}` | " in page for field in row.__struct_fields__)
    assert "ClassVar" not in page and "<class" not in page
