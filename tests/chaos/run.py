"""One run: jobs come in, faults strike, and after each the queue has to move again."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from tests.chaos.check import STALE, Report, check
from tests.chaos.faults import FAULTS
from tests.chaos.world import QUEUE, World
from tests.lab import Lab

PATIENCE = 10.0
"""Seconds from the end of a fault within which jobs start again, on a machine that has time for them."""
_BACKLOG = 12
_END = 240.0


def run(
    lab: Lab,
    faults: int,
    seed: int,
    only: Sequence[str] = (),
    say: Callable[[str], object] = lambda text: None,
    patience: float = PATIENCE,
    stale: float = STALE,
) -> Report:
    """Break the first host of `lab` so often, and tell what came of it.

    `patience` and `stale`: seconds until jobs start again, and that a reading of the GPUs may be old when a
    container is made; a machine that is busy with something else needs more.
    """
    world, report = World.build(lab, seed), Report()
    try:
        names = [name for name in FAULTS if not only or name in only]
        weights = [FAULTS[name][0] for name in names]
        for number in range(1, faults + 1):
            if world.unfinished() < _BACKLOG:
                world.submit(world.rng.randint(1, 6))
            time.sleep(world.rng.uniform(0.0, 0.8))
            name = world.rng.choices(names, weights)[0]
            report.faults[name] = report.faults.get(name, 0) + 1
            FAULTS[name][1](world)
            moved = _moves(world, report, f"fault {number}, {name}", patience)
            say(f"{number:4} {name:26} {moved:6.2f} s   {world.unfinished()} jobs left")
        _finish(world, report)
        check(world, report, stale)
        if report.violations:
            say(world.host.run(["cat", f"{QUEUE}/keeper.log"], check=False).stdout[-20000:])
    finally:
        world.close()
    return report


def _moves(world: World, report: Report, what: str, patience: float) -> float:
    """Submit a job that goes first and needs nothing: how long until it is started."""
    began = time.monotonic()
    ids = world.submit(1, gpus=0, seconds=0, priority=100)
    if not ids:
        report.violations.append(f"after {what} nothing could be submitted: {world.said[-300:]}")
        return -1.0
    sql = "SELECT count(*) FROM events WHERE job = ? AND new = 'running'"
    over = "SELECT count(*) FROM jobs WHERE id = ? AND ended_at IS NOT NULL"
    while not (world.database(sql, (ids[0],)) or [(0,)])[0][0]:
        waited = time.monotonic() - began
        if (world.database(over, (ids[0],)) or [(0,)])[0][0]:
            break  # ended by the next fault's rest: by hand, or with the engine
        if waited > patience:
            report.violations.append(f"after {what} no job was started for {waited:.0f} s")
            break
        time.sleep(0.05)
    report.moved.append(time.monotonic() - began)
    return report.moved[-1]


def _finish(world: World, report: Report) -> None:
    """Until all jobs are over, and everything of the queue is gone by itself."""
    world.set_clock(0.0)
    world.inside("cancel", {"ids": [], "user": "root"})
    end = time.monotonic() + _END
    while world.unfinished() and time.monotonic() < end:
        time.sleep(0.2)
    while time.monotonic() < end and (world.processes("berth-keeper") or world.processes("berth-standby")):
        time.sleep(0.2)
    for name in ("berth-keeper", "berth-standby"):
        if world.processes(name):
            report.violations.append(f"{name} is still there though nothing is left to do")
    if world.containers("--all"):
        format_ = "{{.Names}} {{.Status}}, created {{.CreatedAt}}"
        left = world.host.docker("ps", "--all", "--filter", "label=berth.queue", "--format", format_)
        report.violations += [f"{line} was left behind" for line in left.splitlines()]
