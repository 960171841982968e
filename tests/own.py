"""Tests have folders of their own, and whoever runs them finds what they keep in berth as it was.

The folders are named before the workers of pytest-xdist start, which share them. Some programs under test
drop the environment, as a server for SSH does: so the real places are looked at before and after.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import psutil
import pytest

from backend.config import paths

_PREFIX = "berth-tests-of-"

Seen = dict[str, tuple[int, int]]
"""Path -> size and time of the last change."""


def pytest_configure(config: pytest.Config) -> None:
    if "PYTEST_XDIST_WORKER" not in os.environ:
        config.pluginmanager.register(Own(), "own-folders")


class Own:
    """Folders for the state and the cache, until the session ends."""

    def __init__(self) -> None:
        self.real = {folder: seen(folder) for folder in (paths.config_dir(), paths.state_dir())}
        self.changed: list[str] = []
        for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):  # by one that was killed
            if not psutil.pid_exists(int(left.name.removeprefix(_PREFIX).partition("-")[0])):
                shutil.rmtree(left, ignore_errors=True)
        self.folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
        os.environ["BERTH_STATE_DIR"] = str(self.folder / "state")
        os.environ["BERTH_CACHE_DIR"] = str(self.folder / "cache")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """In CI nobody else can have changed what is there; elsewhere somebody may use berth meanwhile."""
        for folder, before in self.real.items():
            after = seen(folder)
            self.changed += sorted(path for path in before | after if before.get(path) != after.get(path))
        if self.changed and os.environ.get("CI"):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        shutil.rmtree(self.folder, ignore_errors=True)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.changed:
            terminalreporter.section("changed outside of the tests' own folders", red=True)
            terminalreporter.write("".join(f"{path}\n" for path in self.changed[:20]))


def seen(folder: Path) -> Seen:
    """What is in a folder."""
    found: Seen = {}
    for where, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = os.path.join(where, name)
            try:
                status = os.lstat(path)
            except FileNotFoundError:
                continue  # gone meanwhile
            found[path] = (status.st_size, status.st_mtime_ns)
    return found
