"""A host prepared and a container given tools, by keys alone, and that undone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.acceptance.conftest import IMAGE
from tests.acceptance.terminal import Terminal, match
from tests.lab import Host

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]


def test_a_host_is_prepared_and_a_container_gets_tools_by_keys(
    hosts: list[Host], terminal: Callable[..., Terminal]
) -> None:
    host = hosts[0]
    home = ["sh", "-c", "find . -printf '%p %m %s\n' | grep -v '[.]cache' | sort"]
    before = host.run(home, user="alice").stdout
    host.docker("run", "-d", "--name", "toolbox", IMAGE)
    it = terminal(size=(150, 46))
    it.line("berth")
    it.until("3 hosts · ")
    it.keys("/")
    it.line(host.name)
    it.keys("P")
    it.until("╭─ Prepare h1 ")
    it.keys("C-s")
    it.until(match(r"Prepare h1: make \d+ folders"))
    it.until("+# >>> berth >>>")  # the plan stands behind the question
    it.keys("y")
    it.until(match(r"h1 is prepared"))
    assert "./shared/secret 700" in host.run(home, user="alice").stdout
    back_to(it, "Fleet")

    it.keys("3", "/")
    it.line("toolbox")
    it.until(match(r"h1 +toolbox .* running"))
    it.keys("I")
    it.until("╭─ Install h1/toolbox ")
    it.keys("C-s")
    it.until("step 1 of 1: write contenv")
    it.until(match(r"toolbox on h1: 1 step done"))
    assert "contenv" in host.docker("exec", "toolbox", "ls", "/root/shared/bin")
    back_to(it, "Containers")
    choose(it, "uninst")
    it.until("Take berth's toolkit and environment out of toolbox on h1?")
    it.keys("y")
    it.until("the environment is out of toolbox on h1")
    back_to(it, "Containers")
    it.keys("1")
    it.until("─ Fleet ")
    choose(it, "undo prep")
    it.until("╭─ Undo prepare h1 ")
    it.keys("C-s")
    it.until("Undo prepare on h1:")
    it.keys("y")
    it.until("what berth prepare made on h1 is gone")
    assert host.run(home, user="alice").stdout == before
    back_to(it, "Fleet")
    it.keys("q")
    it.until_prompt()


def back_to(it: Terminal, view: str) -> None:
    it.keys("Escape")
    it.until(f"─ {view} ")


def choose(it: Terminal, words: str) -> None:
    """By the menu of all actions."""
    it.keys("x")
    it.until("type to find")
    it.line(words)
