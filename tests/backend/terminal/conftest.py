"""One lab host for all tests of terminals, and berth on a terminal of its own."""

from __future__ import annotations

import io
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.backend.terminal.driver import Driven
from tests.lab import Host, HostSpec, Lab, config, parts

HOSTILE = "x.$(touch${IFS}pwned)#(touch${IFS}pwned);"
"""A context's name that two shells and tmux would each like to run."""


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    parts.require()
    with Lab(tmp_path_factory.mktemp("terminals") / "lab", [HostSpec("h1")]) as lab:
        (lab.config_dir / "contexts/h1-work.yaml").unlink()
        common = {"host": "h1", "image": "busybox:latest", "workdir": "/tmp"}
        contexts = {"train": {**common, "container": "work"}, HOSTILE: {**common, "container": "third"}}
        config.write(lab, contexts=contexts)
        host = lab.host("h1")
        for name in ("work", "other", "third"):
            host.docker("run", "-d", "--name", name, "busybox:latest", "sleep", "1d")
        yield lab


@pytest.fixture
def host(lab: Lab) -> Iterator[Host]:
    """The host; what a test left running on it is ended."""
    host = lab.host("h1")
    yield host
    host.heal()
    if host.run(["tmux", "list-sessions"], user="alice", check=False).returncode == 0:
        host.run(["tmux", "kill-server"], user="alice", check=False)


@pytest.fixture
def env(lab: Lab, tmp_path: Path) -> dict[str, str]:
    return {"BERTH_CONFIG_DIR": str(lab.config_dir), "BERTH_STATE_DIR": str(tmp_path / "state")}


Berth = Callable[..., Driven]


@pytest.fixture
def berth(host: Host, env: dict[str, str]) -> Iterator[Berth]:
    """`berth("enter", "h1/work")`: the real program; ended with the test, before the host is tidied."""
    with ExitStack() as stack:

        def start(*words: str, **options: Any) -> Driven:
            argv = [sys.executable, "-m", "tui", *words]
            return stack.enter_context(Driven(argv, env=env, **options))

        yield start


@pytest.fixture
def bare(host: Host) -> Iterator[str]:
    """A container that runs and holds no shell at all."""
    busybox = Path("/usr/bin/busybox").read_bytes()
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        info = tarfile.TarInfo("busybox")
        info.mode, info.size = 0o755, len(busybox)
        tar.addfile(info, io.BytesIO(busybox))
    host.docker("import", "-", "bare:latest", data=archive.getvalue())
    host.docker("run", "-d", "--name", "bare", "bare:latest", "/busybox", "sleep", "1d")
    yield "bare"
    host.docker("rm", "-f", "bare")


def shells_in(host: Host, container: str) -> list[str]:
    """The processes of a container that have a terminal."""
    lines = host.docker("top", container, "-eo", "pid,tpgid,args").splitlines()[1:]
    return [line for line in lines if line.split()[1] != "-1"]
