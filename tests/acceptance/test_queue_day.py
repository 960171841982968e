"""A day of two people's jobs on two hosts and a cluster: the laptop is closed, a host loses its power."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.acceptance.queue_story import (
    DAY,
    ENDED,
    KILLED,
    NEVER,
    Berth,
    Board,
    Task,
    Told,
    agree,
    laptop_processes,
    sessions,
    spans,
    touch,
    until,
    uptime_of,
)
from tests.acceptance.terminal import Terminal
from tests.lab import Host, HostSpec, Lab, LabError, parts

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1500)]

LUNCH, EVENING = "lunch", "evening"
MORNING = (
    # d1 stays up
    Task("bob", "b-kill", "d1", "-g 1", wait=NEVER, state="cancelled", exit_code=KILLED),
    Task("alice", "a-cpu", "d1"),
    Task("alice", "a-seven", "d1", "-g 1", code="7"),
    Task("alice", "a-limit", "d1", "--time 3s", wait=NEVER, state="timeout", exit_code=KILLED),
    Task("alice", "a-hold", "d1", "--hold", code="12"),
    Task("alice", "a-two", "d1", "-g 2", wait=LUNCH, code="3"),
    Task("alice", "a-ok", "d1", "-g 1", after="a-cpu"),
    Task("alice", "a-not", "d1", after="a-two", state="failed", exit_code=None, begins=0),
    Task("alice", "a-any", "d1", after="any:a-two", code="13"),
    Task("alice", "a-array", "d1", "-m 64m", array=4),
    Task("bob", "b-again", "d1", "--retries 2", code="second", begins=2),
    Task("bob", "b-one", "d1", "-g 1", wait=LUNCH),
    Task("bob", "b-four", "d1", "-g 4 --priority 10"),
    # d2 loses its power
    Task("bob", "b-early", "d2", code="9"),
    Task("alice", "a-cut", "d2", "-g 1", wait=NEVER, state="failed", exit_code=(255, None)),
    Task("bob", "b-cut", "d2", "-g 2 --retries 1", wait=EVENING, code="14", begins=2),
    Task("alice", "a-later", "d2", "-g 4", after="any:a-cut"),
    Task("alice", "a-stays", "d2", "--hold -g 1", code="15"),
    Task("bob", "b-later", "d2", after="any:b-cut", code="16"),
    # the cluster
    Task("bob", "s-limit", "c1", "-g 1 --time 1m", wait=NEVER, state="timeout", exit_code=KILLED),
    Task("alice", "s-kill", "c1", "-g 1", wait=NEVER, state="cancelled", exit_code=KILLED),
    Task("alice", "s-cpu", "c1"),
    Task("bob", "s-six", "c1", "-g 1", code="6"),
    Task("alice", "s-one", "c1", "-g 1", wait=LUNCH),
    Task("bob", "s-four", "c1", "-g 4", code="17"),
    Task("alice", "s-after", "c1", "-g 2", after="s-one", code="18"),
    Task("alice", "s-hold", "c1", "--hold", code="19"),
    Task("bob", "s-again", "c1", "--retries 1", code="second", begins=2),
    Task("bob", "s-array", "c1", array=3),
)
FOREGROUND = Task("bob", "b-shown", "d1", "-g 1", wait=LUNCH, code="4")
"""Submitted on a terminal that goes away."""
TASKS = (*MORNING, FOREGROUND)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Two hosts and a cluster of two nodes."""
    parts.require()
    specs = [
        *(HostSpec(name, gpus="nvidia:4") for name in ("d1", "d2")),
        HostSpec("c1", slurm="c1", engine="none"),
        *(HostSpec(name, slurm="c1", gpus="nvidia:4") for name in ("n1", "n2")),
    ]
    with Lab(tmp_path_factory.mktemp("day") / "lab", specs) as lab:
        for host in lab.hosts.values():
            host.run(["sh", "-c", f"mkdir -m 1777 {DAY} && install -m 666 /dev/null {DAY}/notes"])
        yield lab


def person(lab: Lab, folder: Path, user: str) -> Berth:
    """Their laptop: a configuration and a state of their own."""
    config = folder / user / "config"
    shutil.copytree(lab.config_dir, config, ignore=shutil.ignore_patterns("contexts"))
    hosts = yaml.safe_load((config / "hosts.yaml").read_text())
    hosts["username"] = user
    (config / "hosts.yaml").write_text(yaml.safe_dump(hosts))
    return Berth(
        {
            "BERTH_CONFIG_DIR": str(config),
            "BERTH_STATE_DIR": str(folder / user / "state"),
            "BERTH_CACHE_DIR": str(folder / user / "cache"),
            "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": str(folder / user),
        }
    )


