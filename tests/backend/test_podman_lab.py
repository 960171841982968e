"""A Podman host behind sshd, by the real program: what is done to containers there works as with Docker."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests import program
from tests.backend.terminal.driver import Driven
from tests.lab import Host, Lab
from tests.lab.machine import wait_for

pytestmark = pytest.mark.lab

Berth = Callable[..., subprocess.CompletedProcess]
PROMPT = b"# "
WORK = "trap 'exit 0' TERM; echo first $KIND; n=0; while :; do n=$((n+1)); echo line $n; sleep 0.05; done"


@pytest.fixture
def env(lab: Lab, tmp_path: Path) -> dict[str, str]:
    config = tmp_path / "config"
    shutil.copytree(lab.config_dir, config)
    own = {"BERTH_CONFIG_DIR": str(config), "BERTH_STATE_DIR": str(tmp_path / "state"), "HOME": str(tmp_path)}
    return {**os.environ, **own}


@pytest.fixture
def berth(env: dict[str, str]) -> Berth:
    def run(*words: str, code: int = 0) -> subprocess.CompletedProcess:
        return program.berth(*words, env=env, code=code)

    return run


@pytest.fixture
def terminal(env: dict[str, str], p1: Host) -> Iterator[Callable[..., Driven]]:
    """The real program on a terminal of its own."""
    with ExitStack() as stack:

        def start(*words: str) -> Driven:
            argv = [sys.executable, "-m", "tui", *words]
            return stack.enter_context(Driven(argv, env=env))

        yield start


@pytest.fixture
def p1(lab: Lab) -> Iterator[Host]:
    """The Podman host with a container `pod` that runs; as it was, afterwards."""
    host = lab.host("p1")
    images = set(host.docker("images", "--format", "{{.Repository}}:{{.Tag}}").split())
    host.docker("run", "-d", "--name", "pod", "-e", "KIND=podman", "busybox", "sh", "-c", WORK)
    yield host
    host.run(["tmux", "kill-server"], user="alice", check=False)
    host.docker("rm", "-fa", "-t", "0")
    for name in set(host.docker("images", "--format", "{{.Repository}}:{{.Tag}}").split()) - images:
        host.docker("rmi", "-f", name)


def inspect(host: Host, name: str = "pod") -> dict[str, Any]:
    return dict(json.loads(host.docker("inspect", name))[0])


def status(host: Host) -> str:
    return str(inspect(host)["State"]["Status"])


def test_it_is_stopped_started_frozen_and_removed(p1: Host, berth: Berth):
    assert berth("stop", "p1/pod", "--yes").stdout == "stopped pod on p1\n"
    assert status(p1) == "exited"
    assert berth("start", "p1/pod").stdout == "started pod on p1\n"
    berth("pause", "p1/pod")
    assert status(p1) == "paused"
    berth("unpause", "p1/pod")
    berth("restart", "p1/pod", "--yes")
    assert status(p1) == "running"
    berth("kill", "p1/pod", "--yes")
    wait_for(lambda: status(p1) == "exited", "the killed container to end")
    berth("rename", "p1/pod", "other")
    berth("rm", "p1/pod", "--yes", code=4)
    berth("rm", "p1/other", "--yes")
    assert p1.docker("ps", "-aq") == ""


def test_exec_top_and_files(p1: Host, berth: Berth, tmp_path: Path):
    options = ["--env", "A=$(id) 'x'", "--workdir", "/tmp"]
    said = berth("exec", "p1/pod", *options, "--", "sh", "-c", "echo $A $PWD; exit 3", code=3)
    assert said.stdout == "$(id) 'x' /tmp\n"
    assert "sleep" in berth("top", "p1/pod").stdout
    (tmp_path / "a b").write_text("x")
    berth("cp", str(tmp_path / "a b"), "p1/pod:/root/")
    berth("cp", "p1/pod:/root/a b", str(tmp_path / "back"))
    assert (tmp_path / "back").read_text() == "x"


def test_its_log_is_read_and_followed(p1: Host, berth: Berth, env: dict[str, str]):
    wait_for(lambda: "line 3" in p1.docker("logs", "pod"), "some lines")
    lines = berth("logs", "p1/pod", "--tail", "all").stdout.splitlines()
    assert lines[:3] == ["first podman", "line 1", "line 2"]
    assert len(berth("logs", "p1/pod", "--tail", "2").stdout.splitlines()) == 2
    words = [sys.executable, "-m", "tui", "logs", "p1/pod", "--tail", "1", "-f"]
    with subprocess.Popen(words, env=env, stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        numbers = [int(following.stdout.readline().split()[1]) for _ in range(6)]
        following.terminate()
    assert numbers == list(range(numbers[0], numbers[0] + 6))


def test_it_is_entered_left_and_found_again(p1: Host, terminal: Callable[..., Driven]):
    first = terminal("enter", "p1/pod")
    first.expect(PROMPT)
    first.send("kept=here$((40 + 2)); echo $KIND\r")
    first.expect(b"podman\r\n")
    first.send(b"\x02d")
    assert first.wait() == 0
    again = terminal("enter", "p1/pod")
    again.expect(PROMPT)
    again.send("echo $kept; exit\r")
    again.expect(b"here42\r\n")
    assert again.wait() == 0


def test_a_plain_shell_has_its_size_and_gives_its_exit_code(p1: Host, terminal: Callable[..., Driven]):
    plain = terminal("sh", "p1/pod")
    plain.expect(PROMPT)
    plain.resize(101, 33)
    plain.send("sleep 0.2; stty size; exit 41\r")
    plain.expect(b"33 101")
    assert plain.wait() == 41


def test_it_is_attached_to_and_left_running(p1: Host, terminal: Callable[..., Driven]):
    p1.docker("run", "-dit", "--name", "tty", "busybox", "sh")
    it = terminal("attach", "p1/tty")
    it.expect(b"Ctrl")  # how to leave is said first
    it.send("\r")
    it.expect(PROMPT)
    it.send("echo at-$((1 + 1))\r")
    it.expect(b"at-2\r\n")

    def leave() -> bool:
        it.send(b"\x10")
        it._pump(0.3)  # Podman knows its keys only one by one, as people press them
        it.send(b"\x11")
        it._pump(0.3)
        return os.waitid(os.P_PID, it.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    wait_for(leave, "the terminal to be given back")
    assert it.wait() == 0
    assert inspect(p1, "tty")["State"]["Running"]


def test_it_is_committed_and_made_again(p1: Host, berth: Berth):
    berth("exec", "p1/pod", "--", "sh", "-c", "echo kept >/root/file")
    berth("commit", "p1/pod", "test/pod:1")
    options = ["--image", "test/pod:1", "--publish", "9123:80", "--env", "KIND=new", "--mount", "/tmp:/data"]
    said = berth("recreate", "p1/pod", *options, "--yes")
    assert "the old one was removed" in said.stdout
    assert berth("exec", "p1/pod", "--", "sh", "-c", "cat /root/file; echo $KIND; ls -d /data").stdout == (
        "kept\nnew\n/data\n"
    )
    assert inspect(p1)["HostConfig"]["PortBindings"]["80/tcp"] == [
        {"HostIp": "127.0.0.1", "HostPort": "9123"}
    ]
    assert p1.docker("ps", "-a", "--format", "{{.Names}}") == "pod"


def test_it_becomes_one_layer_without_secrets_and_keeps_its_words(p1: Host, berth: Berth, tmp_path: Path):
    words = {"ODD": "$x \"y\" \\z 'q' # [b]", "PLAIN": "1"}
    options = [word for pair in words.items() for word in ("-e", "=".join(pair))]
    p1.docker("run", "-d", "--name", "odd", *options, "--label", "team=a \"b\"", "-w", "/tmp", "-u", "0",
              "busybox", "sleep", "1d")  # fmt: skip
    berth("exec", "p1/odd", "--", "sh", "-c", "echo secret >/root/.bash_history; echo kept >/kept")
    berth("push-image", "p1/odd", "test/flat:1", "--no-push")
    config = inspect(p1, "test/flat:1")
    assert len(config["RootFS"]["Layers"]) == 1
    assert {"=".join(pair) for pair in words.items()} <= set(config["Config"]["Env"])
    assert config["Config"]["Labels"]["team"] == 'a "b"' and config["Config"]["WorkingDir"] == "/tmp"
    said = p1.docker("run", "--rm", "test/flat:1", "sh", "-c", "cat /kept; ls -A /root")
    assert said.split() == ["kept"]
    names = p1.docker("ps", "-a", "--format", "{{.Names}}").split()
    assert sorted(names) == ["odd", "pod"] and "berth" not in p1.docker("images")
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    berth("cp", str(key), "p1/pod:/root/id")
    assert "/root/id" in berth("private", "check", "p1/pod", code=5).stderr
    berth("commit", "p1/pod", "test/dirty:1")
    assert (
        "/root/id"
        in berth("image", "save", "test/dirty:1", str(tmp_path / "x.tar"), "--host", "p1", code=5).stderr
    )
    berth("image", "save", "test/flat:1", str(tmp_path / "x.tar"), "--host", "p1")
    p1.docker("rmi", "test/flat:1")
    berth("image", "load", str(tmp_path / "x.tar"), "--host", "p1")
    assert inspect(p1, "test/flat:1")["Config"]["WorkingDir"] == "/tmp"


def test_gpus_are_refused_and_not_forgotten(p1: Host, berth: Berth):
    """This Podman would make the container and leave the GPUs out."""
    before = inspect(p1)["Id"]
    said = berth("recreate", "p1/pod", "--gpus", "1", "--yes", code=1).stderr
    assert "gives no GPUs" in said and "podman create --device" in said
    assert inspect(p1)["Id"] == before and inspect(p1)["State"]["Running"]
    berth("context", "new", "gpu", "--host", "p1", "--image", "localhost/busybox:latest", "--gpus", "2")
    assert "gives no GPUs" in berth("up", "gpu", code=1).stderr
    assert p1.docker("ps", "-a", "--format", "{{.Names}}") == "pod"


def test_a_context_there_lives_its_life(p1: Host, berth: Berth):
    berth(
        "context", "new", "ctx", "--host", "p1", "--image", "localhost/busybox:latest", "--mount", "~:/home"
    )
    assert "created and started ctx on p1" in berth("up", "ctx").stdout
    assert "runs already" in berth("up", "ctx").stdout
    assert "as the context says" in "".join((done := berth("context", "drift", "ctx")).stdout + done.stderr)
    berth("down", "ctx", "--yes", "--grace", "0")
    assert not inspect(p1, "ctx")["State"]["Running"]
    berth("context", "rm", "ctx", "--yes", "--container")
    assert "ctx" not in p1.docker("ps", "-a", "--format", "{{.Names}}")
