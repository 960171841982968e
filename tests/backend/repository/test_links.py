"""Pages of working copies, by the forges' own forms; asked of real git."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import ActionFailed, UsageError
from backend.repository.git import Repository, branch_name
from backend.repository.links import site


@pytest.mark.parametrize(
    ("url", "page"),
    [
        ("git@github.com:o/n.git", "https://github.com/o/n"),
        ("https://user:secret@github.com/o/n.git/", "https://github.com/o/n"),
        ("ssh://git@gitlab.x.org:2222/a/b/c.git", "https://gitlab.x.org/a/b/c"),
        ("https://gitlab.x.org:8443/a/b", "https://gitlab.x.org:8443/a/b"),
        ("git@codeberg.org:o/n", "https://codeberg.org/o/n"),
        ("github.com:o/odd name", "https://github.com/o/odd%20name"),
    ],
)
def test_the_page_of_a_remote(url, page):
    assert site(url).page == page


@pytest.mark.parametrize(
    "url", ["/srv/repo.git", "../repo", "file:///srv/github/x", "git@unknown.org:o/n", "", "http://[x"]
)
def test_what_has_no_page_says_so(url):
    with pytest.raises(UsageError):
        site(url)


def test_pages_of_each_forge():
    hub, lab, tea = (site(f"git@{name}.org:o/n") for name in ("github", "gitlab", "gitea"))
    assert hub.commit("abc") == "https://github.org/o/n/commit/abc"
    assert lab.commit("abc") == "https://gitlab.org/o/n/-/commit/abc"
    assert tea.branch("a/b c") == "https://gitea.org/o/n/src/branch/a/b%20c"
    assert hub.file("abc", "a/b.py", 3) == "https://github.org/o/n/blob/abc/a/b.py#L3"
    assert tea.file("abc", "a.py") == "https://gitea.org/o/n/src/commit/abc/a.py"
    assert hub.request("x", "main") == "https://github.org/o/n/compare/main...x?expand=1"
    assert "source_branch%5D=x%2Fy&" in lab.request("x/y", "main")
    assert site("git@host.org:o/n", "gitlab").branch("m") == "https://host.org/o/n/-/tree/m"


def test_the_name_of_a_branch_says_project_user_and_time():
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert branch_name("reasoning:2025.1", "ann", now) == "reasoning-2025.1_ann_20260102_030405"


@given(st.text(max_size=12), st.text(max_size=12))
def test_git_takes_any_name_that_is_made(project, user):
    name = branch_name(project, user, datetime(2026, 1, 2, tzinfo=UTC))
    done = subprocess.run(["git", "check-ref-format", "--branch", name], capture_output=True, check=False)
    assert done.returncode == 0, name


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]
    done = subprocess.run(
        ["git", *who, "-C", str(folder), *words], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


async def test_where_a_working_copy_stands(tmp_path):
    upstream, mine = tmp_path / "up", tmp_path / "mine dir"
    upstream.mkdir()
    git(upstream, "init")
    git(upstream, "commit", "--allow-empty", "-m", "one")
    git(tmp_path, "clone", str(upstream), str(mine))
    repository = await Repository.at(mine)
    assert repository.folder == mine
    assert await repository.remote() == ("origin", str(upstream))
    assert await repository.default_branch("origin") == "main"
    git(mine, "switch", "-c", "work")
    git(mine, "commit", "--allow-empty", "-m", "two")
    git(upstream, "commit", "--allow-empty", "-m", "three")
    git(upstream, "commit", "--allow-empty", "-m", "four")
    assert await repository.distance("origin", "main") == (1, 0)
    git(mine, "fetch")
    assert await repository.distance("origin", "main") == (1, 2)
    assert await repository.distance("origin", "none") is None
    assert await repository.branch() == "work"
    git(mine, "remote", "remove", "origin")
    with pytest.raises(UsageError, match="no remote"):
        await repository.remote()
    with pytest.raises(ActionFailed, match="git show"):
        await repository.ask("show", "nothing")
    with pytest.raises(UsageError, match="no working copy"):
        await Repository.at(tmp_path)
