"""What takes the rights of root on a host, by the real sudo: disks read and cleared, files given away."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab import Host, HostSpec, Lab, parts
from tests.lab.machine import wait_for

pytestmark = pytest.mark.lab

Berth = Callable[..., subprocess.CompletedProcess]
RULE = "/etc/sudoers.d/alice"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    parts.require("sudo")
    with Lab(tmp_path_factory.mktemp("sudo") / "lab", [HostSpec("h1", engine="none")]) as lab:
        yield lab


@pytest.fixture
def h1(lab: Lab) -> Iterator[Host]:
    """Alice may do everything there without a password; root has a folder that nobody else may look into."""
    host = lab.host("h1")
    host.put(RULE, "alice ALL=(ALL) NOPASSWD: ALL\n", mode=0o440)
    host.put("/srv/closed/it's big", b"x" * 3_000_000)
    host.run(["sh", "-c", "chmod 700 /srv/closed; mkdir -p /srv/team/sub; touch /srv/team/sub/roots"])
    yield host
    host.run(["rm", "-rf", RULE, "/srv/closed", "/srv/team"])


@pytest.fixture
def berth(lab: Lab, tmp_path: Path) -> Berth:
    own = {"BERTH_CONFIG_DIR": str(lab.config_dir), "BERTH_STATE_DIR": str(tmp_path / "state")}

    def run(*words: str, code: int = 0) -> subprocess.CompletedProcess:
        done = subprocess.run(
            [sys.executable, "-m", "tui", *words],
            capture_output=True,
            text=True,
            env={**os.environ, **own},
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert done.returncode == code, (done.stdout, done.stderr)
        return done

    return run


def owner(host: Host, path: str) -> str:
    return host.run(["stat", "-c", "%U:%G", path]).stdout.strip()


def test_disks_are_read_and_cleared_as_root(h1: Host, berth: Berth) -> None:
    plain = berth("disk", "top", "h1:/srv")
    assert "/srv/closed (Permission denied)" in plain.stderr and "it's big" not in plain.stdout
    assert "/srv/closed/it's big" in berth("disk", "top", "h1:/srv", "--sudo").stdout
    file = "h1:/srv/closed/it's big"
    berth("disk", "remove", file, "--yes", code=1)
    (shown,) = json.loads(berth("disk", "remove", file, "--sudo", "--dry-run", "--json").stdout)
    assert shown["ok"] and h1.run(["ls", "/srv/closed"]).stdout
    assert "removed" in berth("disk", "remove", file, "--sudo", "--yes").stdout
    assert h1.run(["ls", "/srv/closed"]).stdout == ""


def test_what_root_makes_becomes_alices_and_stays_so(h1: Host, berth: Berth) -> None:
    watch = ("ownership", "watch", "h1", "/srv/team")
    berth(*watch, "--once", "--yes")
    assert owner(h1, "/srv/team/sub/roots") == "alice:alice"
    berth(*watch, "--owner", "bob", "--group", "alice", "--yes")
    try:
        assert owner(h1, "/srv/team/sub/roots") == "bob:alice"
        h1.run(["sh", "-c", "mkdir /srv/team/new; touch /srv/team/new/later; chown -h 0:0 /srv/team/new"])
        wait_for(lambda: owner(h1, "/srv/team/new/later") == "bob:alice", "the new file to be given to bob")
        assert "/srv/team" in berth("ownership", "list").stdout
    finally:
        berth("ownership", "stop", "h1")
    wait_for(lambda: "work()" not in h1.run(["ps", "-eo", "args"]).stdout, "its worker to end")
    h1.run(["touch", "/srv/team/after"])
    assert owner(h1, "/srv/team/after") == "root:root"


def test_where_sudo_asks_for_a_password_nothing_is_done_and_it_is_said(h1: Host, berth: Berth) -> None:
    h1.put(RULE, "alice ALL=(ALL) ALL\n", mode=0o440)
    said = berth("disk", "top", "h1:/srv", "--sudo", code=5).stderr
    assert "sudo needs a password there" in said and "Leave out --sudo" in said
    berth("disk", "remove", "h1:/srv/closed/it's big", "--sudo", "--yes", code=5)
    said = berth("ownership", "watch", "h1", "/srv/team", "--once", "--yes", code=1).stderr
    assert "only root may give files to somebody" in said and "a password is required" in said
    assert owner(h1, "/srv/team/sub/roots") == "root:root" and "big" in h1.run(["ls", "/srv/closed"]).stdout
