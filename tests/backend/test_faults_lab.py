"""What goes wrong in the middle, on real hosts and by the real program: nothing half done stays."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab import Host, HostSpec, Lab, parts
from tests.lab.machine import wait_for

pytestmark = pytest.mark.lab

WORK = "trap 'sleep 3; exit 0' TERM; while :; do sleep 0.05; done"
"""It takes its time to stop: enough to be in the middle of that."""
BIG = 150
"""Megabytes of what is copied: enough to be in the middle of it."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    parts.require()
    hosts = [HostSpec("h1"), HostSpec("h2", disk=2 << 30)]
    with Lab(tmp_path_factory.mktemp("faults") / "lab", hosts) as lab:
        host = lab.host("h1")
        fill = ["dd", "if=/dev/urandom", "of=/big", "bs=1M", f"count={BIG}"]
        host.docker("run", "--name", "big", "busybox", *fill)
        host.docker("commit", "big", "test/big:1")
        host.docker("rm", "big")
        yield lab


@pytest.fixture
def h1(lab: Lab) -> Iterator[Host]:
    """A host with a container `box` that holds something big."""
    host = lab.host("h1")
    host.docker("run", "-d", "--name", "box", "test/big:1", "sh", "-c", WORK)
    yield host
    for each in lab.hosts.values():
        if ids := each.docker("ps", "-aq").split():
            each.docker("rm", "-f", *ids)
    lab.host("h2").docker("rmi", "-f", "test/big:1", check=False)


Start = Callable[..., subprocess.Popen]


