from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.bundle import agent_zipapp
from tests.backend.agent.running import RunningAgent
from tests.lab import Host, HostSpec, Lab, parts
from tests.lab.agent import kept_agent


@pytest.fixture(scope="session")
def zipapp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("agent") / "agent.pyz"
    path.write_bytes(agent_zipapp()[0])  # as it is sent: so it runs where it cannot be kept
    return path


@pytest.fixture
def start(zipapp: Path) -> Iterator[Callable[..., RunningAgent]]:
    """Start the zipapp on this machine; it is ended with the test."""
    running: list[RunningAgent] = []

    def launch(*words: str, python: str = sys.executable, **env: str) -> RunningAgent:
        process = subprocess.Popen(
            [python, str(zipapp), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **env},
        )
        running.append(RunningAgent(process))
        return running[-1]

    yield launch
    for agent in running:
        agent.end()


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    parts.require()
    hosts = [HostSpec("dock", gpus="nvidia:8"), HostSpec("pod", gpus="amd:4", engine="podman")]
    with Lab(tmp_path_factory.mktemp("lab") / "lab", hosts) as lab:
        for host in lab.hosts.values():
            host.put("/opt/agent.pyz", kept_agent(), mode=0o755)
        yield lab


class HostAgents:
    """Starts agents on lab hosts, and removes what the test leaves."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._running: list[RunningAgent] = []

    def __call__(
        self, host: Host, *words: str, user: str = "root", interval: float = 0.5, become: tuple[str, ...] = ()
    ) -> RunningAgent:
        argv = [*become, "python3", "/opt/agent.pyz", "--interval", str(interval), *words]
        self._running.append(RunningAgent(host.popen(argv, user=user)))
        return self._running[-1]

    def finish(self) -> None:
        for agent in self._running:
            agent.end()


@pytest.fixture
def agents(lab: Lab) -> Iterator[HostAgents]:
    starter = HostAgents(lab)
    try:
        yield starter
    finally:
        starter.finish()
        for host in lab.hosts.values():
            if not host.engine_answers():
                host.start_engine()
            names = host.docker("ps", "-aq").split()
            if names:
                # Podman waits ten seconds for a process that does not heed SIGTERM, Docker kills at once
                host.docker("rm", "-f", *(("-t", "0") if host.spec.engine == "podman" else ()), *names)


@pytest.fixture
def run(agents: Any, lab: Lab) -> Callable[..., str]:
    """`run("dock", "name", *options, command=[...])`: a running container; its id."""

    def start_container(
        host: str, name: str, *options: str, command: tuple[str, ...] = ("sleep", "1d")
    ) -> str:
        return lab.host(host).docker("run", "-d", "--name", name, *options, "busybox:latest", *command)

    return start_container
