"""Sync beside the same rsync by hand: small files, a large one, nothing changed, three hosts, nine rules.

Both go to the same sshd on this machine. Only ratios are limits: what a copy costs is a matter of the
machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

from backend import link as links
from backend.config import Config, SyncProfile, SyncRule
from backend.config.schema import Folders
from backend.config.syncdefaults import built_in
from backend.link import Link
from backend.sync.engine import Wish
from backend.sync.many import Many
from backend.sync.model import Plan
from backend.sync.plan import Options
from tests.backend.sshd import Sshd
from tests.bench.table import Figure

SMALL, LARGE = 10_000, 1_000_000_000
_ROOM = 8_000_000_000
RATE = 8_000_000
"""Bytes a second of a slow link."""


class Bed:
    """A server, two folders, and what a person types to sync them by hand."""

    def __init__(self, folder: Path, hosts: int = 1) -> None:
        self.folder = folder
        self.here, self.there = folder / "here", folder / "there"
        self.servers = []
        for number in range(hosts):
            home = folder / f"home-{number}"
            home.mkdir(parents=True)
            self.servers.append(Sshd(folder / f"sshd-{number}", SetEnv=f"HOME={home}").start())
        (self.here / "work").mkdir(parents=True)
        os.environ["BERTH_STATE_DIR"] = str(folder / "state")

    def close(self) -> None:
        for each in self.servers:
            each.stop()

    def ssh(self, number: int = 0) -> str:
        server = self.servers[number]
        return (
            f"ssh -p {server.port} -i {server.user_key} -o IdentitiesOnly=yes"
            f" -o UserKnownHostsFile={server.known_hosts} -o LogLevel=ERROR"
        )

    def by_hand(self, *options: str) -> float:
        argv = ["rsync", "-rltu", "-e", self.ssh(), *options, f"{self.here}/work", f"127.0.0.1:{self.there}/"]
        start = time.monotonic()
        subprocess.run(argv, check=True, capture_output=True)
        return time.monotonic() - start

    def configured(self) -> Path:
        """The same as berth's configuration."""
        config = self.folder / "config"
        config.mkdir(exist_ok=True)
        lines = ["local: false", "hosts:"]
        for number, server in enumerate(self.servers):
            lines += [
                f"  h{number}:",
                "    host: 127.0.0.1",
                f"    sshport: {server.port}",
                "    username: root",
                f"    identity_file: {server.user_key}",
                f"    known_hosts: {server.known_hosts}",
            ]
        (config / "hosts.yaml").write_text("\n".join(lines) + "\n")
        rule = f"{{source: {self.here}/work, target: {self.there}/work}}"
        (config / "sync.yaml").write_text(f"profiles:\n  bench:\n    rules: [{rule}]\n")
        return config

    def by_shell(self) -> float:
        """From the shell: with the start of Python and a login of its own, as rsync has its login."""
        argv = [
            sys.executable,
            "-m",
            "tui",
            "push",
            "bench",
            "--config",
            str(self.configured()),
            "--host",
            "h0",
        ]
        start = time.monotonic()
        subprocess.run(argv, check=True, capture_output=True)
        return time.monotonic() - start

    @contextlib.contextmanager
    def slow_links(self) -> Iterator[None]:
        """While this is entered, every server is behind a link of 8 MB/s."""
        running, ports = [], [server.port for server in self.servers]
        try:
            for server in self.servers:
                argv = [sys.executable, "-m", "tests.bench.slow", str(server.port), str(RATE)]
                process = subprocess.Popen(argv, stdout=subprocess.PIPE)
                running.append(process)
                assert process.stdout is not None
                server.port = int(process.stdout.readline())
                with server.known_hosts.open("a") as known:
                    known.write(f"[127.0.0.1]:{server.port} {server.public}\n")
            yield
        finally:
            for process in running:
                process.kill()
                process.wait()
            for server, port in zip(self.servers, ports, strict=True):
                server.port = port

    async def connect(self) -> None:
        """Once before it is measured: what is loaded then is loaded in a dashboard too."""
        access = Connected(self.servers)
        await access.link("h0")
        await access.close()

    def by_berth(self, *hosts: int, profile: SyncProfile | None = None) -> float:
        """In a berth that runs, its connections made anew each time as rsync makes its own."""
        rule = SyncRule(source=f"{self.here}/work", target=f"{self.there}/work")
        chosen = profile or SyncProfile(name="bench", rules=(rule,))
        names = [f"h{number}" for number in hosts or (0,)]

        async def go() -> float:
            access = Connected(self.servers)
            rules = [chosen] if profile or len(names) == 1 else [self._own(number) for number in hosts]
            start = time.monotonic()
            runs = [
                self._run(access, [name], rules[min(at, len(rules) - 1)]) for at, name in enumerate(names)
            ]
            await asyncio.gather(*runs)
            took = time.monotonic() - start
            await access.close()
            return took

        return asyncio.run(go())

    def _own(self, number: int) -> SyncProfile:
        """A target of its own for each host: they share one disk here."""
        rule = SyncRule(source=f"{self.here}/work", target=f"{self.there}/{number}/work")
        return SyncProfile(name=f"bench-{number}", rules=(rule,))

    async def _run(self, access: Connected, hosts: list[str], profile: SyncProfile) -> None:
        entries = tuple(self.servers[int(name[1:])].host(name=name) for name in hosts)
        config = Config(directory=self.folder, hosts=entries, profiles=(profile,))
        async with Many(config, access, hosts, Wish(profile, Options("push"))) as many:
            for each in await many.run(Quiet()):
                assert each.ok, each

    def forget(self) -> None:
        """Nothing is there any more. Large files are removed; small ones are moved away, since ext4 without
        a journal takes a long look at each inode that was freed of late before it makes a file.
        """
        for path in self.there.rglob("*"):
            if path.is_file() and path.stat().st_size > 1_000_000:
                path.unlink()
        if self.there.exists():
            self.there.rename(self.folder / f"gone-{time.monotonic_ns()}")
        self.there.mkdir()
        shutil.rmtree(self.folder / "state", ignore_errors=True)
        os.sync()


