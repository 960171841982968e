"""More faults of rp's queue, replayed on a model of how rp does it, and on ours (see `test_plan_rp`).

rp's waiting programs know nothing of each other but their numbers. Each has its project's image by a tag that
is the same for every submit, looks once in ten seconds whether it may start, and is told by a port to end.
"""

from __future__ import annotations

import math
import random
import socket
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from backend.agent.queue import container, doorbell, jobs
from backend.agent.queue.asked import Owner, jobs_of
from backend.agent.queue.doorbell import Doorbell
from backend.agent.queue.errors import MissingError, QueueError
from backend.agent.queue.plan import Plan, plan
from backend.agent.queue.store import Store

from .conftest import job
from .simulate import Planner, Simulation, machine
from .test_plan_rp import Rp
from .test_recover import Host, host  # noqa: F401  # a fixture

EVERY = 10.0
"""Seconds between two looks of a waiting program."""


# ------------------------------------------------------------------------------- the moved image tag


@dataclass
class RpProgram:
    """A submit of rp: the project's tag, which is looked up when its container is made."""

    tag: str

    def image(self, tags: dict[str, str]) -> str:
        """What its container runs."""
        return tags[self.tag]


def ours(store: Store, tags: dict[str, str], script: str) -> int:
    """The same submit here."""
    spec = {"image": "project:latest", "command": [script]}
    made = jobs_of([{"spec": spec}], Owner("ann", 4001, 4001), lambda name: tags[name])
    return store.submit(made, "ann")[0]


def test_a_later_submit_does_not_change_what_an_earlier_job_runs(store):
    tags = {"project:latest": "sha256:" + "1" * 64}
    theirs, number = RpProgram("project:latest"), ours(store, tags, "first.sh")
    tags["project:latest"] = "sha256:" + "2" * 64  # built again for the next submit
    second = ours(store, tags, "second.sh")
    assert theirs.image(tags) == "sha256:" + "2" * 64
    bodies = [container.body(store.get(one), "01234567") for one in (number, second)]
    assert [(one["Image"][-1], one["Cmd"]) for one in bodies] == [("1", ["first.sh"]), ("2", ["second.sh"])]


# -------------------------------------------------------------------------- ten seconds to the next look


class Polling(Rp):
    """Rp, whose programs look once in ten seconds, each at its own moments."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self._phases: dict[int, float] = {}
        self._rng = random.Random(seed)

    def __call__(self, all_jobs, host_machine, limits, now) -> Plan:
        waiting = [one for one in all_jobs if one.state == "queued"]
        for one in waiting:
            self._phases.setdefault(one.id, self._rng.uniform(0.0, EVERY))
        due = {one.id for one in waiting if self._left(one.id, now) < 1e-6}
        seen = [one for one in all_jobs if one.state != "queued" or one.id in due]
        made = super().__call__(seen, host_machine, limits, now)
        started = {start.job for start in made.starts}
        reasons = {one.id: "waits" for one in waiting if one.id not in started}
        looks = [now + (self._left(one, now) if one not in due else EVERY) for one in reasons]
        wake = min(looks, default=None)
        return Plan(made.starts, reasons, dict.fromkeys(reasons), {}, wake)

    def _left(self, number: int, now: float) -> float:
        """Seconds to its next look."""
        left = (self._phases[number] - now) % EVERY
        return 0.0 if math.isclose(left, EVERY, abs_tol=1e-6) else left


def idle(planner: Planner, seed: int) -> float:
    """Seconds that a GPU idles between two jobs."""
    simulation = Simulation(machine(gpus=1), planner=planner, seed=seed)
    first = simulation.add(gpus=1, cpus=0, runs=60.0 + random.Random(seed).uniform(0, 60))
    simulation.run(until=30.0)
    second = simulation.add(gpus=1, cpus=0, at=30.0, runs=1.0)
    simulation.run()
    return simulation.started[second] - simulation.ended[first]


def test_a_freed_gpu_does_not_idle_until_somebody_looks():
    assert statistics.mean(idle(Polling(seed), seed) for seed in range(60)) > 3.0
    assert [idle(plan, seed) for seed in range(60)] == [0.0] * 60


# ---------------------------------------------------------------------------------- garbage on the port


@dataclass
class RpPort:
    """The loop of rp that takes `kill PID` on a port: what it cannot read ends it."""

    alive: bool = True
    killed: list[int] = field(default_factory=list)

    def feed(self, data: bytes) -> None:
        """What somebody sent."""
        if not self.alive:
            return
        try:
            verb, number = data.decode().split()
            if verb == "kill":
                self.killed.append(int(number))
        except Exception:  # nobody catches it there: the thread is gone
            self.alive = False


GARBAGE = [b"\xff\xfe\x00", b"kill", b"GET / HTTP/1.1\r\n\r\n", b"kill twelve", b"\0" * 4096, b"[" * 4096]


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
def test_garbage_stops_nobody(folder, ask, garbage):
    port = RpPort()
    port.feed(garbage)
    port.feed(b"kill 12")
    assert (port.alive, port.killed) == (False, [])
    bell = Doorbell(folder)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.sendto(garbage, folder.doorbell)
    assert bell.drain()
    doorbell.ring(folder)
    assert bell.drain()
    bell.close()
    number = ask("submit", {"jobs": [{"spec": {"image": "train:latest"}}]})["ids"][0]
    with pytest.raises(QueueError):
        ask(garbage.decode("latin-1"), {"ids": [number]})
    with pytest.raises(QueueError):
        ask("cancel", {"ids": garbage.decode("latin-1")})
    assert ask("cancel", {"ids": [number]})["results"] == {str(number): "cancelled"}


# ------------------------------------------------------------------------------------------ missed kills


def rp_kill(running: Sequence[int], wanted: Sequence[int]) -> list[int]:
    """Those that rp's kill ends: it goes through the containers that run at this moment, and says nothing."""
    return [number for number in wanted if number in running]


def test_a_kill_reaches_what_waits_what_starts_and_what_runs_and_says_so(host):  # noqa: F811
    queue: Host = host
    running, starting = queue.begun(jobs.RUNNING), queue.begun_beside(1)
    (waiting,) = queue.store.submit([job()], "ann")
    wanted = [running.id, starting.id, waiting]
    assert rp_kill([running.id], wanted) == [running.id]

    found = queue.engine.has(starting, "created", Created="1970-01-01T00:20:00Z")
    done = queue.store.cancel(wanted, "ann")
    assert done == {running.id: "stopping", starting.id: "stopping", waiting: "cancelled"}
    alive = queue.engine.has(running, "running", StartedAt="1970-01-01T00:20:00Z")
    queue.recover(found, alive)
    assert queue.job(starting.id).state == jobs.CANCELLED  # it is not even started
    assert queue.engine.told == [f"kill {container.name('01234567', running)}"]
    queue.event("die", alive, exitCode="143")
    assert queue.job(running.id).state == jobs.CANCELLED
    with pytest.raises(MissingError):
        queue.store.cancel([*wanted, 77], "ann")
