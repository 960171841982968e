"""What goes wrong around builds: links, processes, two people at once, disks, missing bases."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.backend.building.conftest import Kill, World, busy, ended, steps
from tests.lab import Host, HostSpec
from tests.lab.machine import wait_for

pytestmark = pytest.mark.lab


def runs(host: Host) -> bool:
    """Whether the step of a build of ours runs there."""
    return any("echo t $i" in line for line in busy(host))


def begun(world: World, *words: str, host: str = "h1") -> object:
    process = world.start("images", "build", *words, "--host", host)
    wait_for(lambda: runs(world.lab.host(host)), "the step to run", seconds=60)
    return process


def left_over(host: Host) -> list[str]:
    """What no build may leave: processes, containers, locks, secrets."""
    found = busy(host) + host.docker("ps", "-aq").split()
    sockets = host.run(["cat", "/proc/net/unix"]).stdout
    found += [line for line in sockets.splitlines() if "@berth-build-" in line]
    return found + host.run(["sh", "-c", "ls -d /dev/shm/berth-* 2>/dev/null; true"]).stdout.split()


@pytest.mark.parametrize("builder", ["buildkit", "classic"])
def test_a_build_whose_berth_was_killed_goes_on_and_is_found_again(world: World, kill: Kill, builder: str):
    world.recipe("slow", f"FROM busybox\nRUN {steps(8)}\n")
    h1 = world.lab.host("h1")
    process = begun(world, "slow", "--builder", builder)
    kill(process)
    assert list((world.cache / "staged").iterdir())  # it had no chance to tidy up
    build = world.build("slow", "h1")["id"]
    assert "detached" in world.berth("images", "builds", "--active").stdout
    said = world.berth("images", "follow", build)
    assert "done" in said.stdout and "t 8" in said.stderr
    image = world.build("slow", "h1")["images"][0]
    assert h1.docker("run", "--rm", image, "cat", "/whole") == "whole"
    assert world.state_of("slow", "h1") == "done"
    world.berth("images", "build", "slow", "--host", "h1")  # nothing to do, and what was left is removed
    assert not [each for each in (world.cache / "staged").iterdir() if each.is_dir()]
    assert left_over(h1) == []


def test_a_build_ends_with_its_berth_where_that_is_wished(world: World, kill: Kill):
    world.recipe("slow", f"FROM busybox\nRUN {steps(60)}\n")
    h1 = world.lab.host("h1")
    process = begun(world, "slow", "--lost", "stop")
    kill(process)
    wait_for(lambda: not busy(h1), "the build to end", seconds=40)
    assert (
        "cancelled" in world.berth("images", "builds", "-n", "1").stdout
        or world.state_of("slow", "h1") != "done"
    )
    assert left_over(h1) == []


def test_a_lost_link_is_waited_for_and_the_build_followed_to_its_end(world: World):
    world.recipe("slow", f"FROM busybox\nRUN {steps(8)}\n")
    h1 = world.lab.host("h1")
    process = begun(world, "slow")
    # the connection breaks, as it does when a laptop sleeps: sshd's sessions of alice are gone
    h1.run(["sh", "-c", "for p in $(pgrep -u alice sshd); do kill -9 $p; done"])
    out = ended(process)
    assert process.returncode == 0, out
    assert "Waiting for the host to come back" in out and "built" in out
    log = (world.state / "builds" / f"{world.build('slow', 'h1')['id']}.log").read_text()
    assert [line for line in log.splitlines() if line.startswith("t ")] == [f"t {n}" for n in range(1, 9)]


def test_a_killed_builder_is_told_and_nothing_is_left(world: World):
    world.recipe("slow", f"FROM busybox\nRUN {steps(60)}\n")
    h1 = world.lab.host("h1")
    process = begun(world, "slow")
    h1.run(["sh", "-c", "kill -9 $(pgrep -x berth-build)"])
    out = ended(process)
    assert process.returncode == 1 and "was killed" in out
    wait_for(lambda: left_over(h1) == [], "everything to be gone", seconds=40)
    world.recipe("slow", "FROM busybox\nRUN true\n")
    world.berth("images", "build", "slow", "--host", "h1")


def test_two_people_build_the_same_one_after_the_other_and_the_second_has_nothing_to_do(
    world: World, tmp_path
):
    other = tmp_path / "bob"
    shutil.copytree(world.lab.config_dir, other)
    hosts = (other / "hosts.yaml").read_text().replace("username: alice", "username: bob")
    (other / "hosts.yaml").write_text(hosts)
    world.recipe("slow", f"FROM busybox\nRUN {steps(8)}\n", berth_yaml="maintainer: us\n")
    first = begun(world, "slow")
    env = {"BERTH_CONFIG_DIR": str(other), "BERTH_STATE_DIR": str(tmp_path / "other")}
    said = world.berth("images", "build", "slow", "--host", "h1", env=env)
    assert "alice builds" in said.stderr and "nothing to do any more" in said.stderr
    out = ended(first)
    assert first.returncode == 0, out


def test_the_same_asked_for_twice_is_built_once(world: World):
    world.recipe("slow", f"FROM busybox\nRUN {steps(8)}\n")
    first = begun(world, "slow")
    said = world.berth("images", "build", "slow", "--host", "h1")
    assert "builds the same: joined" in said.stderr and "built" in said.stdout
    assert first.wait(60) == 0
    first.communicate()


def test_a_base_that_only_another_host_has_is_copied_if_that_is_agreed_to(world: World):
    h2 = world.lab.host("h2")
    h2.docker("build", "-t", "team/only:1", "-", data=b"FROM busybox\nRUN echo here > /only\n")
    world.recipe("leaf", "FROM team/only:1\nRUN cat /only > /found\n")
    said = world.berth("images", "build", "leaf", "--host", "h1", code=1)
    assert "h1 has no image team/only:1, but h2 has" in said.stderr
    said = world.berth("images", "build", "leaf", "--host", "h1", "--yes")
    assert "copying team/only:1 from h2 to h1" in said.stderr
    image = world.build("leaf", "h1")["images"][0]
    assert world.lab.host("h1").docker("run", "--rm", image, "cat", "/found") == "here"


def test_a_host_that_is_away_fails_alone(world: World):
    world.recipe("one", "FROM busybox\nRUN true\n")
    h2 = world.lab.host("h2")
    h2.stop_engine()
    try:
        world.berth("images", "build", "one", "--host", "h1", "h2", code=1)
    finally:
        h2.start_engine()
    assert world.state_of("one", "h1") == "done" and world.state_of("one", "h2") == "failed"


def test_a_full_disk_is_named_and_the_next_try_works(new_lab, tmp_path: Path):
    lab = new_lab(HostSpec("tiny", disk=1 << 30))
    world = World(lab, tmp_path)
    tiny = lab.host("tiny")
    if not (tiny.folder / "disk.img").exists():
        pytest.skip("no loop devices here: a disk cannot be filled")
    world.recipe(
        "big",
        "FROM busybox\nCOPY big /\nRUN dd if=/dev/zero of=/zeros bs=1M count=2000\n",
        big=os.urandom(1 << 20),
    )
    said = world.berth("images", "build", "big", "--host", "tiny", code=1)
    assert "o space left on device" in said.stderr and "free some room" in said.stderr.lower()
    assert world.state_of("big", "tiny") == "failed"
    wait_for(lambda: left_over(tiny) == [], "everything to be gone", seconds=40)

    tiny.fill_disk()
    world.recipe("big", "FROM busybox\nCOPY big /\nRUN true\n", big=os.urandom(4 << 20))
    said = world.berth("images", "build", "big", "--host", "tiny", code=1)
    assert "o space left" in said.stderr
    tiny.free_disk()
    world.berth("images", "build", "big", "--host", "tiny")
