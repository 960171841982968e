"""One command on three hosts, from the shell, beside ssh by hand and pssh where that is installed."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median

from tests.backend.sshd import Sshd
from tests.bench.table import Figure

HOSTS = 3
LINES = 100_000
_PSSH = ("parallel-ssh", "pssh")


@contextlib.contextmanager
def servers(folder: Path) -> Iterator[list[Sshd]]:
    """Three of them on loopback, and berth's configuration for them."""
    home = folder / "home"  # what a shell reads in this machine's home is no matter of either side
    home.mkdir()
    made = [Sshd(folder / f"sshd-{number}", SetEnv=f"HOME={home}").start() for number in range(HOSTS)]
    try:
        lines = ["local: false", "hosts:"]
        for number, server in enumerate(made):
            lines += [
                f"  h{number}:",
                "    host: 127.0.0.1",
                f"    sshport: {server.port}",
                "    username: root",
                f"    identity_file: {server.user_key}",
                f"    known_hosts: {server.known_hosts}",
            ]
        (folder / "hosts.yaml").write_text("\n".join(lines) + "\n")
        yield made
    finally:
        for server in made:
            server.stop()


def _options(server: Sshd) -> list[str]:
    return [
        *("-i", str(server.user_key), "-o", "IdentitiesOnly=yes", "-o", "LogLevel=ERROR"),
        *("-o", f"UserKnownHostsFile={server.known_hosts}"),
    ]


def by_ssh(made: Sequence[Sshd], command: str) -> None:
    """What a person types: all in the background, and wait."""
    running = []
    for server in made:
        argv = ["ssh", "-n", "-p", str(server.port), *_options(server), "127.0.0.1", command]
        running.append(subprocess.Popen(argv, stdout=subprocess.DEVNULL))
    for child in running:
        if child.wait():
            raise RuntimeError(f"ssh ended with {child.returncode}")


def by_pssh(program: str, made: Sequence[Sshd], folder: Path, command: str) -> None:
    """The program that people have for this."""
    listed = folder / "hosts.txt"
    listed.write_text("".join(f"root@127.0.0.1:{server.port}\n" for server in made))
    known = folder / "known"
    known.write_text("".join(server.known_hosts.read_text() for server in made))
    keys = [word for server in made for word in ("-x", f"-i {server.user_key}")]
    argv = [program, "-h", str(listed), *keys, "-O", f"UserKnownHostsFile={known}", command]
    subprocess.run(argv, check=True, capture_output=True)


def by_berth(folder: Path, command: str) -> None:
    """`berth each`, its output into a file that is no terminal."""
    argv = [sys.executable, "-m", "tui", "--config", str(folder), "each", "--", command]
    env = {**os.environ, "BERTH_STATE_DIR": str(folder / "state")}
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)


def _times(rounds: int, ways: Sequence[Callable[[], None]]) -> list[float]:
    """The median of each way; one after the other, so that a busy moment is nobody's alone."""
    taken: list[list[float]] = [[] for _ in ways]
    for _ in range(rounds):
        for way, times in zip(ways, taken, strict=True):
            start = time.monotonic()
            way()
            times.append(time.monotonic() - start)
    return [median(times) for times in taken]


def figures(*, quick: bool = False) -> list[Figure]:
    """All of it."""
    rounds = 3 if quick else 9
    with tempfile.TemporaryDirectory(prefix="berth-bench-each-") as name, servers(Path(name)) as made:
        folder = Path(name)
        pssh = next(filter(None, map(shutil.which, _PSSH)), None)
        peers = {"ssh & wait": lambda: by_ssh(made, "true")}
        if pssh is not None:
            peers["pssh"] = lambda: by_pssh(pssh, made, folder, "true")
        ours, *others = _times(rounds, [lambda: by_berth(folder, "true"), *peers.values()])
        many = f"seq {LINES}"
        much, theirs = _times(
            max(1, rounds // 3), [lambda: by_berth(folder, many), lambda: by_ssh(made, many)]
        )
    return [
        Figure(
            "berth each -- true on three hosts, from the shell",
            ours,
            "s",
            0.5,
            dict(zip(peers, others, strict=True)),
            note="Python's start and three logins",
        ),
        Figure(
            f"{LINES:,} lines of each of three hosts",
            much,
            "s",
            peers={"ssh & wait": theirs},
            note="each line behind the name of its host",
        ),
    ]
