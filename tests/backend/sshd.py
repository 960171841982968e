"""A real sshd of our own on a loopback port, up in a tenth of a second: everything but a network to pull."""

from __future__ import annotations

import contextlib
import getpass
import os
import random
import shutil
import socket
import subprocess
import time
from collections import deque
from pathlib import Path
from typing import Any

from backend.config import HostConfig

PROGRAM = shutil.which("sshd") or "/usr/sbin/sshd"


_PORTS = 1_000
"""Each test process has its own: one that stopped a server would else find another's on its port."""


_given: deque[int] = deque(maxlen=_PORTS // 2)
"""The ports of late: two servers of a test do not get the same one."""


def free_port() -> int:
    """A port below those the kernel gives to clients: one of them could connect to itself while it waits."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 12
    while True:
        port = 20_000 + worker * _PORTS + random.randrange(_PORTS)
        if port in _given:  # to a server that has not started yet, or was stopped for a while
            continue
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.bind(("127.0.0.1", port))
            _given.append(port)
            return port


def keygen(path: Path, kind: str = "ed25519", passphrase: str = "") -> Path:
    command = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "test", "-f", str(path)]
    subprocess.run(command, check=True)
    return path


class Sshd:
    """One server: `start()` it, `stop()` it, change its `options` or its keys in between."""

    def __init__(self, folder: Path, **options: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.options = options
        folder.mkdir(parents=True, exist_ok=True)
        self.host_key = keygen(folder / "host_key")
        self.user_key = keygen(folder / "user_key")
        self.authorized = folder / "authorized_keys"
        self.authorized.write_bytes((folder / "user_key.pub").read_bytes())
        self.known_hosts = folder / "known_hosts"
        self.home = folder / "home"
        """Of whoever logs in, whatever /etc/passwd says."""
        self.home.mkdir(exist_ok=True)
        self.trust()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def public(self) -> str:
        """Kind and data of the host key."""
        return " ".join(self.host_key.with_suffix(".pub").read_text().split()[:2])

    def trust(self) -> None:
        """Put the host key on record, and nothing else."""
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {self.public}\n")

    def new_host_key(self, kind: str = "ed25519") -> None:
        """Another host key, as after a new installation; needs a restart."""
        self.host_key = keygen(self.folder / f"host_key_{time.monotonic_ns()}", kind)

    def host(self, **changes: Any) -> HostConfig:
        """This server as an entry of hosts.yaml."""
        entry: dict[str, Any] = {
            "name": "box",
            "host": "127.0.0.1",
            "sshport": self.port,
            "username": getpass.getuser(),
            "identity_file": self.user_key,
            "known_hosts": self.known_hosts,
        }
        return HostConfig(**{**entry, **changes})

    def start(self) -> Sshd:
        lines = {
            "Port": str(self.port),
            "ListenAddress": "127.0.0.1",
            "HostKey": str(self.host_key),
            "AuthorizedKeysFile": str(self.authorized),
            "PidFile": str(self.folder / "pid"),
            "UsePAM": "no",
            "StrictModes": "no",
            "PermitRootLogin": "prohibit-password",
            "PasswordAuthentication": "no",
            "PermitUserEnvironment": "yes",
            "Subsystem": "sftp internal-sftp",
            "SetEnv": f"HOME={self.home}",
            **self.options,
        }
        config = self.folder / "config"
        config.write_text("".join(f"{key} {value}\n" for key, value in lines.items()))
        Path("/run/sshd").mkdir(exist_ok=True)
        with open(self.folder / "log", "ab") as log:
            before = log.tell()
            self._process = subprocess.Popen([PROGRAM, "-D", "-e", "-f", str(config)], stderr=log)
        until = time.monotonic() + 10
        while time.monotonic() < until:
            # it says so itself: another suite's server may have the port
            said = (self.folder / "log").read_bytes()[before:]
            if b"Server listening on " in said:
                return self
            assert self._process.poll() is None, said.decode(errors="replace")
            time.sleep(0.02)
        raise AssertionError("sshd does not listen")

    def stop(self) -> None:
        """End it and the sessions it serves."""
        if self._process is None:
            return
        for child in children(self._process.pid):
            kill(child)
        self._process.kill()
        self._process.wait()
        self._process = None

    def sessions(self) -> list[int]:
        """Pids of the processes that serve connections."""
        return children(self._process.pid) if self._process else []


def children(pid: int) -> list[int]:
    """Direct children of a process."""
    found: list[int] = []
    with contextlib.suppress(OSError):  # it ended meanwhile
        for task in os.listdir(f"/proc/{pid}/task"):
            found += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
    return found


def descendants(pid: int) -> list[int]:
    """All processes below a process."""
    found = children(pid)
    for child in list(found):
        found += descendants(child)
    return found


def kill(pid: int, signal: int = 9) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal)
