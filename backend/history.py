"""What the last hour looked like: small rings of numbers for hosts, GPUs and containers.

Fed with each new `FleetState`. Two series per value: a *fine* one, the last points as they came, for the
sparklines of tables; and a *coarse* one, means over `resolution` seconds, for plots. A time without data is a
gap (NaN). Everything is `array('f')`, grown as it fills and overwritten in place after that: 100 hosts with
8 GPUs and 100 containers each stay below 25 MB.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from math import isnan, nan
from typing import Literal, NamedTuple

from backend.model import Container, FleetState, Gpu, HostSnapshot, HostStats, Usage

HostValue = Literal["cpu", "memory", "gpu", "rx", "tx"]
"""Percent of all CPUs, percent of memory, mean percent of its GPUs, bytes per second in and out."""
GpuValue = Literal["util", "memory", "power", "temp"]
"""Percent, percent of its memory, watts, degrees C."""
ContainerValue = Literal["cpu", "memory"]
"""Percent of one CPU, bytes."""

_HOST: tuple[HostValue, ...] = ("cpu", "memory", "gpu", "rx", "tx")
_GPU: tuple[GpuValue, ...] = ("util", "memory", "power", "temp")
_CONTAINER: tuple[ContainerValue, ...] = ("cpu", "memory")

_FINE_POINTS = 60
_FINE_SECONDS = 1.0
"""Sections of one interval come as separate lines: what comes within this time is one point."""
_CONTAINER_STRIDE = 4
"""A container's points are this many times longer than `resolution`: there are many containers."""
_CARRY_SECONDS = 60.0
"""A host that is up but silent for less than this had nothing new to say; after that it is a gap."""
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def uptime() -> float:
    """Seconds on a clock that is never set, and that goes on while the machine sleeps where there is one."""
    return time.clock_gettime(_CLOCK)


class Series(NamedTuple):
    """One value over time."""

    values: Sequence[float]
    """Oldest first; NaN where there was no data."""
    seconds_per_point: float
    until: float
    """End of the newest point, on the history's own clock."""
    now: float
    """The same clock, now."""

    @property
    def empty(self) -> bool:
        """Whether it holds no data at all."""
        return all(map(isnan, self.values))

    @property
    def last(self) -> float | None:
        """The newest value that is known."""
        return next((value for value in reversed(self.values) if not isnan(value)), None)


