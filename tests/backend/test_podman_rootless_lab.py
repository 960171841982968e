"""Podman of a person's own, without rights of root: listed, used, built with, queued on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab import Host, HostSpec, Lab, images, parts
from tests.lab.machine import wait_for
from tests.lab.root import USERS

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

Berth = Callable[..., subprocess.CompletedProcess]
RUN = f"/run/user/{USERS['alice']}"
SETUP = f"""
mount --make-rshared /
echo alice:100000:65536 | tee /etc/subuid >/etc/subgid
mkdir -p {RUN}/podman && chown -R alice: {RUN} && chmod 700 {RUN}
"""
"""What a login by systemd and `adduser` see to."""
SERVICE = (
    f"setsid podman system service --time=0 unix://{RUN}/podman/podman.sock >/tmp/said 2>&1 </dev/null &"
)
SLOW = "i=0; while [ $i -lt 600 ]; do i=$((i+1)); echo t $i; sleep 1; done"


class Alice:
    """What she does on the host, by ssh: what is put there from outside has no control groups of it."""

    def __init__(self, lab: Lab, host: Host) -> None:
        strict = [
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
            "-o",
            "LogLevel=ERROR",
        ]
        self._ssh = ["ssh", *strict, "-i", str(lab.key), f"alice@{host.address}"]

    def __call__(self, script: str, *, data: bytes = b"", check: bool = True) -> str:
        line = f"export XDG_RUNTIME_DIR={RUN}; {script}"
        done = subprocess.run([*self._ssh, line], input=data, capture_output=True, timeout=120, check=False)
        assert not check or done.returncode == 0, (script, done.stderr)
        return done.stdout.decode()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    parts.require("newuidmap", "slirp4netns")
    with Lab(tmp_path_factory.mktemp("rootless") / "lab", [HostSpec("r1", engine="none")]) as lab:
        lab.host("r1").run(["sh", "-ec", SETUP])
        yield lab


@pytest.fixture(scope="module")
def alice(lab: Lab) -> Alice:
    found = Alice(lab, lab.host("r1"))
    changes = '--change ENV=PATH=/bin --change CMD=\'["sleep","1000"]\''
    found(f"podman import {changes} - busybox:latest", data=images.busybox().read_bytes())
    found(SERVICE)
    wait_for(
        lambda: found(f"test -S {RUN}/podman/podman.sock && echo there", check=False) != "", "her Podman"
    )
    return found


@pytest.fixture
def env(lab: Lab, tmp_path: Path) -> dict[str, str]:
    own = {"BERTH_CONFIG_DIR": str(lab.config_dir), "BERTH_STATE_DIR": str(tmp_path / "state")}
    return {**os.environ, **own, "BERTH_CACHE_DIR": str(tmp_path / "cache"), "HOME": str(tmp_path)}


@pytest.fixture
def berth(env: dict[str, str], tmp_path: Path) -> Berth:
    def run(*words: str, code: int = 0) -> subprocess.CompletedProcess:
        done = subprocess.run(
            [sys.executable, "-m", "tui", *words],
            capture_output=True,
            text=True,
            env={**env, "PYTHONPATH": str(Path(__file__).parents[2])},
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert done.returncode == code, (done.stdout, done.stderr)
        return done

    return run


def test_her_engine_is_found_and_its_containers_are_listed_and_used(alice: Alice, berth: Berth) -> None:
    alice("podman run -d --name hers busybox sh -c 'echo begun; sleep 1000'")
    try:
        (host,) = json.loads(berth("hosts", "--json").stdout)
        assert (host["engine"], host["containers_running"]) == ("podman", 1)
        (row,) = json.loads(berth("ps", "--json").stdout)
        assert (row["name"], row["state"], row["image"]) == ("hers", "running", "localhost/busybox:latest")
        assert "begun" in berth("logs", "r1/hers").stdout
        assert berth("exec", "r1/hers", "--", "id", "-u").stdout == "0\n"
        berth("kill", "r1/hers", "--yes")
        (row,) = json.loads(berth("ps", "--json").stdout)
        assert row["state"] == "exited"
    finally:
        alice("podman rm -fa -t 0")


def test_a_build_there_and_a_job_that_writes_what_is_hers(alice: Alice, berth: Berth, tmp_path: Path) -> None:
    recipe = tmp_path / "quick"
    recipe.mkdir()
    (recipe / "note").write_text("from here")
    (recipe / "Dockerfile").write_text("FROM busybox:latest\nCOPY note /note\nRUN id -u >/who\n")
    berth("images", "build", "quick", "--root", str(tmp_path), "--host", "r1")
    assert alice("podman run --rm quick cat /note /who") == "from here0\n"
    alice("mkdir -p data")
    words = ["--host", "r1", "--image", "quick", "-v", "/home/alice/data:/data", "--"]
    berth("run", *words, "sh", "-c", "cat /note >/data/made; exit 7", code=7)
    assert alice("stat -c %U data/made; cat data/made") == "alice\nfrom here"
    assert alice("podman ps -aq") == ""
    assert alice(f"stat -c %U:%a /var/tmp/berth-{USERS['alice']}") == "alice:2770\n"


def test_a_build_that_is_cancelled_leaves_nothing_there(
    alice: Alice, env: dict[str, str], tmp_path: Path
) -> None:
    recipe = tmp_path / "slow"
    recipe.mkdir()
    (recipe / "Dockerfile").write_text(f"FROM busybox:latest\nRUN {SLOW}\n")
    words = ["images", "build", "slow", "--root", str(tmp_path), "--host", "r1"]
    process = subprocess.Popen([sys.executable, "-m", "tui", *words], env=env, stderr=subprocess.DEVNULL)

    def running() -> bool:
        assert process.poll() is None or process.returncode == 130
        return "/bin/sh -c i=0" in alice("ps -eo args")

    wait_for(running, "its step", seconds=90)
    process.send_signal(signal.SIGINT)
    assert process.wait(90) == 130
    wait_for(lambda: not running(), "the step to be ended")
    assert alice("podman ps -aq --external") == ""
    assert "slow" not in alice("podman images")
