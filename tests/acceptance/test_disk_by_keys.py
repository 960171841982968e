"""Who holds the most of a host's disk is found, and room is got back, by keys alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.acceptance.terminal import Terminal, match
from tests.lab import Host

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]


def test_the_biggest_user_is_found_and_what_nothing_uses_is_pruned(
    hosts: list[Host], terminal: Callable[..., Terminal]
) -> None:
    host = hosts[0]
    for user, size in (("alice", "2"), ("bob", "9")):
        script = "mkdir -p /srv/$1 && dd if=/dev/zero of=/srv/$1/runs bs=1M count=$2 && chown -R $1 /srv/$1"
        host.run(["sh", "-c", script, "sh", user, size])
    host.docker("run", "--name", "spent", "busybox:latest", "sh", "-c", "dd if=/dev/zero of=/f bs=1M count=5")
    it = terminal(size=(150, 46))
    it.line("berth")
    it.until("3 hosts · ", seconds=60)
    it.keys("/")
    it.line(host.name)
    it.keys("D")
    it.until(match(r"root .*/ .*T|root .*/ .*G"), seconds=60)
    it.until(match(r"containers +\d+, \d+ in use"), seconds=60)
    it.until(match(r"srv/ +11\.0 M"), seconds=60)
    it.keys("/")
    it.line("srv")
    it.keys("Enter")
    it.until(f"{host.name}:/srv")
    it.until(match(r"bob/ +9\.0 M"))
    it.keys("w")
    it.until(match(r"bob +9\.0 M.*/srv/bob 9\.0 M"))
    it.keys("w")
    it.until(match(r"alice/ +2\.0 M"))

    it.keys("P")
    it.until("╭─ Prune on ")
    it.keys("j", "j", "Enter")
    it.until(match(r"container spent .*frees 5\.0 M"))
    it.until(match(r"Remove 1 thing .*container spent"))
    assert host.docker("ps", "-aq", "--filter", "name=spent")
    it.keys("y")
    it.until("removed 1 thing, 5.0 M free", seconds=60)
    assert not host.docker("ps", "-aq", "--filter", "name=spent")
    it.keys("Escape")
    it.until(match(r"alice/ +2\.0 M"))
    it.keys("Escape")
    it.until("─ Fleet ")
    it.keys("q")
    it.until_prompt()
    host.run(["rm", "-r", "/srv/alice", "/srv/bob"])
