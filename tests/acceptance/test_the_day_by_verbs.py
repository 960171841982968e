"""Push, watch, pull, Jupyter, a command everywhere, disk: the same day from the command line."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.acceptance.test_by_verbs import Berth
from tests.acceptance.the_day import SLOW, WORK, Day, cell

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]


def test_the_rest_of_the_day_by_verbs(day: Day) -> None:
    berth = Berth(day.env)
    push_with_a_preview(berth, day)
    watch(day)
    pull(berth, day)
    run_a_cell_in_jupyter(berth, day)
    run_a_command_everywhere(berth, day)
    find_the_biggest_user(berth, day)
    prune_with_a_preview(berth, day)
    assert day.goes_on() == [], "nothing is left of what was opened"


def push_with_a_preview(berth: Berth, day: Day) -> None:
    shown = berth("push", "code", "--dry-run")
    assert shown.count("src/model.py") == len(day.hosts) and ".pt" not in shown
    assert all(each["ok"] and not each["refusal"] for each in berth.rows("push", "code", "--dry-run"))
    assert day.is_nowhere()
    rows = berth.rows("push", "code")
    assert {row["host"]: row["new"] for row in rows} == dict.fromkeys(day.names, 3)
    assert day.is_pushed()
    assert {row["same"] for row in berth.rows("push", "code")} == {3}


def watch(day: Day) -> None:
    with held(day, "push", "code", "--watch", "--json") as (child, lines):
        seen: set[str] = set()
        while seen < set(day.names):  # they are looked at before anything changes
            seen.add(json.loads(next(lines))["host"])
        day.goes_everywhere("src/model.py", "LAYERS = 24\n")
        told: set[str] = set()
        while told < set(day.names):
            row = json.loads(next(lines))
            if row["changed"]:
                told.add(row["host"])
        child.send_signal(signal.SIGINT)
        assert child.wait(SLOW) == 130
    day.write("src/model.py", "LAYERS = 36\n")
    assert all(day.text(host, "src/model.py") == "LAYERS = 24\n" for host in day.hosts)


def pull(berth: Berth, day: Day) -> None:
    hosts = [word for name in day.names for word in ("--host", name)]
    shown = berth("pull", "results", *hosts, "--dry-run")
    assert all(f"{name}.json" in shown for name in day.names) and day.pulled() == {}
    berth("pull", "results", *hosts)
    assert day.pulled() == day.expected


def run_a_cell_in_jupyter(berth: Berth, day: Day) -> None:
    with held(day, "tunnel", "train", "lab", "--json") as (child, lines):
        (row,) = json.loads(next(lines))
        assert cell(row["url"]) == "I am 42" and day.kernel_said() == "written by a kernel"
        (listed,) = berth.rows("tunnels")
        assert (listed["service"], listed["context"], listed["state"]) == ("lab", "train", "up")
        assert listed["received"] > 100_000 and "token" not in json.dumps(listed)
        assert "is closed" in berth("tunnel", "stop", listed["id"])
        assert child.wait(SLOW) == 0
    assert berth.rows("tunnels") == []
    assert "jupyterlab" in day.first.docker("top", "train")


def run_a_command_everywhere(berth: Berth, day: Day) -> None:
    line = f"cat {WORK}/project/src/model.py; echo from {{host}} >{WORK}/was-here"
    names = [word for name in day.names for word in ("--host", name)]
    rows = json.loads(berth("each", *names, "--json", "--", line))
    assert {row["host"] for row in rows} == set(day.names)
    assert all((row["exit_code"], row["output"]) == (0, ["LAYERS = 24"]) for row in rows)
    for host in day.hosts:
        assert host.run(["cat", f"{WORK}/was-here"], user="alice").stdout == f"from {host.name}\n"


def find_the_biggest_user(berth: Berth, day: Day) -> None:
    found = json.loads(berth("disk", "top", f"{day.first.name}:/srv", "--by", "owner", "--json"))
    assert [row["owner"] for row in found["rows"]][:2] == ["bob", "alice"]
    assert found["rows"][0]["holdings"][0][0] == "/srv/bob"


def prune_with_a_preview(berth: Berth, day: Day) -> None:
    lost = day.lost_image()
    prune = ("disk", "prune", day.first.name, "--images")
    (shown,) = berth.rows(*prune, "--dry-run")
    (plan,) = shown["data"]
    assert [each["id"] for each in plan["items"]] == [lost] and plan["frees"] >= 5 * 2**20
    berth(*prune, code=5)  # nobody is there to be asked
    assert lost in day.images()
    (done,) = berth.rows(*prune, "--yes")
    assert done["data"][0]["removed"] == 1 and lost not in day.images()
    assert "work" in day.first.docker("images")
    day.first.docker("rmi", "work:1")


@contextmanager
def held(day: Day, *words: str) -> Iterator[tuple[subprocess.Popen[str], Iterator[str]]]:
    """A verb that goes on, and the lines of data that it prints."""
    child = subprocess.Popen(
        ["berth", *words], env=day.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout is not None
        yield child, iter(child.stdout.readline, "")
    finally:
        child.kill()
        child.wait()
