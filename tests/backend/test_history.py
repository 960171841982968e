"""The last hour: means, gaps, and that it stays small and cheap."""

from __future__ import annotations

import tracemalloc
from math import isnan
from time import process_time

import pytest

from backend.history import History
from backend.model import (
    Container,
    FleetState,
    Gpu,
    GpuReport,
    HostSnapshot,
    HostState,
    HostStats,
    Usage,
)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


class Feeder:
    """Feeds one host, each call a new revision."""

    def __init__(self, clock: Clock, **options) -> None:
        self.clock = clock
        self.history = History(clock=clock, **options)
        self.revision = 0

    def __call__(self, cpu=50.0, state=HostState.UP, util=None, containers=(), usage=None, stats=True):
        self.revision += 1
        snapshot = HostSnapshot(
            name="h",
            address="h",
            state=state,
            revision=self.revision,
            stats=HostStats(cpu_percent=cpu, mem_used=1, mem_total=4) if stats else None,
            gpu_report=GpuReport(
                gpus=(Gpu(index=0, uuid="G", vendor="nvidia", name="n", util_percent=util, power_w=300),)
            )
            if util is not None
            else None,
            containers=tuple(containers),
            usage=usage or {},
        )
        self.history.feed(FleetState(hosts={"h": snapshot}, revision=self.revision))

    def run(self, seconds: float, step: float = 2.0, **values) -> None:
        for _ in range(int(seconds / step)):
            self(**values)
            self.clock.now += step


def container(ident: str) -> Container:
    return Container(id=ident, name=ident, image="i", state="running")


def known(values) -> list[float]:
    return [value for value in values if not isnan(value)]


def test_points_are_means(clock):
    feed = Feeder(clock)
    feed.run(10, cpu=20.0)
    feed.run(10, step=5, cpu=60.0)
    feed(cpu=0.0)
    series = feed.history.host("h", "cpu")
    assert list(series.values) == [20.0, 60.0, 0.0]
    assert series.seconds_per_point == 10
    assert series.until == 1030
    assert series.last == 0.0
    assert list(feed.history.host("h", "memory").values) == [25.0, 25.0, 25.0]
    assert feed.history.host("h", "rx").empty


def test_a_host_that_was_away_leaves_a_gap_and_not_a_line(clock):
    feed = Feeder(clock)
    feed.run(20)
    feed(state=HostState.DOWN)
    clock.now += 40
    feed(state=HostState.DOWN)
    clock.now += 20
    feed.run(20)
    values = list(feed.history.host("h", "cpu").values)
    assert [isnan(value) for value in values] == [False] * 2 + [True] * 6 + [False] * 2
    recent = list(feed.history.recent_host("h"))
    assert sum(map(isnan, recent)) == 1
    assert recent[-1] == 50.0


def test_a_short_silence_of_a_host_that_is_up_is_not_a_gap(clock):
    feed = Feeder(clock)
    feed.run(60, step=30)
    assert known(feed.history.host("h", "cpu").values) == [50.0] * 4
    clock.now += 300
    feed()
    assert sum(map(isnan, feed.history.host("h", "cpu").values)) > 20


def test_it_keeps_one_span_and_no_more(clock):
    feed = Feeder(clock, span=600)
    feed.run(900, cpu=1.0)
    feed.run(300, cpu=2.0)
    values = list(feed.history.host("h", "cpu").values)
    assert len(values) == 61
    assert values == [1.0] * 31 + [2.0] * 30
    assert len(feed.history.recent_host("h")) == 60


def test_lines_of_one_interval_are_one_recent_point(clock):
    feed = Feeder(clock)
    for cpu in (1.0, 2.0, 3.0):
        feed(cpu=cpu, util=cpu)
        clock.now += 0.1
        feed(cpu=cpu, util=cpu + 50)
        clock.now += 1.9
    assert list(feed.history.recent_gpu("h", "G")) == [51.0, 52.0, 53.0]
    assert list(feed.history.recent_host("h", "gpu")) == [51.0, 52.0, 53.0]


def test_a_fast_stream_still_moves_on(clock):
    feed = Feeder(clock)
    feed.run(10, step=0.25, util=5.0)
    assert len(feed.history.recent_gpu("h", "G")) == 10


def test_gpus_and_containers_have_their_own_past(clock):
    feed = Feeder(clock)
    usage = {"a": Usage(id="a", cpu_percent=250.0, mem_used=1 << 30), "b": Usage(id="b", cpu_percent=None)}
    feed.run(60, util=90.0, containers=[container("a"), container("b")], usage=usage)
    assert feed.history.gpu("h", "G", "util").last == 90.0
    assert feed.history.gpu("h", "G", "power").last == 300.0
    assert feed.history.gpu("h", "G", "temp").empty
    series = feed.history.container("h", "a", "cpu")
    assert series.seconds_per_point == 40
    assert series.last == 250.0
    assert feed.history.container("h", "a", "memory").last == 1 << 30
    assert feed.history.container("h", "b", "cpu").empty


def test_what_vanished_is_forgotten(clock):
    feed = Feeder(clock)
    usage = {"a": Usage(id="a", cpu_percent=1.0)}
    feed.run(60, containers=[container("a")], usage=usage)
    assert not feed.history.container("h", "a", "cpu").empty
    feed(containers=[container("b")])
    assert feed.history.container("h", "a", "cpu").empty
    feed.history.feed(FleetState(hosts={}))
    assert feed.history.host("h", "cpu").empty
    assert feed.history.recent_gpu("h", "G") == ()


def test_usage_of_containers_nobody_listed_takes_no_room(clock):
    feed = Feeder(clock)
    feed.run(60, containers=[container("a")], usage={"x": Usage(id="x", cpu_percent=1.0)})
    assert feed.history.container("h", "x", "cpu").empty


def test_unchanged_hosts_are_skipped(clock):
    feed = Feeder(clock)
    feed()
    feed.revision -= 1
    clock.now += 60
    feed()
    assert len(feed.history.host("h", "cpu").values) == 1


CONTAINERS = tuple(container(f"{n:064x}") for n in range(100))


def big_state(hosts: int, gpus: int, containers: int, revision: int) -> FleetState:
    listed = CONTAINERS[:containers]
    usage = {c.id: Usage(id=c.id, cpu_percent=3.0, mem_used=10**9) for c in listed}
    report = GpuReport(
        gpus=tuple(
            Gpu(index=n, uuid=f"GPU-{n}", vendor="nvidia", name="n", util_percent=5.0, power_w=9.0)
            for n in range(gpus)
        )
    )
    return FleetState(
        hosts={
            f"h{n}": HostSnapshot(
                name=f"h{n}",
                address="a",
                state=HostState.UP,
                revision=revision,
                stats=HostStats(cpu_percent=1.0),
                gpu_report=report,
                containers=listed,
                usage=usage,
            )
            for n in range(hosts)
        }
    )


def test_a_large_fleet_stays_below_25_mb(clock):
    """Measured on a fiftieth of 100 hosts with 8 GPUs and 100 containers, over more than a full span."""
    history = History(clock=clock)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for revision in range(380):
            history.feed(big_state(2, 8, 100, revision))
            clock.now += 10
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (after - before) * 50 < 25e6


def test_feeding_a_large_fleet_is_cheap(clock):
    """CPU time, not wall-clock: one state of 100 hosts each 2 s may take 5 % of a core."""
    history = History(clock=clock)
    states = [big_state(100, 8, 100, revision) for revision in range(6)]
    history.feed(states[0])
    before = process_time()
    for state in states[1:]:
        clock.now += 2
        history.feed(state)
    assert (process_time() - before) / 5 < 0.1
