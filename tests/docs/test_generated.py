"""Pages that follow from the code are what the code says now."""

from __future__ import annotations

import subprocess
import sys

import pytest

from backend.actions import load
from tests.docs.generate import HERE
from tui.views import LISTED, view_class

NAMES = ("berth.1", "json.md", "keys.md")


@pytest.fixture(scope="module")
def stale() -> str:
    """What `make docs` would write. Asked of a process of its own: here other tests may have declared actions
    one by one, in another order."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.docs.generate", "--check"],
        cwd=HERE.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == bool(done.stderr), done.stderr
    return done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_the_page_is_current(name: str, stale: str) -> None:
    assert (HERE / name).exists()
    assert f"docs/{name} " not in stale, stale


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
