"""What `--json` prints of an action that found something out, and contexts made with all their values."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from backend.config import load
from tests import program
from tests.lab import Lab


def run(config: Path, state: Path, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "BERTH_CONFIG_DIR": str(config), "BERTH_STATE_DIR": str(state)}
    return program.berth(*words, env=env, code=code)


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


@pytest.mark.lab
def test_what_runs_inside_and_what_a_context_is_are_data(lab: Lab, tmp_path: Path) -> None:
    host, config = lab.host("h1"), tmp_path / "config"
    shutil.copytree(lab.config_dir, config)
    (config / "contexts").mkdir(exist_ok=True)
    (config / "contexts/work.yaml").write_text(
        "{host: h1, image: busybox, container: told, env: {A: secret}}"
    )

    def data(*words: str, code: int = 0) -> dict:
        (found,) = json.loads(run(config, tmp_path, *words, code=code).stdout)
        return found

    missing = data("context", "show", "--json", "work")["data"]
    assert (missing["image"]["there"], missing["container"]["state"]) == (True, "missing")
    assert missing["context"]["image"] == "busybox" and missing["context"]["env"] == ["A"]
    python = "#!/bin/sh\necho 'python: 3.0'; echo 'nvidia driver: 1, A'; echo '2, B'; echo 'PATH: a: b'"
    host.docker("run", "-d", "--name", "told", "-e", "A=secret", "--cpus", "1", "busybox", "sleep", "1d")
    try:
        host.docker("exec", "told", "sh", "-c", f'echo "{python}" >/bin/python3; chmod +x /bin/python3')
        told = data("context", "show", "--json", "work")
        assert "output" not in told and "secret" not in json.dumps(told)
        container = told["data"]["container"]
        assert (container["state"], container["inside"]) == ("running", [])
        assert container["started_at"].endswith("Z") and container["differences"][0]["what"]
        named = {"python": "3.0", "nvidia driver": "1, A\n2, B", "PATH": "a: b"}
        assert data("envs", "--json", "h1/told")["data"] == named
        done = data("exec", "--json", "h1/told", "sh", "-c", "echo one; echo two; exit 3", code=3)
        assert (done["data"], done["output"], done["ok"]) == ({"exit_code": 3}, ["one", "two"], False)
        assert "output" not in data("exec", "--json", "h1/told", "true")
    finally:
        host.docker("rm", "-f", "told")


def test_a_context_is_made_with_variables_cpus_and_the_prepared_folders(tmp_path: Path) -> None:
    words = ("context", "new", "work", "--host", "local", "--image", "busybox", "--gpus", "2")
    run(tmp_path, tmp_path, *words, "--cpuset", "auto", "-e", "A=1", "--env", "B=x=y", "--folders")
    context = load(tmp_path).context("work")
    assert (context.cpuset, context.env) == ("auto", {"A": "1", "B": "x=y"})
    assert context.mounts == ("~/shared:/root/shared", "~/sharedump:/root/sharedump")
    said = run(tmp_path, tmp_path, *words[:2], "other", *words[3:], "--env", "SECRET", code=2).stderr
    assert "is not NAME=VALUE" in said
    run(tmp_path, tmp_path, *words[:2], "odd", *words[3:], "--cpuset", "everything", code=2)
