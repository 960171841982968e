"""What the agent costs a host: `python -m tests.bench.agent_cost` prints it as JSON.

100 containers in a real dockerd, 8 GPUs at driver level, one sample each 2 s. The engine is reached through
a relay that counts requests: in steady state there must be none but the event stream, which is open already.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.engine import LocalEngine
from tests.bench.table import Figure
from tests.bench.usage import measure
from tests.lab import nvidia
from tests.lab.agent import kept_agent
from tests.lab.gpus import Gpus

SETTLE = 8.0
"""Seconds after which the start is over: rates known, process lists read, the idle connection closed."""


class Relay:
    """A unix socket in front of another; counts the requests that pass."""

    def __init__(self, path: Path, upstream: Path) -> None:
        self.requests: list[str] = []
        self._upstream = upstream
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(str(self._upstream))
            threading.Thread(target=self._pump, args=(client, server, self._count), daemon=True).start()
            threading.Thread(target=self._pump, args=(server, client, len), daemon=True).start()

    def _count(self, data: bytes) -> None:
        self.requests += [line for line in data.decode("latin-1").split("\r\n") if line.endswith(" HTTP/1.1")]

    def _pump(self, source: socket.socket, target: socket.socket, look: Callable[[bytes], object]) -> None:
        try:
            while data := source.recv(1 << 16):
                look(data)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the other side closed both directions

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()


def cost(seconds: float, containers: int = 100) -> dict[str, float]:
    """Start to end: cpu_percent, rss_mb, nvml_calls_per_s, engine_requests, bytes_per_s, complete_s."""
    with LocalEngine(containers=containers) as engine, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        gpus = folder / "gpus"
        gpus.mkdir()
        nvidia.write(Gpus(gpus, "nvidia:8", "bench"))
        relay = Relay(folder / "docker.sock", engine.socket)
        zipapp = folder / "agent.pyz"
        zipapp.write_bytes(kept_agent())
        output = folder / "lines"
        with output.open("wb") as lines:
            began = time.time()
            python = Path(sys.base_prefix) / "bin/python3"
            isolated = [str(python), "-I"]  # as on a host: nothing is installed or set for berth
            agent = subprocess.Popen(
                [*isolated, str(zipapp), "--interval", "2", "--socket", str(folder / "docker.sock")],
                stdin=subprocess.PIPE,
                stdout=lines,
                env={**os.environ, **nvidia.environment(gpus)},
            )
        try:
            time.sleep(SETTLE)
            size, asked, calls = output.stat().st_size, len(relay.requests), _calls(gpus)
            spent = measure({"agent": [agent.pid]}, seconds)["agent"]
            found = {
                "cpu_percent": round(spent.cpu_percent, 3),
                "rss_mb": round(spent.rss_mb, 1),
                "nvml_calls_per_s": round((_calls(gpus) - calls) / seconds, 1),
                "engine_requests": float(len(relay.requests) - asked),
                "bytes_per_s": round((output.stat().st_size - size) / seconds),
                "complete_s": round(_complete_at(output, containers) - began, 3),
            }
        finally:
            if agent.stdin is not None:
                agent.stdin.close()
            agent.wait(20)
            relay.close()
        return found


def figures(*, quick: bool) -> list[Figure]:
    """For the table of `python -m tests.bench`."""
    found = cost(10 if quick else 30)
    return [
        Figure("agent alone, 100 containers, 8 GPUs, 2 s: CPU", found["cpu_percent"], "%", 1.0),
        Figure("agent alone: memory", found["rss_mb"], "MB", 25.0),
        Figure("agent alone: NVML calls", found["nvml_calls_per_s"], "/s", 40.0),
        Figure("agent alone: requests to the engine in steady state", found["engine_requests"], "", 0.0),
        Figure("agent alone: from exec to the details of 100 containers", found["complete_s"], "s"),
    ]


def _calls(folder: Path) -> int:
    return sum(nvidia.calls(folder).values())


def _complete_at(output: Path, containers: int) -> float:
    """When the first line came that had every container in full, by the agent's clock."""
    for line in output.read_bytes().splitlines():
        data = json.loads(line)
        if data["s"] != "containers" or len(data["d"]) != containers:
            continue
        if all(each.get("complete", True) for each in data["d"]):
            return float(data["t"])
    raise RuntimeError("the containers never came")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--containers", type=int, default=100)
    options = parser.parse_args()
    print(json.dumps(cost(options.seconds, options.containers)))


if __name__ == "__main__":
    main()
