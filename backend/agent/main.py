"""Puts the probes together: what runs when, and how it ends."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any, Callable

from . import commands
from .background import Worker
from .emit import Outbox
from .engine import EngineWatch
from .http_parse import LineSplitter
from .loop import Loop
from .owner import Owners
from .probe import disk, host
from .probe.gpus import GpuWatch
from .probe.panes import PaneWatch
from .probe.tmux import TmuxWatch
from .probe.usage import UsageProbe
from .queue.watch import QueueWatch
from .roster import Roster

_WARM_UP = 0.25
"""Seconds between the first samples: rates need two."""
_DISK_EVERY = 30.0
_DISK_WAIT = 5.0
_TMUX_EVERY = 5.0
_ONCE_AT_MOST = 15.0
_USAGE = "usage: agent [--once] [--interval SECONDS] [--engine auto|docker|podman|none] [--socket PATH]"


class Options:
    """The command line."""

    def __init__(self, arguments: list[str]) -> None:
        """Raises ValueError, with a sentence for the person who typed it."""
        self.interval = 2.0
        self.engine = "auto"
        self.socket = ""
        self.once = False
        words = [part for word in arguments for part in (word.split("=", 1) if word[:2] == "--" else [word])]
        while words:
            word = words.pop(0)
            if word == "--once":
                self.once = True
            elif word not in ("--interval", "--engine", "--socket") or not words:
                raise ValueError(f"{word}: unknown, or its value is missing")
            else:
                setattr(self, word[2:], words.pop(0))
        self.interval = commands.clamp(float(self.interval))
        if self.engine not in ("auto", "docker", "podman", "none"):
            raise ValueError(f"--engine {self.engine}: not one of auto, docker, podman, none")


class Agent:
    """All probes of one host, on one loop."""

    def __init__(self, options: Options, output: int = 1) -> None:
        self._options = options
        self._interval = options.interval
        self._outbox = Outbox(output)
        self._loop = loop = Loop(self._outbox.fault)
        self._outbox.attach(loop)
        self._outbox.on_closed = loop.stop
        self._roster = Roster(loop, self._outbox, Owners())
        self._engine = EngineWatch(loop, self._outbox, self._roster, options.engine, options.socket)
        self._host = self._guard("host", _host_probe)
        self._usage = UsageProbe()
        self._gpus = GpuWatch(loop, self._outbox, self._roster)
        self._tmux = TmuxWatch(loop, lambda sessions: self._outbox.section("tmux", sessions))
        self._panes = PaneWatch(loop, self._outbox)
        self._queue = QueueWatch(loop, self._outbox, options.engine, options.socket)
        self._disk = Worker(loop, "disk")
        self._disk_root = ""
        self._disk_done = False
        self._ticks = 0
        self._warm_ups = 2
        """Samples that are still to come soon, not after an interval."""
        self._all_known = False
        self._usage_samples = 0
        self._tick_timer = loop.later(0, lambda: None)
        self._commands = LineSplitter(self._command, 65536)
        self._roster.on_change = self._roster_changed
        self._engine.on_root = self._engine_root

    def run(self, stdin: int | None = 0) -> None:
        """Work until told to stop, until `stdin` ends, or until nobody reads."""
        self._outbox.section("hello", self._guard("hello", _hello))
        if stdin is not None:
            self._loop.watch(stdin, read=lambda: self._read(stdin))
        self._guard("engine", self._engine.start)
        self._tick()
        self._disk_tick()
        self._tmux_tick()
        if self._options.engine != "none":
            self._guard("queue", self._queue.tick)
        if self._options.once:
            self._loop.later(_ONCE_AT_MOST, self._loop.stop)
            self._once()
        try:
            self._loop.run()
        finally:
            for end in (
                self._engine.stop,
                self._tmux.stop,
                self._panes.stop,
                self._usage.close,
                self._queue.close,
            ):
                self._guard("end", end)
            self._outbox.flush(1.0)

    def stop(self, *_: Any) -> None:
        """End soon; also the signal handler."""
        self._loop.stop()
        self._loop.post(lambda: None)

    # -- sampling

    def _tick(self) -> None:
        """Everything that is read each interval."""
        self._ticks += 1
        self._warm_ups -= 1
        self._tick_in(_WARM_UP if self._warm_ups > 0 else self._interval)
        if self._host is not None:
            self._guard("host", lambda: self._outbox.section("host", self._host.sample()))
        self._guard("usage", self._sample_usage)
        self._guard("gpus", self._gpus.tick)
        self._guard("engine", lambda: self._engine.tick(self._usage.contradictions()))

    def _tick_in(self, seconds: float) -> None:
        self._tick_timer.cancel()
        self._tick_timer = self._loop.later(min(seconds, self._interval), self._tick)

    def _roster_changed(self) -> None:
        self._usage.sync(self._roster.running())
        if self._roster.complete and not self._all_known:
            self._all_known = True
            self._loop.later(0.0, lambda: self._guard("usage", self._sample_usage))
            self._warm_ups = max(1, self._warm_ups)
            self._tick_in(_WARM_UP)

    def _sample_usage(self) -> None:
        memory = self._host.mem_total if self._host is not None else 0
        self._outbox.section("usage", self._usage.sample(memory))
        self._usage_samples += self._roster.complete

    def _disk_tick(self) -> None:
        self._loop.later(_DISK_EVERY, self._disk_tick)
        self._disk_scan()

    def _disk_scan(self) -> None:
        scan = disk.DiskScan(disk.wanted(self._disk_root))

        def finished(result: Any, error: BaseException | None) -> None:
            late.cancel()
            self._disk_done = True
            if error is not None:
                self._outbox.fault("disk", error)
            self._outbox.section("disk", scan.found)

        def overdue() -> None:
            self._disk_done = True
            self._outbox.fault("disk", f"{scan.current} does not answer (a file server that is gone?)")
            self._outbox.section("disk", scan.found)

        if self._disk.run(scan.run, finished):
            late = self._loop.later(_DISK_WAIT, overdue)

    def _tmux_tick(self) -> None:
        self._loop.later(_TMUX_EVERY, self._tmux_tick)
        self._guard("tmux", self._tmux.tick)

    def _engine_root(self, folder: str) -> None:
        if folder != self._disk_root:
            self._disk_root = folder
            self._disk_scan()

    def _once(self) -> None:
        """Stop when every section came."""
        rates = self._ticks > 1 and (self._engine.state != "up" or self._usage_samples > 1)
        queue = self._queue.done or self._options.engine == "none"
        done = self._disk_done and self._gpus.done and self._tmux.done and queue
        if self._engine.settled and rates and done:
            self._loop.stop()
        else:
            self._loop.later(0.05, self._once)

    # -- commands

    def _read(self, stdin: int) -> None:
        try:
            data = os.read(stdin, 65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._loop.stop()
            return
        dropped = self._commands.dropped
        self._commands.feed(data)
        if self._commands.dropped != dropped:
            self._outbox.fault("stdin", "a line is too long")

    def _command(self, line: bytes) -> None:
        try:
            name, argument = commands.parse(line)
        except commands.CommandError as error:
            self._outbox.fault("stdin", str(error))
            return
        if name == "interval":
            self._interval = argument
            self._tick_in(_WARM_UP)
        elif name == "ping":
            self._outbox.message("pong", {"id": argument}, key=("pong", argument))
        elif name == "watch":
            self._panes.watch(argument)
        elif name == "queue":
            self._queue.ask(*argument)
        elif name == "images":
            self._engine.images.want()
        elif name == "refresh":
            self._outbox.again()
            self._outbox.section("hello", self._guard("hello", _hello))
            self._roster.emit()
            self._engine.refresh()
            self._tick()
            self._disk_scan()
            self._guard("tmux", self._tmux.tick)
            self._queue.again()
        else:
            self._loop.stop()

    def _guard(self, where: str, call: Callable[[], Any]) -> Any:
        """`call()`; what it raises becomes a fault line and None."""
        try:
            return call()
        except Exception as error:
            self._outbox.fault(where, error)
            return None


def _hello() -> dict[str, Any]:
    out = host.hello()
    if out["boot_time"] is None:
        from .probe.host_psutil import boot_seconds
        from .times import rfc3339

        seconds = boot_seconds()
        out["boot_time"] = rfc3339(seconds) if seconds else None
    return out


def _host_probe() -> Any:
    try:
        return host.HostProbe()
    except OSError:
        from .probe.host_psutil import PsutilHostProbe

        return PsutilHostProbe()


def main(arguments: list[str] | None = None) -> None:
    """The program. Ends the process: a thread stuck in a driver must not keep it."""
    try:
        options = Options(sys.argv[1:] if arguments is None else arguments)
    except (ValueError, commands.CommandError) as error:
        sys.stderr.write(f"{error}\n{_USAGE}\n")
        raise SystemExit(2) from None
    agent = Agent(options)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, agent.stop)
    agent.run(None if options.once else 0)
    os._exit(0)
