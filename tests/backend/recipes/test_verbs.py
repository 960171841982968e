"""The verbs, as people type them."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.backend.recipes.conftest import CUDA, Repo, tree_hash


class Berth:
    """The command line with a configuration of its own."""

    def __init__(self, repo: Repo) -> None:
        self.repo = repo
        self.top = repo.path.parent
        (self.top / "config").mkdir()
        (self.top / "config/settings.yaml").write_text(f"images: {{roots: {repo.path}, maintainer: xvdp}}\n")

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "HOME": str(self.top),
            "BERTH_CONFIG_DIR": str(self.top / "config"),
            "BERTH_STATE_DIR": str(self.top / "state"),
            "BERTH_CACHE_DIR": str(self.top / "cache"),
        }

    def __call__(self, *argv: str, code: int = 0) -> tuple[str, str]:
        environment = self.environment()
        run = [sys.executable, "-m", "tui", *argv]
        where = Path(__file__).parents[3]
        ended = subprocess.run(run, capture_output=True, text=True, env=environment, cwd=where, check=False)
        assert ended.returncode == code, ended.stderr
        return ended.stdout, ended.stderr.replace(f"{self.repo.path}/", "")


@pytest.fixture
def berth(repo: Repo) -> Berth:
    return Berth(repo)


def test_recipes_as_list_and_json(repo: Repo, berth: Berth) -> None:
    repo.layer("ssh", CUDA)
    repo.layer("mamba", "ssh")
    out, _ = berth("images", "recipes")
    assert [line.split("\t")[:3] for line in out.splitlines()[1:]] == [
        ["mamba", "stack", "xvdp/cuda1180-ubuntu2204_ssh_mamba:latest"],
        ["ssh", "stack", "xvdp/cuda1180-ubuntu2204_ssh:latest"],
    ]
    rows = json.loads(berth("images", "recipes", "--json")[0])
    assert rows[0]["parents"] == ["ssh"]
    assert rows[1]["base"] == CUDA
    repo.write("bad/Dockerfile", "FROM x\nRUUN\n")
    out, err = berth("images", "recipes", "--json", code=1)
    assert "bad/Dockerfile:2:1: 'RUUN' is no instruction." in err
    assert [row["name"] for row in json.loads(out) if row["problem"]] == ["bad"]


def test_the_tree(repo: Repo, berth: Berth) -> None:
    repo.layer("ssh", CUDA)
    for name in ("mamba", "other"):
        repo.layer(name, "ssh")
    repo.layer("torch", "mamba")
    repo.write("alone/Dockerfile", "FROM scratch\n")
    assert berth("images", "tree")[0].splitlines() == [
        CUDA,
        "└─ ssh  xvdp/cuda1180-ubuntu2204_ssh:latest",
        "   ├─ mamba  xvdp/cuda1180-ubuntu2204_ssh_mamba:latest",
        "   │  └─ torch  xvdp/cuda1180-ubuntu2204_ssh_mamba_torch:latest",
        "   └─ other  xvdp/cuda1180-ubuntu2204_ssh_other:latest",
        "scratch",
        "└─ alone  alone:latest",
    ]
    rows = json.loads(berth("images", "tree", "mamba", "--json")[0])
    assert [(row["name"], row["depth"]) for row in rows] == [("", 0), ("ssh", 1), ("mamba", 2), ("torch", 3)]
    assert "Did you mean 'mamba'?" in berth("images", "tree", "manba", code=4)[1]
    repo.write("broken/Dockerfile", "FRM scratch\n")
    *_, unknown, broken = berth("images", "tree")[0].splitlines()
    assert unknown == "(not known)"
    assert broken.startswith("└─ broken  broken:latest  ! ")


def test_render_shows_and_writes(repo: Repo, berth: Berth) -> None:
    repo.layer("ssh", CUDA, "ARG a=1\n")
    repo.write("images/ssh/file.txt", "x")
    before = tree_hash(repo.path)
    out, _ = berth("images", "render", "ssh", "--arg", "a=2")
    assert "image       xvdp/cuda1180-ubuntu2204_ssh:latest" in out.splitlines()
    assert "arg a       2  (command line)" in out.splitlines()
    assert "FROM ${baseimage}" in out.splitlines()
    assert "  file.txt" in out.splitlines()
    [told] = json.loads(berth("images", "render", "ssh", "--arg", "a=2", "--json")[0])
    data = told["data"]
    assert (data["recipe"], data["base"], data["args"]["a"]) == ("ssh", CUDA, "2")
    assert "file.txt" in data["context"] and data["dockerfile"].startswith("ARG baseimage")
    assert {"what": "arg a", "value": "2", "source": "command line"} in data["origins"]
    target = repo.path.parent / "out"
    berth("images", "render", "ssh", "--into", str(target))
    assert (target / "context/file.txt").read_text() == "x"
    assert (target / "Dockerfile").read_text() == (repo.path / "images/ssh/Dockerfile").read_text()
    assert "exists already" in berth("images", "render", "ssh", "--into", str(target), code=2)[1]
    assert tree_hash(repo.path) == before
    assert list((repo.path.parent / "cache/staged").iterdir()) == []
    assert "is no build argument" in berth("images", "render", "ssh", "--arg", "a", code=2)[1]


def test_new_and_what_it_says_next(repo: Repo, berth: Berth, tmp_path: Path) -> None:
    out, err = berth("images", "new", "mamba", "mamba", "--base", "debian:12")
    assert "berth images render mamba" in out + err
    assert "base: debian:12" in (repo.path / "images/mamba/berth.yaml").read_text()
    assert "FROM ${baseimage}" in berth("images", "render", "mamba")[0]
    assert "Possible is: a-b" in berth("images", "new", "ssh", "A B", code=2)[1]
    (other := tmp_path / "my recipes").mkdir()
    said = "".join(berth("images", "new", "mamba", "mamba", "--root", str(other)))
    command = said.partition("Look at it: berth ")[2].splitlines()[0]
    assert "FROM" in berth(*shlex.split(command))[0]
    assert berth("--read-only", "images", "new", "ssh", "x", code=5)[1]


def test_who_reads_only_the_beginning_is_told_of_no_bug(repo: Repo, berth: Berth) -> None:
    repo.layer("ssh", CUDA, "".join(f"RUN echo {number} {'x' * 400}\n" for number in range(300)))
    command = f"{sys.executable} -m tui images render ssh | head -n 1; echo ${{PIPESTATUS[0]}}"
    where = Path(__file__).parents[3]
    environment = berth.environment()
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, env=environment, cwd=where, check=True
    )
    assert done.stderr == ""
    assert done.stdout.splitlines()[0].startswith("recipe") and done.stdout.splitlines()[1] == "141"
