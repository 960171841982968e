"""What `--json` prints of an action that found something out, and contexts made with all their values."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from backend.config import load
from tests.lab import Lab


def run(config: Path, state: Path, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "BERTH_CONFIG_DIR": str(config), "BERTH_STATE_DIR": str(state)}
    argv = [sys.executable, "-m", "tui", *words]
    done = subprocess.run(
        argv, capture_output=True, text=True, env=env, check=False, stdin=subprocess.DEVNULL
    )
    assert done.returncode == code, (done.stdout, done.stderr)
    return done


@pytest.mark.lab
def test_inspect_gives_json_not_lines_of_yaml(lab: Lab, tmp_path: Path) -> None:
    host = lab.host("h1")
    host.docker("run", "-d", "--name", "said", "--label", "team=a b", "busybox", "sleep", "1d")
    try:
        (found,) = json.loads(run(lab.config_dir, tmp_path, "inspect", "h1/said", "--json").stdout)
        assert found["ok"] and found["data"]["Config"]["Labels"] == {"team": "a b"}
        assert "output" not in found
        plain = run(lab.config_dir, tmp_path, "inspect", "h1/said", "--format", "json").stdout
        assert json.loads(plain)["Name"] == "/said"
    finally:
        host.docker("rm", "-f", "said")


def test_a_context_is_made_with_variables_cpus_and_the_prepared_folders(tmp_path: Path) -> None:
    words = ("context", "new", "work", "--host", "local", "--image", "busybox", "--gpus", "2")
    run(tmp_path, tmp_path, *words, "--cpuset", "auto", "-e", "A=1", "--env", "B=x=y", "--folders")
    context = load(tmp_path).context("work")
    assert (context.cpuset, context.env) == ("auto", {"A": "1", "B": "x=y"})
    assert context.mounts == ("~/shared:/root/shared", "~/sharedump:/root/sharedump")
    said = run(tmp_path, tmp_path, *words[:2], "other", *words[3:], "--env", "SECRET", code=2).stderr
    assert "is not NAME=VALUE" in said
    run(tmp_path, tmp_path, *words[:2], "odd", *words[3:], "--cpuset", "everything", code=2)