class _Track:
    """Several values of one thing, advancing through time together."""

    __slots__ = ("begun", "bucket", "coarse", "counts", "fine", "head", "seconds", "size", "sums", "touched")

    def __init__(self, values: int, size: int, seconds: float, fine: bool) -> None:
        self.size = size
        self.seconds = seconds
        self.bucket = -1
        self.head = 0
        self.sums = [0.0] * values
        self.counts = [0] * values
        self.coarse = tuple(array("f") for _ in range(values))
        self.fine = tuple(array("f") for _ in range(values)) if fine else ()
        self.begun = float("-inf")
        self.touched = 0.0

    def add(self, values: tuple[float | None, ...], now: float, down_at: float) -> None:
        """Take one sample; `down_at` is when its host was last seen away."""
        bucket = int(now // self.seconds)
        if bucket != self.bucket:
            self._close(bucket, carry=down_at < self.touched and now - self.touched <= _CARRY_SECONDS)
        sums, counts = self.sums, self.counts
        for index, value in enumerate(values):
            if value is not None:
                sums[index] += value
                counts[index] += 1
        if self.fine:
            self._add_fine(values, now, gap=down_at > self.touched > 0)
        self.touched = now

    def _add_fine(self, values: tuple[float | None, ...], now: float, gap: bool) -> None:
        same = not gap and now - self.begun < _FINE_SECONDS
        for points, value in zip(self.fine, values, strict=True):
            number = nan if value is None else value
            if same and points:
                points[-1] = number
                continue
            if gap:
                points.append(nan)
            points.append(number)
            if len(points) > _FINE_POINTS + 15:
                del points[:-_FINE_POINTS]
        if not same:
            self.begun = now

    def _close(self, bucket: int, carry: bool) -> None:
        """Write the mean of the open bucket, and what lies between it and the new one."""
        if self.bucket >= 0 and bucket > self.bucket:
            means = [total / n if n else nan for total, n in zip(self.sums, self.counts, strict=True)]
            self._write(means)
            between = min(bucket - self.bucket - 1, self.size)
            filler = means if carry else [nan] * len(means)
            for _ in range(between):
                self._write(filler)
        for index in range(len(self.sums)):
            self.sums[index] = 0.0
            self.counts[index] = 0
        self.bucket = bucket

    def _write(self, numbers: list[float]) -> None:
        if len(self.coarse[0]) < self.size:
            for points, number in zip(self.coarse, numbers, strict=True):
                points.append(number)
            return
        for points, number in zip(self.coarse, numbers, strict=True):
            points[self.head] = number
        self.head = (self.head + 1) % self.size

    def series(self, index: int, now: float) -> Series:
        """The coarse series with the open bucket as its newest point."""
        points = self.coarse[index]
        values = points[self.head :] + points[: self.head]
        if self.bucket >= 0:
            values.append(self.sums[index] / self.counts[index] if self.counts[index] else nan)
        return Series(values, self.seconds, (self.bucket + 1) * self.seconds, now)


class _Host:
    """All tracks of one host."""

    __slots__ = ("containers", "down_at", "gpus", "known", "listed", "revision", "track")

    def __init__(self, track: _Track) -> None:
        self.track = track
        self.gpus: dict[str, _Track] = {}
        self.containers: dict[str, _Track] = {}
        self.revision = -1
        self.down_at = 0.0
        self.listed: tuple[Container, ...] | None = None
        self.known: frozenset[str] = frozenset()


class History:
    """The last `span` seconds of a fleet in points of `resolution` seconds."""

    def __init__(
        self, span: float = 3600, resolution: float = 10, clock: Callable[[], float] = uptime
    ) -> None:
        self.span = span
        self.resolution = resolution
        self._clock = clock
        self._hosts: dict[str, _Host] = {}

    def feed(self, state: FleetState) -> None:
        """Take in what changed since the last state. Hosts with nothing new cost a dictionary look-up."""
        for _ in self.feeding(state):
            pass

    def feeding(self, state: FleetState) -> Iterator[None]:
        """The same in steps, one for each host with something new, for who has other things to do between."""
        now = self._clock()
        for name in self._hosts.keys() - state.hosts.keys():
            del self._hosts[name]
        for name, snapshot in state.hosts.items():
            host = self._hosts.get(name)
            if host is None:
                host = self._hosts[name] = _Host(self._track(len(_HOST)))
            if host.revision != snapshot.revision:
                host.revision = snapshot.revision
                self._feed_host(host, snapshot, now)
                yield

    def _track(self, values: int) -> _Track:
        return _Track(values, int(self.span / self.resolution), self.resolution, fine=True)

    def _feed_host(self, host: _Host, snapshot: HostSnapshot, now: float) -> None:
        if snapshot.stale:
            host.down_at = now
            return
        gpus = snapshot.gpu_report.gpus if snapshot.gpu_report else ()
        if snapshot.stats is not None or gpus:
            host.track.add(_host_values(snapshot.stats, gpus), now, host.down_at)
        for gpu in gpus:
            track = host.gpus.get(gpu.uuid)
            if track is None:
                track = host.gpus[gpu.uuid] = self._track(len(_GPU))
            track.add(_gpu_values(gpu), now, host.down_at)
        if len(host.gpus) > len(gpus):
            self._drop_old_gpus(host, now)
        self._feed_containers(host, snapshot, now)

    def _drop_old_gpus(self, host: _Host, now: float) -> None:
        """A GPU that vanished may come back (driver restart): its past is kept as long as it is shown."""
        for uuid in [uuid for uuid, track in host.gpus.items() if now - track.touched > self.span]:
            del host.gpus[uuid]

    def _feed_containers(self, host: _Host, snapshot: HostSnapshot, now: float) -> None:
        tracks = host.containers
        if snapshot.containers is not host.listed:
            host.listed = snapshot.containers
            host.known = frozenset(container.id for container in snapshot.containers or ())
            for ident in tracks.keys() - host.known:
                del tracks[ident]
        seconds = self.resolution * _CONTAINER_STRIDE
        for ident, usage in snapshot.usage.items():
            track = tracks.get(ident)
            if track is None:
                if ident not in host.known:
                    continue
                track = tracks[ident] = _Track(len(_CONTAINER), int(self.span / seconds), seconds, fine=False)
            track.add(_container_values(usage), now, host.down_at)

    # ---------------------------------------------------------------------------------------- looking at it

    def host(self, name: str, value: HostValue) -> Series:
        """One value of a host; empty while nothing is known."""
        host = self._hosts.get(name)
        return self._series(host.track if host else None, _HOST.index(value))

    def gpu(self, host: str, uuid: str, value: GpuValue) -> Series:
        """One value of a GPU."""
        found = self._hosts.get(host)
        return self._series(found.gpus.get(uuid) if found else None, _GPU.index(value))

    def container(self, host: str, ident: str, value: ContainerValue) -> Series:
        """One value of a container, in points four times as long."""
        found = self._hosts.get(host)
        return self._series(found.containers.get(ident) if found else None, _CONTAINER.index(value))

    def recent_host(self, name: str, value: HostValue = "cpu") -> Sequence[float]:
        """The last points of a host, one for each interval, for a sparkline."""
        host = self._hosts.get(name)
        return host.track.fine[_HOST.index(value)][-_FINE_POINTS:] if host else ()

    def recent_gpu(self, host: str, uuid: str, value: GpuValue = "util") -> Sequence[float]:
        """The last points of a GPU, one for each interval, for a sparkline."""
        found = self._hosts.get(host)
        track = found.gpus.get(uuid) if found else None
        return track.fine[_GPU.index(value)][-_FINE_POINTS:] if track else ()

    def _series(self, track: _Track | None, index: int) -> Series:
        now = self._clock()
        return track.series(index, now) if track else Series((), self.resolution, now, now)


def _host_values(stats: HostStats | None, gpus: tuple[Gpu, ...]) -> tuple[float | None, ...]:
    utils = [gpu.util_percent for gpu in gpus if gpu.util_percent is not None]
    mean = sum(utils) / len(utils) if utils else None
    if stats is None:
        return (None, None, mean, None, None)
    return (stats.cpu_percent, _share(stats.mem_used, stats.mem_total), mean, stats.net_rx, stats.net_tx)


def _gpu_values(gpu: Gpu) -> tuple[float | None, ...]:
    return (gpu.util_percent, _share(gpu.mem_used, gpu.mem_total), gpu.power_w, gpu.temp_c)


def _container_values(usage: Usage) -> tuple[float | None, ...]:
    return (usage.cpu_percent, usage.mem_used)


def _share(used: int | None, total: int | None) -> float | None:
    return 100 * used / total if used is not None and total else None
