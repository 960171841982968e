"""Acceptance: what a person does with berth, on a real terminal and real hosts."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.terminal import Terminal
from tests.acceptance.the_day import Day
from tests.lab import Host, Lab, images, parts

IMAGE = "quick:latest"
"""As busybox:latest, but its containers end at once when they are stopped."""
KEPT = "train:kept"
"""What a test commits."""
_COMMAND = '["sh", "-c", "trap \'exit 0\' TERM; echo ready; sleep 100000 & wait"]'
_CHANGES = ("ENV PATH=/bin:/usr/bin", f"CMD {_COMMAND}")


@pytest.fixture(scope="session")
def hosts(lab: Lab) -> list[Host]:
    """The lab's hosts, with IMAGE on each."""

    def give(host: Host) -> None:
        changes = [word for each in _CHANGES for word in ("--change", each)]
        host.docker("import", *changes, "-", IMAGE, data=images.busybox().read_bytes())

    lab.each(give)
    return list(lab.hosts.values())


@pytest.fixture
def env(lab: Lab, tmp_path: Path) -> dict[str, str]:
    """Where a berth of the test's own keeps its things: the lab's hosts, no contexts."""
    config = tmp_path / "config"
    shutil.copytree(lab.config_dir, config, ignore=shutil.ignore_patterns("contexts"))
    return {
        "BERTH_CONFIG_DIR": str(config),
        "BERTH_STATE_DIR": str(tmp_path / "state"),
        "BERTH_CACHE_DIR": str(tmp_path / "cache"),
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
    }


@pytest.fixture
def tidy(lab: Lab) -> Iterator[None]:
    """Remove what the test left on the hosts: containers, sessions, images of its own."""
    yield
    for host in lab.hosts.values():
        host.heal()
        if left := host.docker("ps", "-aq").split():
            host.docker("rm", "-f", *left, check=False)
        host.docker("rmi", KEPT, check=False)
        host.run(["tmux", "kill-server"], user="alice", check=False)


@pytest.fixture
def terminal(tmp_path: Path, env: dict[str, str], tidy: None) -> Iterator[Callable[..., Terminal]]:
    """`terminal(size=(80, 24))`: a terminal with a shell that knows `berth`."""
    with ExitStack() as stack:
        number = iter(range(100))

        def start(**options: Any) -> Terminal:
            folder = tmp_path / f"terminal-{next(number)}"
            folder.mkdir()
            return stack.enter_context(Terminal(folder, env, **options))

        yield start


@pytest.fixture
def day(hosts: list[Host], env: dict[str, str], tidy: None, tmp_path: Path) -> Iterator[Day]:
    """What the rest of the day needs: a project, a container with JupyterLab, a big file, a lost image."""
    parts.require("chromium", "rsync")
    day = Day(hosts, env, tmp_path)
    try:
        day.begin()
        yield day
    finally:
        day.end()
