"""Tunnels beside `ssh -L`: a big download, and 200 connections at once.

Both go through the same sshd on this machine to the same sender, one after the other, several times: only
their ratio is a limit. OpenSSH is measured with its own choice of cipher, and beside that, without a limit,
with the one that berth prefers.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from tests.backend.sshd import Sshd, free_port
from tests.bench.table import Figure

GCM = "aes128-gcm@openssh.com"
MANY = 200
SHARE = 0.9
"""Of the throughput of `ssh -L` at least."""
_SENDER = """\
import os, socket, sys, threading
piece = memoryview(os.urandom(1 << 20))
server = socket.create_server(("127.0.0.1", 0), backlog=1024)
print(server.getsockname()[1], flush=True)
def serve(peer):
    with peer:
        left = int(peer.makefile("rb").readline() or 0)
        while left:
            left -= peer.send(piece[:left])
while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
"""


class Bed:
    """A server, a sender behind it, and forwards to that."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sshd = Sshd(folder / "sshd").start()
        self.sender = subprocess.Popen([sys.executable, "-c", _SENDER], stdout=subprocess.PIPE)
        assert self.sender.stdout is not None
        self.port = int(self.sender.stdout.readline())
        self.running: list[subprocess.Popen[bytes]] = []

    def close(self) -> None:
        for each in (*self.running, self.sender):
            each.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                each.wait(10)
            each.kill()
            each.wait()
        self.sshd.stop()

    def by_ssh(self, *options: str) -> int:
        """`ssh -L`; its port."""
        port = free_port()
        argv = [
            "ssh", "-N", "-p", str(self.sshd.port), "-i", str(self.sshd.user_key), "-o", "IdentitiesOnly=yes",
            "-o", f"UserKnownHostsFile={self.sshd.known_hosts}", "-o", "LogLevel=ERROR", *options,
            "-L", f"127.0.0.1:{port}:127.0.0.1:{self.port}", "127.0.0.1",
        ]  # fmt: skip
        self.running.append(subprocess.Popen(argv, stdin=subprocess.DEVNULL))
        until = time.monotonic() + 20
        while time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                return port
            time.sleep(0.05)
        raise AssertionError("ssh -L does not listen")

    def by_berth(self) -> int:
        """`berth tunnel`; its port."""
        config = self.folder / "config"
        config.mkdir()
        server = self.sshd
        (config / "hosts.yaml").write_text(
            f"local: false\nhosts:\n  h0: {{host: 127.0.0.1, sshport: {server.port}, username: root,"
            f" identity_file: {server.user_key}, known_hosts: {server.known_hosts}}}\n"
        )
        argv = [
            sys.executable,
            "-m",
            "tui",
            "tunnel",
            "--config",
            str(config),
            "h0",
            str(self.port),
            "--json",
        ]
        env = {**os.environ, "BERTH_STATE_DIR": str(self.folder / "state")}
        child = subprocess.Popen(argv, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, env=env)
        self.running.append(child)
        assert child.stdout is not None
        (row,) = json.loads(child.stdout.readline())
        return int(row["address"].rpartition(":")[2])


def download(port: int, size: int) -> float:
    """Bytes a second."""
    buffer = bytearray(1 << 20)
    with socket.create_connection(("127.0.0.1", port)) as peer:
        peer.sendall(b"%d\n" % size)
        start, left = time.monotonic(), size
        while left and (got := peer.recv_into(buffer)):
            left -= got
        if left:
            raise AssertionError(f"{left} bytes are missing")
        return size / (time.monotonic() - start)


async def at_once(port: int, many: int, size: int = 20_000) -> tuple[int, float]:
    """How many of the connections were lost, and the seconds all took."""

    async def one() -> bool:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"%d\n" % size)
            got = len(await reader.readexactly(size))
            writer.close()
            return got == size
        except (OSError, asyncio.IncompleteReadError):
            return False

    start = time.monotonic()
    answers = await asyncio.gather(*(one() for _ in range(many)))
    return answers.count(False), time.monotonic() - start


@contextlib.contextmanager
def bed() -> Iterator[Bed]:
    """Removed at the end."""
    with tempfile.TemporaryDirectory(prefix="berth-tunnels-") as folder:
        made = Bed(Path(folder))
        try:
            yield made
        finally:
            made.close()


def figures(*, quick: bool) -> list[Figure]:
    """All of this part."""
    size, rounds = (200_000_000, 3) if quick else (1_000_000_000, 5)
    with bed() as made:
        ports = {"berth": made.by_berth(), "ssh": made.by_ssh(), "gcm": made.by_ssh("-c", GCM)}
        for port in ports.values():
            download(port, 10_000_000)
        rates: dict[str, list[float]] = {name: [] for name in ports}
        for _ in range(rounds):
            for name, port in ports.items():
                rates[name].append(download(port, size))
        lost, took = asyncio.run(at_once(ports["berth"], MANY))
        lost_ssh, took_ssh = asyncio.run(at_once(ports["ssh"], MANY))
    mb = {name: median(each) / 1e6 for name, each in rates.items()}
    big = f"{size / 1e9:g} GB through a tunnel"
    limit = 1 / SHARE
    note = f"its time; {mb['berth']:.0f} MB/s beside {{:.0f}} MB/s"
    return [
        Figure(f"{big}, beside ssh -L", _slower(rates, "ssh"), "x", limit, note=note.format(mb["ssh"])),
        Figure(
            f"the same, beside ssh -L with {GCM}", _slower(rates, "gcm"), "x", note=note.format(mb["gcm"])
        ),
        Figure(f"{MANY} connections at once, lost", lost, "", 0, {"ssh -L": lost_ssh}),
        Figure(f"{MANY} connections at once", took, "s", None, {"ssh -L": took_ssh}),
    ]


def _slower(rates: dict[str, list[float]], peer: str) -> float:
    """How often the peer's time ours is, as the median of rounds that met the same load."""
    return median(theirs / ours for ours, theirs in zip(rates["berth"], rates[peer], strict=True))