@pytest.fixture
def start(lab: Lab, tmp_path: Path) -> Iterator[Start]:
    env = {**os.environ, "BERTH_CONFIG_DIR": str(lab.config_dir), "BERTH_STATE_DIR": str(tmp_path / "state")}
    started: list[subprocess.Popen] = []

    def go(*words: str) -> subprocess.Popen:
        child = subprocess.Popen(
            [sys.executable, "-m", "tui", *words],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(child)
        return child

    yield go
    for child in started:
        if child.poll() is None:
            child.kill()
        child.communicate()


def picture(host: Host) -> tuple[list[str], list[str]]:
    """Containers with their state, and images, also nameless ones."""
    containers = host.docker("ps", "-a", "--format", "{{.ID}} {{.Names}} {{.State}}").splitlines()
    images = host.docker("images", "-a", "--format", "{{.ID}} {{.Repository}}:{{.Tag}}").splitlines()
    return sorted(containers), sorted(images)


def ours(host: Host) -> list[str]:
    """What berth runs on a host, but for its agent."""
    lines = host.run(["ps", "-eo", "args"]).stdout.splitlines()
    words = ("find_keys", "save_layers", "docker -H", "SOCKET API_VERSION", "Find private keys")
    return [line for line in lines if any(word in line for word in words)]


def cut(host: Host) -> None:
    """All SSH connections to it end at once; new ones are welcome."""
    sessions = "ps -eo pid,args | grep 'sshd: ' | grep -v -e listener -e grep | while read -r pid rest"
    host.run(["sh", "-c", f"{sessions}; do kill -9 $pid; done"], check=False)


def named(host: Host, name: str) -> Callable[[], bool]:
    """Whether there is a container that has a name like that."""
    return lambda: name in host.docker("ps", "-a", "--format", "{{.Names}}")


def in_the_middle(child: subprocess.Popen, reached: Callable[[], bool], what: str) -> None:
    def look() -> bool:
        assert child.poll() is None, (what, child.communicate())
        return reached()

    wait_for(look, what)


Fault = Callable[[subprocess.Popen, Host], None]


def lose(child: subprocess.Popen, host: Host) -> None:
    cut(host)


def interrupt(child: subprocess.Popen, host: Host) -> None:
    child.send_signal(signal.SIGINT)


FAULTS = pytest.mark.parametrize(
    ("fault", "codes"), [(lose, {1, 3}), (interrupt, {130})], ids=["link", "ctrl-c"]
)


@FAULTS
def test_a_copy_out(h1: Host, start: Start, tmp_path: Path, fault: Fault, codes: set[int]):
    out = tmp_path / "out"
    out.mkdir()
    before = picture(h1)
    child = start("cp", "h1/box:/big", str(out))
    in_the_middle(child, lambda: bool(list(out.iterdir())), "the copy to begin")
    fault(child, h1)
    assert child.wait(40) in codes, child.communicate()
    assert list(out.iterdir()) == []
    assert picture(h1) == before


@FAULTS
def test_a_copy_in(h1: Host, start: Start, tmp_path: Path, fault: Fault, codes: set[int]):
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(8 << 30)
    before = picture(h1)
    child = start("cp", str(tmp_path / "huge"), "h1/box:/root/")
    landed = ["find", "/var/lib/docker", "-name", "huge"]  # the engine answers nothing about it meanwhile
    in_the_middle(child, lambda: bool(h1.run(landed, check=False).stdout.strip()), "the copy to begin")
    fault(child, h1)
    assert child.wait(60) in codes, child.communicate()
    assert h1.run(["docker", "exec", "box", "ls", "-A", "/root"]).stdout == ""
    assert picture(h1) == before


@FAULTS
def test_an_image_saved(h1: Host, start: Start, tmp_path: Path, fault: Fault, codes: set[int]):
    out = tmp_path / "out"
    out.mkdir()
    child = start("image", "save", "test/big:1", str(out / "x.tar.gz"), "--host", "h1", "--no-check")
    in_the_middle(child, lambda: bool(list(out.iterdir())), "the file to begin")
    fault(child, h1)
    assert child.wait(40) in codes, child.communicate()
    assert list(out.iterdir()) == []


@FAULTS
@pytest.mark.parametrize("side", ["h1", "h2"])
def test_an_image_copied(lab: Lab, h1: Host, start: Start, fault: Fault, codes: set[int], side: str):
    other = lab.host("h2")
    before = picture(other)
    child = start("image", "copy", "test/big:1", "--host", "h1", "--to", "h2")
    in_the_middle(child, lambda: bool(ours(h1)), "the image to be written")
    fault(child, lab.host(side))
    assert child.wait(60) in codes, child.communicate()
    wait_for(lambda: picture(other) == before, "nothing of it to be on h2")
    wait_for(lambda: ours(h1) == [], "nothing of ours to run on h1")


@FAULTS
def test_a_container_made_again(h1: Host, start: Start, fault: Fault, codes: set[int]):
    """The old one is stopped by then: it comes back, over a new connection where the old one is lost."""
    before = picture(h1)
    child = start("recreate", "h1/box", "--env", "A=1", "--yes")
    in_the_middle(child, named(h1, "box-new-"), "the new one to be made and the old one to be stopped")
    fault(child, h1)
    assert child.wait(90) in codes, child.communicate()
    assert picture(h1) == before


@FAULTS
def test_a_container_pushed_as_image(h1: Host, start: Start, fault: Fault, codes: set[int]):
    before = picture(h1)
    child = start("push-image", "h1/box", "test/pushed:1", "--no-push")
    in_the_middle(child, named(h1, "berth-flatten-"), "it to be flattened")
    fault(child, h1)
    assert child.wait(90) in codes, child.communicate()
    wait_for(lambda: ours(h1) == [], "nothing of ours to run")
    assert picture(h1) == before, child.communicate()


def test_a_full_disk_of_a_host(lab: Lab, h1: Host, start: Start):
    full = lab.host("h2")
    full.docker("run", "-d", "--name", "small", "busybox", "sh", "-c", WORK)
    before = picture(full)
    full.fill_disk()
    try:
        copy = start("image", "copy", "test/big:1", "--host", "h1", "--to", "h2")
        assert copy.wait(90) == 1
        assert "no space left" in copy.communicate()[1].lower()
        for words in (["commit", "h2/small", "test/x:1"], ["recreate", "h2/small", "--env", "A=1", "--yes"]):
            child = start(*words)
            said = child.communicate(timeout=90)
            assert child.returncode == 1 and "no space left" in said[1].lower(), (words, said)
    finally:
        full.free_disk()
    assert picture(full) == before


def test_a_list_that_is_watched_goes_on_after_the_link_was_lost(h1: Host, start: Start):
    child = start("ps", "--host", "h1", "--json", "--watch")
    assert child.stdout is not None
    first = json.loads(child.stdout.readline())
    assert [row["name"] for row in first] == ["box"]
    cut(h1)
    h1.docker("rename", "box", "other")
    while [row["name"] for row in json.loads(child.stdout.readline())] != ["other"]:
        pass
    child.send_signal(signal.SIGINT)
    assert child.wait(20) == 130
