"""A Docker and a Podman host with a Debian image, a repository of workspaces, and the program on them."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import HostSpec, Lab, parts
from tests.lab.machine import wait_for

SLOW = 110


class Repository:
    """A folder with run-data, as people clone it, below a home of its own."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab = lab
        self.home = folder / "home"
        self.root = self.home / "flow"
        self.src = self.root / "run-data" / "src"
        self.src.mkdir(parents=True)
        self.config = folder / "config"
        shutil.copytree(lab.config_dir, self.config)
        (self.config / "settings.yaml").write_text(f"images:\n  roots: [{self.root}]\n  maintainer: me\n")
        self.state = folder / "state"
        self.env = {
            **os.environ,
            "BERTH_CONFIG_DIR": str(self.config),
            "BERTH_STATE_DIR": str(self.state),
            "BERTH_CACHE_DIR": str(folder / "cache"),
            "HOME": str(self.home),
        }

    def workspace(self, name: str, **hooks: str | bytes) -> Path:
        """`run-data/src/NAME/container` with these files; `_` in a name stands for `-`, `X_txt` for X.txt."""
        place = self.src / name / "container"
        place.mkdir(parents=True)
        for hook, data in hooks.items():
            file = hook.removesuffix("_txt") + ".txt" if hook.endswith("_txt") else hook.replace("_", "-")
            path = place / file.replace("berth-yaml", "berth.yaml")
            path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return place

    def berth(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "tui", *words],
            capture_output=True, text=True, env=self.env, stdin=subprocess.DEVNULL, check=False, timeout=SLOW,
        )  # fmt: skip
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done

    def context(self, name: str) -> str:
        return (self.config / "contexts" / f"{name}.yaml").read_text()


class Held:
    """A verb that goes on until it is interrupted, and what it has said so far."""

    def __init__(self, repository: Repository, *words: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tui", *words],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=repository.env,
        )  # fmt: skip
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    @property
    def said(self) -> str:
        return "\n".join(self.lines)

    def url(self, seconds: float = SLOW) -> str:
        def look() -> str:
            assert self.process.poll() is None or "http://" in self.said, self.said
            return next(iter(re.findall(r"http://127\.0\.0\.1:\S+", self.said)), "")

        return wait_for(look, "an address", seconds=seconds)

    def ended(self) -> int:
        code = self.process.wait(SLOW)
        self._reader.join(SLOW)
        return code

    def interrupt(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.ended()


@pytest.fixture(scope="session")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    parts.require("rsync")
    specs = [HostSpec("h1", gpus="nvidia:2"), HostSpec("p1", engine="podman")]
    with Lab(tmp_path_factory.mktemp("workspaces") / "lab", specs) as lab:
        for host in lab.hosts.values():
            host.load_debian()
        yield lab


@pytest.fixture
def repository(hosts: Lab, tmp_path: Path) -> Iterator[Repository]:
    """Its containers are gone afterwards."""
    yield Repository(hosts, tmp_path)
    for host in hosts.hosts.values():
        for container in host.docker("ps", "-aq").split():
            host.docker("rm", "-f", container, check=False)


@pytest.fixture
def hold(repository: Repository) -> Iterator[type[Held]]:
    """Start a verb that is ended with the test."""
    held: list[Held] = []

    def start(*words: str) -> Held:
        held.append(Held(repository, *words))
        return held[-1]

    yield start
    for each in held:
        if each.process.poll() is None:
            each.process.kill()
        each.process.wait()
