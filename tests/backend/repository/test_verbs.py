"""berth link and berth images branch, as people type them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.repository.standing import standings
from tests import program
from tests.backend.repository.test_links import git

Berth = Callable[..., subprocess.CompletedProcess]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A working copy of a repository of cluster images whose remote is on GitHub, and was pushed to once."""
    folder = tmp_path / "imgs"
    (folder / "reasoning_base").mkdir(parents=True)
    (folder / "reasoning_base/Dockerfile").write_text("FROM busybox\n")
    (folder / "projects/reasoning:2025.1").mkdir(parents=True)
    (folder / "projects/reasoning:2025.1/Dockerfile").write_text("FROM reasoning_base\nRUN true\n")
    git(tmp_path, "init", str(folder))
    git(folder, "add", "-A")
    git(folder, "commit", "-m", "one")
    git(folder, "remote", "add", "origin", "git@github.com:o/imgs.git")
    git(folder, "update-ref", "refs/remotes/origin/main", "HEAD")
    return folder


@pytest.fixture
def berth(copy: Path, tmp_path: Path) -> Berth:
    own = {
        "BERTH_STATE_DIR": f"{tmp_path}/state",
        "BERTH_CONFIG_DIR": f"{tmp_path}/config",
        "HOME": f"{tmp_path}",
    }

    def run(*words: str, code: int = 0) -> subprocess.CompletedProcess:
        return program.berth(
            *words, env={**os.environ, **own, "PYTHONPATH": os.getcwd()}, code=code, cwd=copy
        )

    return run


def test_a_link_is_one_line_on_stdout(berth, copy):
    sha = git(copy, "rev-parse", "HEAD")
    assert berth("link").stdout == f"https://github.com/o/imgs/commit/{sha}\n"
    found = berth("link", "file", "projects/reasoning:2025.1/Dockerfile:2").stdout
    assert found == f"https://github.com/o/imgs/blob/{sha}/projects/reasoning%3A2025.1/Dockerfile#L2\n"
    assert "git keeps" in berth("link", "file", "nope", code=2).stderr
    assert "git switch" in berth("link", "request", code=2).stderr


async def test_looking_for_working_copies_holds_nothing_up(copy, monkeypatch: pytest.MonkeyPatch):
    """Folders of recipes may be on a file server that takes its time."""
    true, looked = Path.exists, set[int]()

    def exists(path: Path, **more: bool) -> bool:
        looked.add(threading.get_ident())
        return true(path, **more)

    monkeypatch.setattr(Path, "exists", exists)
    found = await standings([copy / "reasoning_base", copy / "projects"])
    assert len({each.folder for each in found.values()}) == 1
    assert looked and threading.get_ident() not in looked


def test_a_branch_for_a_change_and_a_template_for_a_new_project(berth, copy):
    done = berth("images", "branch", "reasoning:2025.1", "--root", str(copy))
    assert re.search(r"branch reasoning-2025\.1_\S+_\d{8}_\d{6}", done.stderr)
    git(copy, "commit", "--allow-empty", "-m", "two")
    done = berth("link", "request")
    assert done.stdout.startswith("https://github.com/o/imgs/compare/main...reasoning-2025.1_")
    assert "not on origin yet" in done.stderr

    said = berth("images", "branch", "reasoning:2025.2", "--root", str(copy), code=5).stderr
    assert "Did you mean 'reasoning:2025.1'?" in said
    assert "2025.2" not in git(copy, "branch")
    done = berth("images", "branch", "mine:1", "--root", str(copy), "--yes")
    assert "1 commits ahead of origin/main, 0 behind" in done.stderr
    assert "reasoning_base" in (copy / "projects/mine:1/Dockerfile").read_text()
    assert "mine:1" in berth("images", "recipes", "--root", str(copy)).stdout
    before = git(copy, "branch")
    berth("images", "branch", "a/b", "--root", str(copy), "--yes", code=2)
    assert git(copy, "branch") == before


def test_recipes_say_how_far_their_working_copy_is_from_the_base_repository(berth, copy):
    def told() -> tuple[object, ...]:
        rows = json.loads(berth("images", "recipes", "--root", str(copy), "--json").stdout)
        return tuple(rows[0][key] for key in ("branch", "onto", "ahead", "behind", "changed"))

    branch = git(copy, "branch", "--show-current")
    assert told() == (branch, "origin/main", 0, 0, 0)
    git(copy, "commit", "--allow-empty", "-m", "theirs")
    git(copy, "update-ref", "refs/remotes/origin/main", "HEAD")
    git(copy, "reset", "-q", "--hard", "HEAD~1")
    git(copy, "commit", "--allow-empty", "-m", "ours")
    (copy / "reasoning_base/new").touch()
    assert told() == (branch, "origin/main", 1, 1, 1)
    assert f"{branch} +1 -1 *" in berth("images", "recipes", "--root", str(copy)).stdout
    # a fork: what counts is the repository that it was made of
    git(copy, "remote", "add", "upstream", "https://github.com/base/imgs.git")
    git(copy, "update-ref", "refs/remotes/upstream/main", "HEAD")
    assert told() == (branch, "upstream/main", 0, 0, 1)
