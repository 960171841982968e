"""A host that exists only as numbers: jobs come, run for their true time and end, planned by `plan`.

    host = Simulation(machine(gpus=4))
    large = host.add(gpus=4, runs=60)
    host.run()
    host.started[large]

Every plan is checked against what must always hold: see `violations`.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from backend.agent.queue.jobs import (
    ACTIVE,
    AFTER_OK,
    COMPLETED,
    ENDED,
    FAILED,
    QUEUED,
    RUNNING,
    TIMEOUT,
    WAITING,
    Job,
    Request,
    Spec,
)
from backend.agent.queue.machine import Cpu, Gpu, Machine
from backend.agent.queue.plan import Limits, Plan, plan

GB = 1 << 30
SPEC = Spec("sha256:0", grace=0.0)
Planner = Callable[[Sequence[Job], Machine, Limits, float], Plan]


def machine(
    *, gpus: int = 0, cpus: int = 64, memory: int = 512 * GB, nodes: int = 1, threads: int = 1, amd: int = 0
) -> Machine:
    """Cores are numbered as Linux does: first thread of each core, then the second ones."""
    cores = cpus // threads
    return Machine(
        cpus=tuple(Cpu(one, one % cores * nodes // cores, one % cores) for one in range(cpus)),
        gpus=tuple(
            [Gpu(f"GPU-{one}", one, one * nodes // gpus) for one in range(gpus)]
            + [Gpu(f"amd-{one}", one, one * nodes // amd, "amd") for one in range(amd)]
        ),
        memory=memory,
    )


def job(id: int, *, state: str = QUEUED, owner: str = "ann", spec: Spec = SPEC, **words) -> Job:
    """A job; words of Request and of Job alike. Its position is its number unless given."""
    of_request = {key: words.pop(key) for key in list(words) if key in ("time_limit", "gpu_ids")}
    if state in WAITING or isinstance(words.get("gpus", 0), int):
        of_request.update({key: words.pop(key) for key in ("gpus", "cpus", "memory") if key in words})
    if "gpu_ids" in of_request:
        of_request["gpus"] = len(of_request["gpu_ids"])
    words.setdefault("position", float(id))
    return Job(id, owner, 1000, f"job-{id}", spec, Request(**of_request), state, **words)


def running(id: int, gpus: Sequence[int] = (), *, cpus: Sequence[int] = (), **words) -> Job:
    """A running job on these GPUs, by number."""
    limit = words.pop("time_limit", None)
    memory = words.pop("memory", 0)
    words = {"owner": "ann", "started_at": 0.0, "state": RUNNING, "position": float(id), **words}
    return Job(
        id,
        words.pop("owner"),
        1000,
        f"job-{id}",
        SPEC,
        Request(len(gpus), (), len(cpus), memory, limit),
        gpus=tuple(f"GPU-{one}" for one in gpus),
        cpus=tuple(cpus),
        memory=memory,
        attempt=1,
        **words,
    )


def violations(jobs: Sequence[Job], host: Machine, limits: Limits, now: float, made: Plan) -> list[str]:
    """What a plan does that none may do, in words."""
    by_id = {one.id: one for one in jobs}
    found = []
    started = [start.job for start in made.starts]
    booked = [one for one in jobs if one.state in ACTIVE]
    allowed = {cpu.id for cpu in sorted(host.cpus)[limits.reserved_cpus :]}
    usable = {gpu.id: gpu for gpu in host.gpus if not gpu.busy and not gpu.broken}
    vendors = Counter(gpu.vendor for gpu in host.gpus)
    for start in made.starts:
        one = by_id[start.job]
        want = one.request
        if one.state != QUEUED or not _due(one, by_id, now) or limits.paused or one.cancel_by:
            found.append(f"{one.id} may not start yet")
        if (len(start.gpus), len(start.cpus), start.memory) != (want.gpus, want.cpus, want.memory):
            found.append(f"{one.id} does not get what it asks for")
        if want.gpu_ids and set(start.gpus) != set(want.gpu_ids):
            found.append(f"{one.id} gets other GPUs than it names")
        if not set(start.gpus) <= usable.keys() or not set(start.cpus) <= allowed:
            found.append(f"{one.id} gets what cannot be had")
        kinds = {usable[gpu].vendor for gpu in start.gpus if gpu in usable}
        if not want.gpu_ids and kinds and vendors[min(kinds)] * 2 < len(host.gpus) + (min(kinds) == "amd"):
            found.append(f"{one.id} gets GPUs of the wrong kind")
        if len(kinds) > 1 and not want.gpu_ids:
            found.append(f"{one.id} gets GPUs of two kinds")
    for what in ("gpus", "cpus"):
        taken = [name for start in made.starts for name in getattr(start, what)]
        held = {name for one in booked for name in getattr(one, what)}
        if len(set(taken)) < len(taken) or held & set(taken):
            found.append(f"{what} are booked twice")
    memory = sum(one.memory for one in booked) + sum(start.memory for start in made.starts)
    if any(start.memory for start in made.starts) and memory > host.memory - limits.reserved_memory:
        found.append("memory is booked twice")
    found += _over_limits(booked + [by_id[one] for one in started], set(started), limits)
    told = Counter([*started, *made.doomed, *made.reasons])
    if told != Counter(one.id for one in jobs if one.state in WAITING):
        found.append("not every waiting job is told one thing")
    if made.expected.keys() != made.reasons.keys():
        found.append("expected and reasons are of different jobs")
    if not all(made.reasons.values()):
        found.append("a job waits without a reason")
    return found


def _due(one: Job, by_id: dict[int, Job], now: float) -> bool:
    states = [(by_id[other].state if other in by_id else "", kind) for other, kind in one.after]
    after = all(state == COMPLETED if kind == AFTER_OK else state in ENDED for state, kind in states)
    return after and (one.begin_at is None or one.begin_at <= now)


def _over_limits(active: Sequence[Job], new: set[int], limits: Limits) -> list[str]:
    found = []
    for one in active:
        if one.id not in new:
            continue
        mine = [other for other in active if other.owner == one.owner]
        array = [other for other in active if one.array and other.array == one.array]
        if limits.max_running_per_user and len(mine) > limits.max_running_per_user:
            found.append(f"{one.owner} runs too many jobs")
        gpus = sum(max(other.request.gpus, len(other.gpus)) for other in mine)
        if limits.max_gpus_per_user and one.request.gpus and gpus > limits.max_gpus_per_user:
            found.append(f"{one.owner} has too many GPUs")
        if one.array_limit and len(array) > one.array_limit:
            found.append(f"too many of array {one.array} run")
    return found


@dataclass
class Simulation:
    """One host and its queue; time passes from event to event."""

    machine: Machine
    limits: Limits = field(default_factory=Limits)
    planner: Planner = plan
    seed: int = 0
    now: float = 0.0
    jobs: dict[int, Job] = field(default_factory=dict)
    started: dict[int, float] = field(default_factory=dict)
    ended: dict[int, float] = field(default_factory=dict)
    plans: list[Plan] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._runs: dict[int, float] = {}
        self._events: list[tuple[float, int, Callable[[], object]]] = []
        self._count = 0

    def add(self, *, at: float | None = None, runs: float = 1.0, id: int = 0, **words) -> int:
        """Submit a job now or at a time; it takes `runs` seconds, but never more than its limit."""
        number = id or max(self._runs, default=0) + 1
        self._runs[number] = runs
        when = self.now if at is None else at
        one = job(number, submitted_at=when, **words)
        self.at(when, lambda: self.jobs.__setitem__(number, one))
        return number

    def put(self, one: Job, runs: float) -> int:
        """A job in whatever state; an active one ends `runs` seconds from now."""
        self.jobs[one.id] = one
        self._runs[one.id] = runs
        if one.state in ACTIVE:
            self.started[one.id] = one.started_at or 0.0
            self.at(self.now + runs, lambda: self._end(one.id, COMPLETED))
        return one.id

    def at(self, when: float, do: Callable[[], object]) -> None:
        """Something that happens at a time."""
        self._count += 1
        heapq.heappush(self._events, (when, self._count, do))

    def run(self, until: float = float("inf"), stop: Callable[[], bool] = lambda: False) -> None:
        """Let time pass until nothing is left to happen, or `stop()`."""
        while self._events and not stop():
            when = self._events[0][0]
            if when > until:
                break
            self.now = when
            while self._events and self._events[0][0] == when:
                heapq.heappop(self._events)[2]()
            self.plan()

    def plan(self) -> Plan:
        """Make a plan, check it, and do what it says."""
        awaited = {other for one in self.jobs.values() for other, _ in one.after}
        jobs = [one for one in self.jobs.values() if one.state not in ENDED or one.id in awaited]
        self._random.shuffle(jobs)
        made = self.planner(jobs, self.machine, self.limits, self.now)
        assert not violations(jobs, self.machine, self.limits, self.now, made)
        self.plans.append(made)
        for start in made.starts:
            self._start(self.jobs[start.job], start.gpus, start.cpus)
        for number in made.doomed:
            self._end(number, FAILED)
        if made.doomed:
            self.at(self.now, lambda: None)
        if made.wake_at is not None and any(one.state == QUEUED for one in self.jobs.values()):
            assert made.wake_at > self.now
            self.at(made.wake_at, lambda: None)
        return made

    def _start(self, one: Job, gpus: tuple[str, ...], cpus: tuple[int, ...]) -> None:
        self.jobs[one.id] = one._replace(
            state=RUNNING,
            started_at=self.now,
            gpus=gpus,
            cpus=cpus,
            memory=one.request.memory,
            attempt=one.attempt + 1,
        )
        self.started[one.id] = self.now
        limit = one.request.time_limit
        over = limit is not None and self._runs[one.id] > limit
        runs = limit if limit is not None and over else self._runs[one.id]
        self.at(self.now + runs, lambda: self._end(one.id, TIMEOUT if over else COMPLETED))

    def _end(self, number: int, state: str) -> None:
        self.jobs[number] = self.jobs[number]._replace(
            state=state, ended_at=self.now, gpus=(), cpus=(), memory=0
        )
        self.ended[number] = self.now
