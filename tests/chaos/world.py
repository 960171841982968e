"""The host under fire, and what is asked of it."""

from __future__ import annotations

import json
import random
import sqlite3
import struct
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.lab import Host, HostSpec, Lab, LabError
from tests.lab.agent import kept_agent
from tests.lab.machine import command

HERE = Path(__file__).parent
QUEUE = "/var/lib/berth"
MARKS = "/var/tmp/marks"
DISK = 24 << 20
"""Bytes of the file system that the queue has for itself, so that it can be filled."""
USERS = ("alice", "bob", "root")
LABEL = "berth.queue"


@dataclass
class Acknowledged:
    """A job that was accepted."""

    id: int
    user: str
    code: int
    """What it exits with if it is let."""
    retries: int
    request: dict[str, Any]


@dataclass
class World:
    """One host of a lab with eight GPUs."""

    host: Host
    rng: random.Random
    jobs: dict[int, Acknowledged] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    """Names of jobs whose submitter was killed before it could say whether they were accepted."""
    cancelled: set[int] = field(default_factory=set)
    by_hand: set[str] = field(default_factory=set)
    """Containers that somebody killed or removed."""
    engine_events: list[dict[str, Any]] = field(default_factory=list)
    held: list[tuple[str, float, float]] = field(default_factory=list)
    """(GPU, from, to) on the machine's own clock: held by a process that nobody asked."""
    image: str = ""
    _loop: str = ""
    _names: int = 0
    _watcher: subprocess.Popen[bytes] | None = None
    _lines: threading.Thread | None = None

    # -- setting up

    @classmethod
    def build(cls, lab: Lab, seed: int) -> World:
        """On the first host of a lab that is up."""
        world = cls(next(iter(lab.hosts.values())), random.Random(seed))
        host = world.host
        disk = host.folder / "queue.img"
        with disk.open("wb") as file:
            file.truncate(DISK)
        command(["mkfs.ext4", "-q", "-F", "-m", "0", str(disk)])
        world._loop = command(["losetup", "-f", "--show", str(disk)]).stdout.strip()
        # the same file system, seen from outside too: SQLite does not go through /proc/PID/root
        world.folder.mkdir()
        command(["mount", world._loop, str(world.folder)])
        library = host.folder / "clock.so"
        command(["gcc", "-shared", "-fPIC", "-O1", "-o", str(library), str(HERE / "clock.c"), "-ldl"])
        host.put("/opt/agent.pyz", kept_agent(), mode=0o755)
        host.put("/opt/inside.py", (HERE / "inside.py").read_bytes())
        host.put("/opt/clock.so", library.read_bytes(), mode=0o755)
        host.run(["mkdir", "-p", "-m", "1777", MARKS])
        host.run(["mkdir", "-p", QUEUE])
        world.image = json.loads(host.docker("inspect", "busybox:latest"))[0]["Id"]
        world.after_boot()
        host.run(["sh", "-c", f"chgrp docker {QUEUE} && chmod 2770 {QUEUE}"])
        return world

    def after_boot(self) -> None:
        """What a real machine has in its fstab."""
        number = self._loop.removeprefix("/dev/loop")
        script = f"mknod {self._loop} b 7 {number} && mount {self._loop} {QUEUE}"
        self.host.run(["sh", "-c", f"[ -e {self._loop} ] || {{ {script}; }}"])
        self.set_clock(0.0)
        self.watch()

    def close(self) -> None:
        """Let go of the disk; the lab is taken down by whoever made it."""
        if self._watcher is not None:
            self._watcher.kill()  # what it started in the host ends with that
            self._watcher.wait()
        command(["umount", str(self.folder)], check=False)
        if self._loop:
            command(["losetup", "-d", self._loop], check=False)

    @property
    def folder(self) -> Path:
        """The queue's folder as this machine sees it."""
        return self.host.folder / "queue"

    # -- asking

    def inside(self, verb: str, body: dict[str, Any], *, user: str = "root", late: float = 0.0) -> Any:
        """A verb of inside.py; None where it failed. `late` seconds after its start it is killed."""
        process = self._start(verb, user)
        assert process.stdin is not None
        process.stdin.write(json.dumps(body).encode())
        process.stdin.close()
        process.stdin = None
        if late:
            time.sleep(late)
            self.kill_named(f"/opt/inside.py {verb}")
        try:
            out, err = process.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            self.kill_named(f"/opt/inside.py {verb}")
            out, err = process.communicate()
        self.said = err.decode(errors="replace")
        return json.loads(out) if process.returncode == 0 and out.strip() else None

    def _start(self, verb: str, user: str) -> subprocess.Popen[bytes]:
        argv = ["env", "LD_PRELOAD=/opt/clock.so", "python3", "-I", "-S", "/opt/inside.py", verb]
        return self.host.popen(argv, user=user)

    def submit(self, count: int, *, user: str = "", late: float = 0.0, **fixed: Any) -> list[int]:
        """Submit some jobs; the numbers of those that were accepted for sure. Who gets no answer asks once
        more, by the same key."""
        user = user or self.rng.choice(USERS)
        jobs, told = [], []
        for _ in range(count):
            body, code = self._job(**fixed)
            jobs.append(body)
            told.append(code)
        wanted = {"user": user, "jobs": jobs, "open": self.rng.random() < 0.3, "key": jobs[0]["name"]}
        ids = self.inside("submit", wanted, user=user, late=late)
        if ids is None and (late or "LostAnswer" in self.said):
            ids = self.inside("submit", wanted, user=user)
        if ids is None:
            if late or "LostAnswer" in self.said:
                self.unknown += [body["name"] for body in jobs]
            return []
        for number, body, code in zip(ids, jobs, told, strict=True):
            self.jobs[number] = Acknowledged(number, user, code, body["retries"], body["request"])
        return list(ids)

    def _job(self, **fixed: Any) -> tuple[dict[str, Any], int]:
        rng = self.rng
        self._names += 1
        code = rng.choice((0, 0, 0, 0, 3, 7, 42))
        seconds = rng.choice((0, 0.1, 0.3, 1, 2)) if "seconds" not in fixed else fixed["seconds"]
        gpus = rng.choice((0, 0, 1, 1, 1, 2, 2, 4, 8)) if "gpus" not in fixed else fixed["gpus"]
        script = (
            'echo "start $BERTH_JOB_ID $BERTH_JOB_ATTEMPT $(cat /proc/sys/kernel/random/uuid)" >>/marks/$0;'
            f" echo hello $0; sleep {seconds};"
            f' echo "end $BERTH_JOB_ID $BERTH_JOB_ATTEMPT {code}" >>/marks/$0; exit {code}'
        )
        name = f"job-{self._names}"
        spec = {
            "image": self.image,
            "command": ["sh", "-c", script, name],
            "mounts": [[MARKS, "/marks", False]],
            "grace": rng.choice((0.2, 1.0)),
        }
        request = {"gpus": gpus, "cpus": rng.choice((0, 0, 0, 1))}
        if rng.random() < 0.3:
            request["memory"] = rng.choice((64, 256)) << 20
        if rng.random() < 0.15:
            request["time_limit"] = rng.choice((1.5, 60.0, 3600.0))
        body = {
            "name": name,
            "spec": spec,
            "request": request,
            "retries": rng.choice((0, 0, 0, 1, 2)),
            "priority": fixed.get("priority", rng.choice((0, 0, 0, 5))),
        }
        return body, code

    def database(self, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Read the queue's database from outside; nothing while it cannot be read."""
        try:
            connection = sqlite3.connect(f"file:{self.folder}/queue.db?mode=ro", uri=True, timeout=5)
            try:
                return connection.execute(sql, values).fetchall()
            finally:
                connection.close()
        except sqlite3.Error:
            return []

    def states(self) -> dict[int, str]:
        """The state of every job."""
        return dict(self.database("SELECT id, state FROM jobs"))

    def unfinished(self) -> int:
        """How many are not over yet."""
        states = ("queued", "held", "starting", "running")
        return sum(state in states for state in self.states().values())

    # -- who is there

    def processes(self, name: str) -> list[int]:
        """Pids of the host's processes of that name (as `ps -o comm` has it), as the host counts."""
        return self.host.processes(name)

    def kill_named(self, words: str) -> None:
        """SIGKILL what has these words on its command line, but no keeper."""
        for entry in Path(f"/proc/{self.host.pid}/root/proc").glob("[0-9]*"):
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                keeper = (entry / "comm").read_text().startswith("berth")
            except OSError:
                continue
            if words in line and not keeper and line.startswith(("python3", "/usr/bin/python3")):
                self.signal("KILL", int(entry.name))

    def signal(self, name: str, *pids: int) -> None:
        """Send a signal to processes of the host."""
        if pids:
            self.host.run(["kill", f"-{name}", *map(str, pids)], check=False)

    def containers(self, *options: str) -> list[str]:
        """Ids of the queue's containers; those that run, without options."""
        said = self.host.run(
            ["docker", "ps", "--no-trunc", "-q", "--filter", f"label={LABEL}", *options], check=False
        )
        return said.stdout.split()

    # -- the engine's own record

    def watch(self) -> None:
        """Write down the engine's events until it goes away; call it again when it is back."""
        if self._watcher is not None:
            self._watcher.kill()
            self._watcher.wait()
        if self._lines is not None:
            self._lines.join(5)
        filters = ["--filter", "type=container", "--filter", f"label={LABEL}"]
        self._watcher = self.host.popen(["docker", "events", "--format", "{{json .}}", *filters])
        watcher = self._watcher

        def read() -> None:
            assert watcher.stdout is not None
            for line in watcher.stdout:
                event = json.loads(line)
                self.engine_events.append({**event, "seen": time.monotonic()})

        self._lines = threading.Thread(target=read, daemon=True)
        self._lines.start()

    def engine_lost(self) -> None:
        """What ran under an engine that was killed ended when that was, whatever it could still say."""
        self.engine_events.append({"Action": "lost", "seen": time.monotonic(), "at": time.time()})

    # -- the clock

    def set_clock(self, seconds: float) -> None:
        """Let the clock on the wall be wrong by so much, for everything of berth on the host."""
        path = Path(f"/proc/{self.host.pid}/root/run/chaos-clock")
        if path.exists():
            with path.open("r+b") as file:
                file.write(struct.pack("d", seconds))
        else:
            path.write_bytes(struct.pack("d", seconds))
            path.chmod(0o644)


def slow_down(host: Host, percent: int) -> None:
    """Let a host and all that runs on it have so much of one CPU: a loaded machine, for this host alone."""
    quota = f"{percent * 1000}"
    for procs in map(Path, (host.folder / "cgroup.procs").read_text().split()) if percent else ():
        for name, text in (("cpu.cfs_quota_us", quota), ("cpu.max", f"{quota} 100000")):
            if (procs.parent / name).exists():
                (procs.parent / name).write_text(text)


__all__ = ["Acknowledged", "HostSpec", "LabError", "World", "slow_down"]
