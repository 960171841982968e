"""What can go wrong on a host. Each fault returns when it is over; what follows has to work again."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from tests.chaos.world import QUEUE, World
from tests.lab import LabError

Fault = Callable[[World], None]
FAULTS: dict[str, tuple[int, Fault]] = {}
"""Name -> (how often it is drawn, what it does)."""


def fault(weight: int) -> Callable[[Fault], Fault]:
    """List a fault under its own name."""

    def add(function: Fault) -> Fault:
        FAULTS[function.__name__] = (weight, function)
        return function

    return add


def _pause(world: World, longest: float) -> None:
    time.sleep(world.rng.uniform(0.0, longest))


@fault(10)
def keeper_killed(world: World) -> None:
    world.signal("KILL", *world.processes("berth-keeper"))


@fault(6)
def standby_killed(world: World) -> None:
    world.signal("KILL", *world.processes("berth-standby"))


@fault(8)
def both_killed(world: World) -> None:
    world.signal("KILL", *world.processes("berth-keeper"), *world.processes("berth-standby"))


@fault(6)
def keepers_killed_in_a_row(world: World) -> None:
    for _ in range(world.rng.randint(2, 5)):
        world.signal("KILL", *world.processes("berth-keeper"))
        _pause(world, 0.3)


@fault(8)
def submitter_killed(world: World) -> None:
    world.submit(world.rng.randint(1, 5), late=world.rng.uniform(0.03, 0.35))


@fault(3)
def agent_killed(world: World) -> None:
    agent = world.host.popen(["python3", "-I", "-S", "/opt/agent.pyz", "--interval", "0.5"])
    _pause(world, 1.0)
    world.kill_named("/opt/agent.pyz --interval")
    agent.communicate()


@fault(4)
def engine_restarted(world: World) -> None:
    world.host.stop_engine()
    world.engine_lost()
    _pause(world, 1.0)
    world.host.start_engine()
    world.watch()


@fault(4)
def engine_killed(world: World) -> None:
    world.host.service("docker", "kill")
    world.engine_lost()
    _pause(world, 1.0)
    world.host.start_engine()
    world.watch()


@fault(4)
def engine_hung(world: World) -> None:
    world.host.hang_engine()
    _pause(world, 3.0)
    world.host.thaw_engine()


@fault(2)
def engine_hung_and_killed(world: World) -> None:
    world.host.hang_engine()
    _pause(world, 1.5)
    world.signal("KILL", *world.processes("berth-keeper"))
    world.host.service("docker", "kill")
    world.engine_lost()
    world.host.start_engine()
    world.watch()


@fault(2)
def power_cut(world: World) -> None:
    world.host.power_cut()
    world.engine_lost()
    world.host.boot()
    world.after_boot()


@fault(4)
def disk_full(world: World) -> None:
    fill = f"dd if=/dev/zero of={QUEUE}/full bs=64k; dd if=/dev/zero of={QUEUE}/fuller bs=1k"
    world.host.run(["sh", "-c", fill], check=False)
    try:
        world.submit(1)
        _pause(world, 2.5)
    finally:
        world.host.run(["rm", "-f", f"{QUEUE}/full", f"{QUEUE}/fuller"])


@fault(5)
def clock_jumped(world: World) -> None:
    world.set_clock(world.rng.choice((-86400.0, -3600.0, -10.0, 0.0, 10.0, 3600.0, 86400.0 * 30)))


@fault(7)
def container_killed(world: World) -> None:
    running = world.containers()
    if running:
        chosen = world.rng.choice(running)
        world.by_hand.add(chosen)
        signal = world.rng.choice(("KILL", "TERM"))
        world.host.run(["docker", "kill", "--signal", signal, chosen], check=False)


@fault(7)
def container_removed(world: World) -> None:
    found = world.containers("--all")
    if found:
        chosen = world.rng.choice(found)
        world.by_hand.add(chosen)
        world.host.run(["docker", "rm", "--force", chosen], check=False)


@fault(3)
def stranger(world: World) -> None:
    said = world.inside("submit", {"user": "nobody", "jobs": []}, user="nobody")
    assert said is None, "a user without rights was let in"
    assert "may not use" in world.said, world.said


@fault(5)
def job_cancelled(world: World) -> None:
    known = [number for number, state in world.states().items() if state in ("queued", "starting", "running")]
    if known:
        chosen = world.rng.choice(known)
        if world.inside("cancel", {"ids": [chosen], "user": "root"}) is not None:
            world.cancelled.add(chosen)


@fault(4)
def driver_failed(world: World) -> None:
    gpus = world.host.gpus
    gpus.set_driver(world.rng.choice(("not_loaded", "mismatch", "hang")))
    try:
        _pause(world, 2.0)
    finally:
        gpus.set_driver("ok")


@fault(3)
def gpu_lost(world: World) -> None:
    gpus = world.host.gpus
    index = world.rng.randrange(8)
    gpus.set(index, error="lost")
    try:
        _pause(world, 2.0)
    finally:
        gpus.set(index, error="")


@fault(5)
def gpu_grabbed(world: World) -> None:
    process = world.host.popen(["sleep", "600"])
    with contextlib.suppress(LabError):
        pid = _inner(world, "sleep\x00600\x00")
        gpus = world.host.gpus
        index = world.rng.randrange(8)
        gpus.attach(index, pid, 1 << 30)
        began = time.monotonic()
        _pause(world, 5.0)
        world.held.append((gpus.gpus[index].uuid, began, time.monotonic()))
        gpus.detach(pid)
        world.signal("KILL", pid)
    process.kill()
    process.communicate()


def _inner(world: World, line: str) -> int:
    """The pid, as the host counts, of its process with this command line."""
    from pathlib import Path

    from tests.lab.machine import wait_for

    def find() -> int:
        for entry in Path(f"/proc/{world.host.pid}/root/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if (entry / "cmdline").read_text() == line:
                    return int(entry.name)
        return 0

    return wait_for(find, "a process")
