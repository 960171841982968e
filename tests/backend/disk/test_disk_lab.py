"""Disks of real hosts by the real program: engines, trees, two users, pruning, removing; faults."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab import Host, HostSpec, Lab
from tests.lab.machine import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]
MIB = 1 << 20
PATIENCE = 90.0
SCANNER = "zlib.*decompress"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(
        tmp_path_factory.mktemp("disk") / "lab", [HostSpec("h1"), HostSpec("pod", engine="podman")]
    ) as lab:
        yield lab


class Berth:
    """The real program on the lab; `pod` is read-only to the second configuration."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.config = folder / "config"
        self.config.mkdir()
        for each in lab.config_dir.iterdir():
            if each.is_file():
                (self.config / each.name).write_bytes(each.read_bytes())
        (self.config / "key").chmod(0o600)
        places = {"BERTH_STATE_DIR": "state", "BERTH_CACHE_DIR": "cache", "HOME": "."}
        self.env = {**os.environ, **{name: str(folder / path) for name, path in places.items()}}
        self.env["BERTH_CONFIG_DIR"] = str(self.config)

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "tui", "disk", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.env,
        )

    def __call__(self, *words: str, code: int = 0) -> str:
        with self.start(*words) as process:
            out, err = process.communicate(timeout=120)
        assert process.returncode == code, (out, err)
        return out + err if code else out

    def json(self, *words: str, code: int = 0) -> Any:
        return json.loads(self(*words, "--json", code=code))


@pytest.fixture
def berth(lab: Lab, tmp_path: Path) -> Berth:
    return Berth(lab, tmp_path)


def bury(host: Host) -> None:
    """Containers: one runs, one ended with volumes, one is a context's; unused volumes, nameless images."""
    write = "dd if=/dev/zero of={} bs=1M count={} 2>/dev/null"
    run = ["run", "--label", "berth.owner=alice", "busybox:latest", "sh", "-c"]
    host.docker(run[0], "-d", "--name", "busy", *run[1:], write.format("/busy", 1) + "; sleep 100000")
    volumes = ["-v", "/anonymous", "-v", "named:/named"]
    fill = "; ".join(write.format(path, size) for path, size in (("/big", 4), ("/anonymous/f", 2)))
    host.docker(run[0], "--name", "old", *volumes, *run[1:], fill)
    host.docker(run[0], "--name", "mine", *run[1:], write.format("/kept", 1))
    host.docker("rm", "-f", host.docker("create", "-v", "/empty", "busybox:latest"))
    host.docker("commit", "old", "test/one:1")
    host.docker("rmi", "test/one:1", check=False)
    host.docker("commit", "old")
    if host.spec.engine == "docker":
        host.put("/tmp/build/Dockerfile", "FROM scratch\nCOPY f /f\n")
        host.put("/tmp/build/f", os.urandom(3 * MIB))
        host.run(["env", "DOCKER_BUILDKIT=1", "docker", "build", "-t", "test/two:1", "/tmp/build"])
        host.docker("rmi", "test/two:1")


@pytest.mark.parametrize("name", ["h1", "pod"])
def test_what_is_pruned_was_named_and_frees_what_was_shown(lab: Lab, berth: Berth, name: str) -> None:
    host = lab.host(name)
    bury(host)
    context = {"host": name, "image": "busybox:latest", "container": "mine"}
    (berth.config / "contexts").mkdir()
    (berth.config / "contexts/mine.yaml").write_text(yaml.safe_dump(context))

    (before,) = berth.json(name, "--fresh")
    assert before["ok"] and before["engine_error"] is None
    sums = {each["kind"]: each for each in before["sums"]}
    assert sums["container"]["count"] == 3 and sums["container"]["active"] == 1
    assert {each["owner"]: each["bytes"] >= 6 * MIB for each in before["owners"]} == {"alice": True}
    root = next(each for each in before["filesystems"] if each["mount"] == "/")
    assert {"root", "home", "engine"} <= set(root["roles"]) and root["total"] > root["used"] > 0
    (again,) = berth.json(name)
    assert again["engine_age"] > 0, "the last answer is not old"
    assert again["engine"] == before["engine"]

    words = ["prune", name, "--images", "--containers", "--volumes"]
    words += ["--cache"] if host.spec.engine == "docker" else []
    (shown,) = berth.json(*words, "--dry-run")
    (plan,) = shown["data"]
    named = {(each["kind"], each["name"]) for each in plan["items"]}
    assert ("container", "old") in named and not {("container", "mine"), ("container", "busy")} & named
    assert any("mine" in line and "context" in line for line in plan["stays"])
    assert not any(each["name"] == "named" for each in plan["items"])
    assert host.docker("ps", "-aq", "--filter", "name=old"), "it was only shown"
    assert "There is nobody to ask" in berth(*words, code=5)

    (done,) = berth.json(*words, "--yes")
    (went,) = done["data"]
    assert {(each["kind"], each["name"]) for each in went["items"]} == named
    assert (went["removed"], went["freed"]) == (len(named), plan["frees"]) and not went["stayed"]
    assert sorted(host.docker("ps", "-a", "--format", "{{.Names}}").split()) == ["busy", "mine"]
    assert "named" in host.docker("volume", "ls", "-q")
    (after,) = berth.json(name)
    assert after["engine_age"] == 0.0, "what was kept is not so any more"
    for kind in ("container", "volume", "cache"):
        size = {each["kind"]: each["size"] for each in after["sums"]}[kind]
        assert sums[kind]["size"] - size == sum(
            each["frees"] for each in plan["items"] if each["kind"] == kind
        )
    (volume,) = berth.json("prune", name, "--named-volumes", "--yes")
    freed = {each["name"]: each["frees"] for each in volume["data"][0]["items"]}
    assert freed["named"] == 0 and sum(freed.values()) >= 2 * MIB, "what the container had is free now"
    host.docker("rm", "-f", "busy", "mine")


