"""A working day in the dashboard, by keys alone: contexts, shells, a lost network, logs, removal."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest

from tests.acceptance.conftest import IMAGE, KEPT
from tests.acceptance.terminal import Terminal, match
from tests.lab import Host, Lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

CONTEXTS = {"train": "h1", "eval": "m1", "serve": "p1"}
LOG = "i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo step $i loss; done >/proc/1/fd/1; echo wrote-$i"


def test_a_working_day_by_keys_alone(lab: Lab, hosts: list[Host], terminal: Callable[..., Terminal]) -> None:
    it = terminal(size=(150, 46))
    it.line("berth")
    it.until("3 hosts · ")
    make_contexts(it)
    start_all(it)
    leave_a_shell(it)
    lose_and_find_the_network(it, lab.host("h1"))
    find_the_shell_again(it)
    read_and_search_the_logs(it)
    stop_three_marked(it, lab)
    commit_and_recreate(it, lab.host("h1"))
    remove_all(it, hosts)
    it.keys("q")
    it.until_prompt()
    assert it.told("alternate_on") == it.told("mouse_any_flag") == "0"


def make_contexts(it: Terminal) -> None:
    it.keys("4")
    it.until("There is none yet: n makes one")
    for name, host in CONTEXTS.items():
        it.keys("n")
        it.until("╭─ New context ")
        for value in (name, host, IMAGE):
            it.line(value)
        it.keys("C-s")
        it.until(match(rf"│  {name} +{host} +{IMAGE}.* missing"))


def start_all(it: Terminal) -> None:
    mark_all(it)
    it.keys("u")
    it.until("3 of 3 done")
    for name in CONTEXTS:
        it.until(match(rf"{name} .* running "))
    forget_marks(it)


def mark_all(it: Terminal) -> None:
    """From the first row to the last."""
    it.keys("g", *["Space", "Down"] * len(CONTEXTS))
    it.until(f"● {len(CONTEXTS)} marked")


def forget_marks(it: Terminal) -> None:
    it.keys("Escape")
    it.until_gone("│● ")


def leave_a_shell(it: Terminal) -> None:
    go_to(it, "train")
    it.keys("e")
    it.until(match(r"^/ #"))
    it.line("kept=here$((40 + 2))")
    it.line(LOG)
    it.until("wrote-300")
    it.keys("C-b", "d")
    it.until("─ Contexts 3 ")


def go_to(it: Terminal, name: str) -> None:
    """Move down to the row of that name; the details beside say where the cursor is."""
    rows = re.findall(rf"^│.*?\b({'|'.join(CONTEXTS)})\b", it.screen(), re.MULTILINE)
    it.keys("g", *["Down"] * rows.index(name))
    it.until(f"╭─ {name}  on ")


def lose_and_find_the_network(it: Terminal, host: Host) -> None:
    host.partition()
    it.until("1 down", seconds=90)
    host.heal()
    it.until_gone("1 down", seconds=90)
    it.until(match(r"train .* running "))


def find_the_shell_again(it: Terminal) -> None:
    it.keys("e")
    it.until("wrote-300")
    it.line("echo still-$kept")
    it.until(match(r"^still-here42$"))
    it.keys("C-b", "d")
    it.until("─ Contexts 3 ")


def read_and_search_the_logs(it: Terminal) -> None:
    it.keys("l")
    it.until("step 300 loss")
    it.keys("/")
    it.line("/step 4\\d loss/")
    it.until("10 of 10")
    it.until(match(r"^ *step 49 loss"))
    it.keys("N")
    it.until("9 of 10")
    it.keys("Escape", "Escape")
    it.until("─ Contexts 3 ")


def stop_three_marked(it: Terminal, lab: Lab) -> None:
    it.keys("3")
    it.until("─ Containers 3 ")
    mark_all(it)
    it.keys("s")
    it.until("Stop eval on m1?")
    it.keys("y")
    it.until("3 of 3 done")
    for name, host in CONTEXTS.items():
        it.until(match(rf"{host} +{name} +exited"))
        assert lab.host(host).docker("inspect", "-f", "{{.State.Running}}", name) == "false"
    forget_marks(it)


def commit_and_recreate(it: Terminal, host: Host) -> None:
    go_to(it, "train")
    it.keys("S")
    it.until(match(r"h1 +train +running"))
    choose(it, "commit")
    it.line(KEPT)
    it.keys("C-s")
    it.until(f"committed train on h1 to {KEPT}")
    choose(it, "recreate")
    it.text(KEPT)
    it.keys("Tab", "Tab")
    it.text("/srv:/data:ro")
    it.keys("C-s")
    it.until("Recreate train on h1?")
    it.keys("y")
    it.until("train on h1 is made again.")
    it.keys("y")
    it.until("the old one was removed")
    found = json.loads(host.docker("inspect", "train"))[0]
    assert found["State"]["Running"] is True
    assert found["Config"]["Image"] == KEPT
    assert "/srv:/data:ro" in found["HostConfig"]["Binds"]
    assert host.docker("ps", "-aq", "--format", "{{.Names}}") == "train"


def choose(it: Terminal, what: str) -> None:
    """Take a line of the menu of all that can be done to this row."""
    it.keys("x")
    it.until("type to find")
    it.text(what)
    it.until_gone("Stop the container (SIGTERM")
    it.keys("Enter")
    it.until("ctrl+s do it")


def remove_all(it: Terminal, hosts: list[Host]) -> None:
    it.until("─ Containers 3 ")
    mark_all(it)
    it.keys("C-d")
    it.until("Remove serve on p1")
    it.keys("y")
    it.until("train on h1 runs. Stop it?")
    it.keys("y")
    it.until("─ Containers 0 ")
    for host in hosts:
        assert host.docker("ps", "-aq") == ""