class Day:
    """Both people, their terminals, and what they submitted."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab = lab
        self.folder = folder
        self.people = {user: person(lab, folder, user) for user in ("alice", "bob")}
        self.alice, self.bob = self.people["alice"], self.people["bob"]
        self.places: dict[str, list[str]] = {}
        self.stack = contextlib.ExitStack()
        self.told: Told = {}

    def terminal(self, who: Berth, name: str, size: tuple[int, int]) -> Terminal:
        folder = self.folder / name
        folder.mkdir()
        return self.stack.enter_context(Terminal(folder, who.env, size=size))

    def open(self, name: str) -> None:
        """Alice opens the dashboard."""
        self.board = Board(self.terminal(self.alice, name, (320, 64)))
        self.board.open()

    def agree(self) -> None:
        self.told = agree(self.alice, self.board)

    def place(self, name: str) -> str:
        (place,) = self.places[name]
        return place

    def until(self, *names: str, state: str, seconds: float = 150) -> None:
        """Wait until all of these are in a state, or in one of several with bars between."""
        places = [place for name in names for place in self.places[name]]
        now: dict[str, tuple[str, str]] = {}

        def there() -> bool:
            rows = {f"{row['host']}/{row['id']}": row for row in self.alice.jobs()}
            now.update({place: (rows[place]["state"], rows[place]["reason"]) for place in places})
            return {found for found, _ in now.values()} <= set(state.split("|"))

        try:
            until(there, "", seconds=seconds)
        except LabError:
            said = "\n".join(
                journal(self.lab.host(name)) for name in {each.partition("/")[0] for each in places}
            )
            raise AssertionError(f"waited {seconds:.0f} s in vain for {state}: {now}\n{said}") from None


@pytest.fixture
def day(town: Lab, tmp_path: Path) -> Iterator[Day]:
    day = Day(town, tmp_path)
    with day.stack:
        yield day


def test_a_day_of_two_people_with_a_closed_laptop_and_a_power_cut(day: Day) -> None:
    day.open("morning")
    submit(day)
    day.agree()
    while_it_is_watched(day)
    close_the_laptop(day)
    lose_power(day.lab.host("d2"), day)
    day.open("evening")
    the_rest(day)
    check_ends(day)
    check_runs(day)
    check_engines(day)
    assert len(day.told) == sum(len(task.ends) for task in TASKS), "the last story told of every job"


def submit(day: Day) -> None:
    """Both at the same time, each in their order."""
    bob_at = day.terminal(day.bob, "foreground", (120, 30))
    with ThreadPoolExecutor(2) as pool:
        parts = [
            pool.submit(who.submit, [task for task in MORNING if task.user == user])
            for user, who in day.people.items()
        ]
        for part in parts:
            day.places |= part.result()
    script = day.folder / "foreground.sh"
    script.write_text(f"exec berth {shlex.join(FOREGROUND.words())}")
    bob_at.line(f"sh {script}")
    bob_at.until("waiting to be scheduled as <")
    rows = day.alice.jobs()
    day.places[FOREGROUND.name] = [f"d1/{row['id']}" for row in rows if row["name"] == FOREGROUND.name]
    assert len(rows) == sum(len(task.ends) for task in TASKS) >= 30
    assert {row["owner"] for row in rows} == {"alice", "bob"}


def while_it_is_watched(day: Day) -> None:
    """What people do to jobs, while the view and the list have to agree."""
    day.until("b-kill", "s-kill", state="running")
    day.until("a-hold", "s-hold", "a-stays", state="held")
    day.agree()
    refused = day.alice("job", "kill", day.place("b-kill"), "--yes", code=5)
    assert "bob" in refused + day.alice.said
    day.bob("job", "kill", day.place("b-kill"), "--yes")
    day.alice("job", "kill", day.place("s-kill"), "--yes")
    day.alice("job", "release", day.place("a-hold"))
    day.alice("job", "release", day.place("s-hold"))
    day.until("a-cut", "b-cut", state="running")
    day.until("b-early", state="failed")
    day.until("s-kill", "b-kill", state="cancelled")
    day.agree()


def close_the_laptop(day: Day) -> None:
    """Its processes end without a word, and with them every connection."""
    day.stack.close()
    for who in day.people.values():
        for pid in laptop_processes(who.env):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until(lambda who=who: not laptop_processes(who.env), "the laptop's processes to end")
    for host in day.lab.hosts.values():
        until(lambda host=host: not sessions(host), f"the connections of {host.name} to end")


def lose_power(d2: Host, day: Day) -> None:
    """While nobody looks: the jobs elsewhere go on to their ends, one host goes dark and comes back."""
    touch(day.lab.host("d1"), LUNCH)
    assert {run.name for run in spans(d2)} >= {"b-early", "a-cut", "b-cut"}
    d2.power_cut()
    for name in ("n1", "n2"):
        touch(day.lab.host(name), LUNCH)
    d1 = day.lab.host("d1")
    until(lambda: not keepers(d1), "the keeper of d1 to leave, as all of its jobs have ended", seconds=240)
    d2.boot()
    touch(d2, EVENING)


def journal(host: Host) -> str:
    """What the keeper of a host wrote last, and the queue's processes."""
    script = "find /var/lib/berth /var/tmp/berth -name keeper.log -exec tail {} +; ps -eo pid,etime,comm"
    return host.run(["sh", "-c", f"{script} | grep -v kworker"], check=False).stdout