class Quiet:
    """Nobody who asks, nobody who is asked."""

    def planned(self, host: str, plan: Plan) -> None:
        """Nothing."""

    def progress(self, host: str, done: int, total: int) -> None:
        """Nothing."""

    async def agree(self, plans: object) -> bool:
        return False


class Connected:
    """An `Access` with connections that are open, as the dashboard has them."""

    def __init__(self, servers: list[Sshd]) -> None:
        self.servers, self.state = servers, None
        self.links: dict[str, Link] = {}

    async def link(self, host: str) -> Link:
        if host not in self.links:
            self.links[host] = await links.open(self.servers[int(host[1:])].host(name=host))
        return self.links[host]

    async def close(self) -> None:
        for each in self.links.values():
            await each.close()


def plant(folder: Path, files: int) -> None:
    for number in range(files):
        where = folder / f"d{number % 100}"
        if number < 100:
            where.mkdir(parents=True, exist_ok=True)
        (where / f"file-{number}.py").write_bytes(b"x = %d\n" % number * 40)


def interleaved(
    rounds: int, before: Callable[[], None], one: Callable[[], float], other: Callable[[], float]
) -> tuple[float, float]:
    """Medians of both, measured in turn so that what else the machine does meets both alike."""
    first, second = [], []
    for _ in range(rounds):
        before()
        first.append(one())
        before()
        second.append(other())
    return median(first), median(second)


