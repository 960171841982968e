"""Who asks, and what a verb works with."""

from __future__ import annotations

import json
import os
import pwd
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Set

from .asked import Owner
from .errors import MissingError, RefusedError
from .fields import Fields
from .jobs import ENDED, Job, Request
from .machine import Cpu, Gpu, Machine
from .people import user
from .place import Place, has_own_engine
from .plan import Limits, impossible
from .store import Store
from .store.outside import RECOVERED

Answer = Dict[str, Any]
ReadMachine = Callable[..., Machine]
"""Reads the machine; the arguments: the ids of the queue's own containers, and what runs beside them."""


class Caller(NamedTuple):
    """Who asks."""

    name: str
    uid: int
    gid: int

    @property
    def root(self) -> bool:
        """Whether they may change everybody's jobs."""
        return self.uid == 0


class Listed(List[str]):
    """Jobs as texts of JSON, which `dump` passes on as they are."""


def caller() -> Caller:
    """The user of this process."""
    return Caller(user(), os.getuid(), os.getgid())


def read_machine(ours: Sequence[str] = (), others: Sequence[Any] = ()) -> Machine:
    """This machine now."""
    from .machine import MachineWatch

    return MachineWatch().read(others, ours=ours)


class Desk:
    """What a verb works with."""

    def __init__(self, store: Store, place: Place, who: Caller, machine: ReadMachine) -> None:
        self.store = store
        self.place = place
        self.who = who
        self.changed = False
        self._read_machine = machine

    def working(self) -> bool:
        """Whether a keeper has something to do: jobs are unfinished, or may run that a lost database knew."""
        store = self.store
        lost = bool(store.former) and not store.remembered(RECOVERED)
        return lost or any(state not in ENDED for state in store.counts())

    def machine(self) -> Machine:
        """The machine, as it is beside the queue's own containers."""
        return self._read_machine(self._ours())

    def machine_now(self) -> Machine:
        """The same, with the GPUs that other containers asked for: for who wants to know what is free."""
        from .others import running

        ours = self._ours()
        others = running(self.place.socket, frozenset(ours))
        return self._read_machine(ours, others) if others else self._read_machine(ours)

    def _ours(self) -> List[str]:
        return [job.container for job in self.store.active_jobs() if job.container]

    def never(self, jobs: Sequence[Job]) -> str:
        """Why this machine can never run one of these, or nothing.

        What a machine has changes with a boot, hardly else; drivers are slow to wake up. So what was read
        since the last boot is good enough to say yes, and only a no is looked at anew.
        """
        limits = self.store.limits()
        known = self._remembered()
        if known is not None and not _impossible(jobs, known, limits):
            return ""
        machine = self.machine()
        if not machine.error:
            self.store.remember("machine", _machine_json(machine))
        return _impossible(jobs, machine, limits)

    def _remembered(self) -> Optional[Machine]:
        try:
            data = json.loads(self.store.remembered("machine"))
            if not data["boot_id"] or data["boot_id"] != boot_id():
                return None
            return Machine(
                tuple(Cpu(*cpu) for cpu in data["cpus"]),
                tuple(Gpu(*gpu) for gpu in data["gpus"]),
                data["memory"],
                data["boot_id"],
            )
        except (ValueError, KeyError, TypeError):
            return None

    def own(self, numbers: Sequence[int], what: str) -> None:
        """Raise MissingError for jobs that are not there, RefusedError for other people's."""
        owners = self.store.owners(numbers)
        for number in numbers:
            if number not in owners:
                raise MissingError(f"there is no job {number}.", "See: berth jobs")
            owner = owners[number][0]
            if not self.who.root and owner != self.who.name:
                raise RefusedError(f"job {number} is {owner}'s: only {owner} and root may {what} it.")

    def owner(self, fields: Fields) -> Owner:
        """Whose the new jobs are: the caller's, or whose root says."""
        name = fields.text("owner", longest=64, line=True)
        if not name or name == self.who.name:
            return Owner(*self.who, rootless=has_own_engine(self.place.socket))
        if not self.who.root:
            raise RefusedError(f"only root may submit jobs for {name}.")
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            raise MissingError(f"this host has no user {name}.") from None
        return Owner(found.pw_name, found.pw_uid, found.pw_gid)


def counts(desk: Desk) -> Answer:
    """How many jobs wait, and how many hold resources."""
    found = desk.store.counts()
    return {
        "waiting": found.get("queued", 0) + found.get("held", 0),
        "active": found.get("starting", 0) + found.get("running", 0),
    }


def _impossible(jobs: Sequence[Job], machine: Machine, limits: Limits) -> str:
    seen: Set[Request] = set()
    for job in jobs:
        if job.request not in seen:
            seen.add(job.request)
            why = impossible(job, machine, limits)
            if why:
                return f"this host can never run {job.name}: {why}"
    return ""


def _machine_json(machine: Machine) -> str:
    """What stays the same until the next boot."""
    gpus = [[gpu.id, gpu.number, gpu.node, gpu.vendor, gpu.devices] for gpu in machine.gpus]
    cpus = [list(cpu) for cpu in machine.cpus]
    data = {"cpus": cpus, "gpus": gpus, "memory": machine.memory, "boot_id": machine.boot_id}
    return json.dumps(data, separators=(",", ":"))


def boot_id() -> str:
    """This boot of the machine; empty where it cannot be told."""
    try:
        root = os.environ.get("BERTH_PROC_ROOT") or "/proc"
        with open(f"{root}/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read(64).strip()
    except OSError:
        return ""