def keepers(host: Host) -> list[str]:
    """The queue's own processes on a host."""
    names = host.run(["ps", "-eo", "comm"]).stdout.split()
    return [name for name in names if name.startswith("berth-")]


def the_rest(day: Day) -> None:
    """The laptop is opened again: what was interrupted goes on."""
    day.until("a-cut", state="failed")
    day.until("a-stays", state="held")
    day.agree()
    day.alice("job", "release", day.place("a-stays"))
    day.until(*(task.name for task in TASKS), state="|".join(ENDED), seconds=300)
    day.agree()
    assert {state.split()[0] for state, _ in day.told.values()} == set(ENDED)


def rows_of(day: Day) -> dict[str, dict[str, Any]]:
    """The list's rows by the names that tasks gave; of an array by name and index."""
    rows = {f"{row['host']}/{row['id']}": row for row in day.alice.jobs()}
    found = {}
    for task in TASKS:
        for place, (name, _, _) in zip(day.places[task.name], task.ends, strict=True):
            found[name] = rows[place]
    assert len(found) == len(rows)
    return found


def check_ends(day: Day) -> None:
    """States and exit codes are the true ones, and every output is there."""
    rows = rows_of(day)
    for name, state, codes in (end for task in TASKS for end in task.ends):
        row = rows[name]
        assert row["state"] == state and row["exit_code"] in codes, (name, state, codes, row)
    ran = [name for task in TASKS if task.begins for name, _, _ in task.ends]
    with ThreadPoolExecutor(2) as pool:
        logs = dict(pool.map(lambda name: (name, output(day, rows[name])), ran))
    assert {name for name, text in logs.items() if f"{name} is here\n" not in text} == set()


def output(day: Day, row: dict[str, Any]) -> str:
    """By whoever submitted it."""
    return day.people[row["owner"]]("job", "logs", f"{row['host']}/{row['id']}")


def check_runs(day: Day) -> None:
    """By the jobs' own notes: none ran twice that should not, and no GPU was two jobs' at a time."""
    rows = rows_of(day)
    begins = {name: task.begins for task in TASKS for name, _, _ in task.ends}
    seen = dict.fromkeys(begins, 0)
    for name in ("d1", "d2", "n1", "n2"):
        runs = spans(day.lab.host(name))
        held = []
        for run in runs:
            seen[run.name] += 1
            last = uptime_of(rows[run.name]["ended_at"])
            again = min(
                (each.begin for each in runs if each.name == run.name and each.begin > run.begin),
                default=last,
            )
            asked = rows[run.name]["gpus"]
            assert len(run.gpus) == asked, (run, asked)
            held.append((run, run.end or again))
        for (one, ended), (other, _) in combinations(held, 2):  # in the order of their begins
            assert other.begin >= ended - 1.5 or not one.gpus & other.gpus, (name, one, other)
    assert seen == begins


def check_engines(day: Day) -> None:
    """Nothing is left over on any host."""
    for name in ("d1", "d2", "n1", "n2"):
        host = day.lab.host(name)
        until(lambda host=host: not host.docker("ps", "-aq"), f"no container to be left on {name}")
        until(lambda host=host: not keepers(host), f"no keeper to be left on {name}")
    nodes = json.loads(day.alice("nodes", "--json"))
    assert [(row["name"], row["gpus_used"]) for row in nodes] == [("n1", 0), ("n2", 0)]
