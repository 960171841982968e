"""An agent as a child process: its lines decoded as the fleet decodes them, waited for by condition."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec

from backend import model

SECTIONS: dict[str, Any] = {
    "hello": model.Hello,
    "host": model.HostStats,
    "disk": list[model.Disk],
    "engine": model.Engine,
    "gpus": model.GpuReport,
    "topology": model.GpuTopology,
    "processes": list[model.GpuProcess],
    "containers": list[model.Container],
    "usage": list[model.Usage],
    "tmux": list[model.TmuxSession],
    "pong": dict[str, int],
    "fault": dict[str, str],
    "jobs": model.QueueReport,
    "images": model.ImageReport,
    "reply": dict[str, Any],
}
PATIENCE = 30.0
"""Seconds after which a condition counts as never met; far above what any takes."""


class RunningAgent:
    """Reads an agent's output in a thread; `latest` holds the newest of each section, decoded."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.latest: dict[str, Any] = {}
        self.counts: dict[str, int] = {}
        self.faults: list[dict[str, str]] = []
        self.broken: list[str] = []
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            try:
                data = json.loads(line.decode("ascii"))
                value = msgspec.json.decode(msgspec.json.encode(data["d"]), type=SECTIONS[data["s"]])
            except Exception as error:
                self.broken.append(f"{error}: {line[:500]!r}")
                continue
            with self._changed:
                self.latest[data["s"]] = value
                self.counts[data["s"]] = self.counts.get(data["s"], 0) + 1
                if data["s"] == "fault":
                    self.faults.append(value)
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def wait(self, section: str, condition: Callable[[Any], Any] = lambda value: True) -> Any:
        """The newest value of `section`, once there is one that meets `condition`."""
        end = time.monotonic() + PATIENCE
        with self._changed:
            while True:
                if section in self.latest and condition(self.latest[section]):
                    return self.latest[section]
                left = end - time.monotonic()
                if left <= 0 or not self._thread.is_alive():
                    raise AssertionError(
                        f"{section} never came to be as expected: {self.latest.get(section)!r}; "
                        f"faults {self.faults}, broken {self.broken}"
                    )
                self._changed.wait(min(left, 0.2))

    def wait_more(self, section: str, count: int) -> None:
        """Until `count` more lines of `section` came."""
        target = self.counts.get(section, 0) + count
        self.wait(section, lambda value: self.counts[section] >= target)

    def container(self, name: str, condition: Callable[[model.Container], Any] = lambda c: c.complete) -> Any:
        """The container of that name, once it is there and meets `condition`."""

        def matching(containers: list[model.Container]) -> list[model.Container]:
            return [each for each in containers if each.name == name and condition(each)]

        return matching(self.wait("containers", matching))[0]

    def gone(self, name: str) -> None:
        """Until no container of that name is left."""
        self.wait("containers", lambda containers: name not in {each.name for each in containers})

    def send(self, line: dict[str, Any] | bytes) -> None:
        """A command, or anything else, to its input."""
        assert self.process.stdin is not None
        data = line if isinstance(line, bytes) else json.dumps(line).encode()
        self.process.stdin.write(data + b"\n")
        self.process.stdin.flush()

    def end(self) -> int:
        """Close its input; its exit code. Every line must have been well formed."""
        if self.process.stdin is not None and not self.process.stdin.closed:
            self.process.stdin.close()
        try:
            code = self.process.wait(PATIENCE)
        finally:
            if self.process.poll() is None:
                self.process.kill()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "a child of the agent outlives it and holds its output"
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        assert not self.broken, self.broken[:3]
        return code