def figures(*, quick: bool) -> list[Figure]:
    """All of them."""
    if shutil.which("rsync") is None:
        raise RuntimeError("rsync is not installed")
    rounds = 1 if quick else 3
    found: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="berth-sync-", dir=_memory()) as name:
        bed = Bed(Path(name), hosts=3)
        try:
            found += _small(bed, rounds, SMALL // 10 if quick else SMALL)
            found += _hosts(bed, rounds)
            found += _nine(bed, rounds)
            found += _large(bed, rounds, LARGE // 10 if quick else LARGE)
        finally:
            bed.close()
    return found


def _memory() -> str | None:
    """A folder in memory, where there is room for all of it: what a disk is busy with is not ours."""
    folder = "/dev/shm"
    return folder if os.path.isdir(folder) and shutil.disk_usage(folder).free > _ROOM else None


def _ratio(name: str, ours: float, peer: float, limit: float | None, note: str = "") -> Figure:
    """How often the time by hand it takes."""
    took = f"{ours:.2f} s beside {peer:.2f} s"
    return Figure(name, ours / peer, "x", limit, note=f"{took}; {note}" if note else took)


def _small(bed: Bed, rounds: int, files: int) -> list[Figure]:
    plant(bed.here / "work", files)
    asyncio.run(bed.connect())
    new = interleaved(rounds, bed.forget, bed.by_berth, bed.by_hand)
    same = interleaved(rounds, lambda: None, bed.by_berth, bed.by_hand)
    shell = interleaved(rounds, lambda: None, bed.by_shell, bed.by_hand)
    return [
        _ratio(f"sync of {files:,} small files", *new, 1.15, "beside rsync by hand"),
        _ratio("sync where nothing changed", *same, 1.3, "beside rsync by hand"),
        _ratio(
            "the same by `berth push`, from the shell", *shell, None, "with Python's start and its imports"
        ),
    ]


def _large(bed: Bed, rounds: int, size: int) -> list[Figure]:
    shutil.rmtree(bed.here / "work")
    (bed.here / "work").mkdir()
    with open(bed.here / "work/file", "wb") as file:
        for _ in range(size // 1_000_000):
            file.write(os.urandom(1_000_000))
    both = interleaved(rounds, bed.forget, bed.by_berth, bed.by_hand)
    return [_ratio(f"sync of one file of {size / 1e9:g} GB", *both, 1.15, "beside rsync by hand")]


def _hosts(bed: Bed, rounds: int) -> list[Figure]:
    """Behind links of 8 MB/s each; and without, where one machine's processors do the work of four."""
    every = range(len(bed.servers))
    for number in range(24):
        (bed.here / f"work/large-{number}").write_bytes(os.urandom(1_000_000))
    with bed.slow_links():
        slow = _alone_and_together(bed, rounds, every)
    fast = _alone_and_together(bed, rounds, every)
    return [
        _ratio("sync with three hosts, 8 MB/s to each", *slow, 1.6, "beside the slowest alone"),
        _ratio(
            "the same without that limit", *fast, None, f"all four machines share {os.cpu_count()} processors"
        ),
    ]


def _alone_and_together(bed: Bed, rounds: int, hosts: range) -> tuple[float, float]:
    """All at once, and the slowest alone."""
    alone, together = [], []
    for _ in range(rounds):
        each = []
        for number in hosts:
            bed.forget()
            each.append(bed.by_berth(number))
        alone.append(max(each))
        bed.forget()
        together.append(bed.by_berth(*hosts))
    return median(together), median(alone)


def _nine(bed: Bed, rounds: int) -> list[Figure]:
    """The default push beside nine rsyncs, one after the other and all at once."""
    home = bed.folder / "laptop"
    for folder in (
        "mirror",
        *(f"shared/{name}" for name in ("notebook", "script", "tests", "bin", "secret")),
    ):
        plant(home / folder, 200)
    old = os.environ["HOME"]
    os.environ["HOME"] = str(home)
    profile = next(each for each in built_in(Folders()) if each.name == "push")
    target = bed.folder / "home-0"

    def forget() -> None:
        for name in ("mirror", "shared"):
            shutil.rmtree(target / name, ignore_errors=True)
        (target / "shared").mkdir()
        shutil.rmtree(bed.folder / "state", ignore_errors=True)

    def nine() -> float:
        start = time.monotonic()
        running = []
        for rule in profile.rules:
            if (home / rule.source).is_dir():
                options = [f"--filter={text}" for text in rule.filter]
                argv = ["rsync", "-urt", "--max-size=1M", "-e", bed.ssh(), *options]
                argv += [f"{home}/{rule.source}/", f"127.0.0.1:{rule.target}/"]
                running.append(subprocess.Popen(argv, stderr=subprocess.DEVNULL))
        for each in running:
            each.wait()
        return time.monotonic() - start

    try:
        both = interleaved(rounds, forget, lambda: bed.by_berth(0, profile=profile), nine)
    finally:
        os.environ["HOME"] = old
    return [_ratio("the default push", *both, None, "beside rsync once for each rule, all at once")]