def test_a_tree_of_two_users_what_cannot_be_read_and_what_goes(lab: Lab, berth: Berth) -> None:
    host = lab.host("h1")
    script = (
        "mkdir -p /srv/data/$1/deep && dd if=/dev/zero of=/srv/data/$1/deep/f bs=1M count=$2 2>/dev/null && "
        "chown -R $1 /srv/data/$1"
    )
    for user, size in (("alice", "3"), ("bob", "5")):
        host.run(["sh", "-c", script, "sh", user, size])
    host.run(["sh", "-c", "mkdir /srv/data/closed; chmod 700 /srv/data/closed; chmod 755 /srv/data"])
    host.run(["sh", "-c", "cd /srv/data/alice && mkdir \"$(printf 'a\\377\\nb')\" && ln -s / loop"])

    found = berth.json("tree", "h1:/srv/data", "--depth", "3")
    rows = {each["name"]: each for each in found["rows"]}
    assert [each["name"] for each in found["rows"][:2]] == ["bob", "alice"]
    assert rows["bob"]["owner"] == "bob" and rows["bob"]["bytes"] >= 5 * MIB
    assert rows["bob"]["rows"][0]["rows"][0]["name"] == "f"
    assert rows["closed"]["failed"] and found["scan"]["unreadable"] == 1
    odd = next(each["name"] for each in rows["alice"]["rows"] if each["name"].startswith("a"))
    assert os.fsencode(odd) == b"a\xff\nb"
    du = int(host.run(["du", "-sxk", "/srv/data/bob"]).stdout.split()[0]) * 1024
    assert rows["bob"]["bytes"] == du

    owners = berth.json("top", "h1", "--path", "/srv/data", "--by", "owner")["rows"]
    assert [each["owner"] for each in owners[:2]] == ["bob", "alice"]
    assert owners[0]["holdings"][0][0] == "/srv/data/bob/deep"
    said = berth("notify", "h1:/srv/data", "--over", "4M", "--way", "file", "--message", "Please.", "--yes")
    assert "told bob" in said
    note = host.run(["cat", "/var/tmp/berth-disk-bob.txt"]).stdout
    assert "5.0 M below /srv/data" in note and note.endswith("Please.")

    for wrong, code in (("/var/lib/docker/overlay2", 5), ("/srv/none", 4)):
        berth("remove", f"h1:{wrong}", "--yes", code=code)
    assert "could not be removed" in berth("remove", "h1:/srv/data/bob", "--yes", code=1)
    assert host.run(["cat", "/srv/data/bob/deep/f"], check=False).returncode == 0
    host.run(["chown", "alice", "/srv/data"])
    asked = berth.json("remove", f"h1:/srv/data/alice/{odd}", "h1:/srv/data/alice", "--dry-run")
    assert asked[0]["message"] == "1 thing would go, 3.0 M free", "one is inside the other"
    berth("remove", "h1:/srv/data/alice", "--yes")
    assert sorted(host.run(["ls", "/srv/data"]).stdout.split()) == ["bob", "closed"]
    hosts = yaml.safe_load((berth.config / "hosts.yaml").read_text())
    hosts["hosts"]["h1"]["read_only"] = True
    (berth.config / "hosts.yaml").write_text(yaml.safe_dump(hosts))
    assert "read-only" in berth("remove", "h1:/srv/data/closed", "--yes", code=5)


def test_killed_in_the_middle_nothing_stays_on_the_host(lab: Lab, berth: Berth) -> None:
    host = lab.host("h1")

    def scanners() -> list[str]:
        return host.run(["pgrep", "-f", SCANNER], check=False).stdout.split()

    with berth.start("tree", "h1:/", "--all-mounts", "--for", "3600") as process:
        wait_for(lambda: scanners() or process.poll() is not None, "the scanner", seconds=PATIENCE)
        assert process.poll() is None, process.communicate()
        process.send_signal(signal.SIGKILL)
        process.communicate()
    wait_for(lambda: not scanners(), "its end", seconds=PATIENCE)


def test_an_engine_that_hangs_leaves_its_last_answer_with_its_age(lab: Lab, berth: Berth) -> None:
    host = lab.host("pod")
    (before,) = berth.json("pod")
    assert before["engine"]
    host.hang_engine()
    try:
        (found,) = berth.json("pod", "--fresh", "--timeout", "1")
        assert found["ok"] and found["filesystems"]
        assert found["engine"] == before["engine"] and found["engine_age"] > 0
        assert found["engine_error"]
    finally:
        host.thaw_engine()
