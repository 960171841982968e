"""Three hosts on loopback, each a real sshd, for all tests of a module."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backend.sshd import Sshd


class Bed:
    """The servers, their configuration, and what the processes on them left behind."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "config"
        self.servers = [Sshd(folder / f"sshd-{number}").start() for number in range(3)]
        self.config.mkdir()
        lines = ["hosts:"]
        for number, server in enumerate(self.servers):
            host = server.host()
            lines += [
                f"  h{number}:",
                f"    host: {host.host}",
                f"    sshport: {host.sshport}",
                f"    username: {host.username}",
                f"    identity_file: {host.identity_file}",
                f"    known_hosts: {host.known_hosts}",
                f"    tags: [t{number}]",
            ]
        (self.config / "hosts.yaml").write_text("\n".join(lines) + "\n")

    def pids(self, path: Path, count: int) -> list[int]:
        """Numbers of processes in a file, once so many are there; none before."""
        found = [int(word) for word in path.read_text().split()] if path.exists() else []
        return found if len(found) >= count else []

    def close(self) -> None:
        for server in self.servers:
            server.stop()


def alive(pid: int) -> bool:
    """Whether it runs; what nobody has buried yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    made = Bed(tmp_path_factory.mktemp("bed"))
    yield made
    made.close()


@pytest.fixture
def places(bed: Bed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Berth's own places are the test's."""
    monkeypatch.setenv("BERTH_CONFIG_DIR", str(bed.config))
    monkeypatch.setenv("BERTH_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setenv("SHELL", os.environ.get("SHELL") or "/bin/sh")
    return tmp_path
