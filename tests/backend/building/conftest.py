"""A lab of two Docker hosts and a Podman host for all tests of building, and the real program on it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab import Host, HostSpec, Lab, parts


def steps(seconds: int) -> str:
    """A command that says `t 1`, `t 2`... for so long, and that no build cache knows."""
    loop = f"i=0; while [ $i -lt {seconds} ]; do i=$((i+1)); echo t $i; sleep 1; done"
    return f": {os.urandom(6).hex()}; {loop}; echo whole > /whole"


class World:
    """The hosts, a folder of recipes, and berth as people run it."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab = lab
        self.folder = folder
        self.recipes = folder / "recipes"
        self.state = folder / "state"
        self.cache = folder / "cache"
        (folder / "home").mkdir()
        shutil.copytree(lab.config_dir, folder / "config")
        self.env = {
            **os.environ,
            "BERTH_CONFIG_DIR": str(folder / "config"),
            "BERTH_STATE_DIR": str(self.state),
            "BERTH_CACHE_DIR": str(self.cache),
            "HOME": str(folder / "home"),
        }

    def recipe(self, name: str, dockerfile: str, **files: str | bytes) -> Path:
        """Write a recipe `images/NAME`; `berth_yaml` is its berth.yaml."""
        place = self.recipes / "images" / name
        place.mkdir(parents=True, exist_ok=True)
        (place / "Dockerfile").write_text(dockerfile)
        for file, data in files.items():
            path = place / file.replace("berth_yaml", "berth.yaml")
            path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return place

    def argv(self, *words: str) -> list[str]:
        if words[:2] == ("images", "build"):
            words = (*words, "--root", str(self.recipes))
        return [sys.executable, "-m", "tui", *words]

    def berth(
        self, *words: str, code: int = 0, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess:
        done = subprocess.run(
            self.argv(*words),
            capture_output=True,
            text=True,
            env={**self.env, **(env or {})},
            stdin=subprocess.DEVNULL,
            check=False,
            timeout=110,
        )
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done

    def start(self, *words: str, env: dict[str, str] | None = None) -> subprocess.Popen:
        """The same, left running."""
        return subprocess.Popen(
            self.argv(*words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**self.env, **(env or {})},
        )

    def builds(self) -> list[dict]:
        """All records, newest first."""
        files = sorted((self.state / "builds").glob("*.json"), reverse=True)
        return [json.loads(file.read_text()) for file in files]

    def build(self, recipe: str, host: str) -> dict:
        return next(each for each in self.builds() if (each["recipe"], each["host"]) == (recipe, host))

    def state_of(self, recipe: str, host: str) -> str:
        return next(
            (
                each.get("state", "waiting")
                for each in self.builds()
                if (each["recipe"], each["host"]) == (recipe, host)
            ),
            "",
        )


def ended(process: subprocess.Popen) -> str:
    """What a process said to its end."""
    out, _ = process.communicate(timeout=110)
    return out


def busy(host: Host) -> list[str]:
    """Build processes on a host, and running containers of builds."""
    found = host.run(["ps", "-eo", "args"]).stdout.splitlines()
    return [line for line in found if "berth-build" in line or "docker build" in line or "echo t $i" in line]


@pytest.fixture(scope="session")
def builders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    parts.require("rsync")
    specs = [HostSpec("h1"), HostSpec("h2"), HostSpec("p1", engine="podman")]
    with Lab(tmp_path_factory.mktemp("builders") / "lab", specs) as lab:
        yield lab


@pytest.fixture
def world(builders: Lab, tmp_path: Path) -> Iterator[World]:
    """Images, containers and builds of a test are gone afterwards."""
    world = World(builders, tmp_path)
    yield world
    for host in builders.hosts.values():
        host.docker("rm", "-fa" if host.spec.engine == "podman" else "-f", *_containers(host), check=False)
        names = host.docker("images", "-a", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}").splitlines()
        for line in names:
            name, _, identity = line.partition(" ")
            if not name.endswith(("busybox:latest", "debian:lab")):
                host.docker("rmi", "-f", identity if name.startswith("<none>") else name, check=False)


def _containers(host: Host) -> list[str]:
    return host.docker("ps", "-aq").split()


Kill = Callable[[subprocess.Popen], None]


@pytest.fixture
def kill() -> Kill:
    """End a process of ours as hard as can be."""

    def do(process: subprocess.Popen) -> None:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()

    return do
