"""A real dockerd or Podman service of one's own for tests: private folders, no network, one busybox image."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

IMAGE = "busybox:latest"
_APPLETS = (
    "sh sleep cat echo ls id kill mv rm mkdir touch ln env pwd true false seq head tail stat wc ps sync dd tr"
)


@dataclass
class Engined:
    """A running engine."""

    socket: str
    process: subprocess.Popen

    def hang(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)


def missing(program: str) -> str:
    """Why such an engine cannot run here, or an empty string."""
    if os.geteuid() != 0:
        return "needs root"
    for name in (program, "busybox"):
        if shutil.which(name) is None:
            return f"needs {name}"
    return ""


def rootfs(path: Path) -> None:
    """A tar with busybox and the few files that programs expect."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in ("bin", "etc", "tmp", "root", "data"):
            (root / name).mkdir()
        shutil.copy(shutil.which("busybox") or "", root / "bin/busybox")
        for name in _APPLETS.split():
            (root / "bin" / name).symlink_to("busybox")
        (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/data:/bin/sh\n")
        (root / "etc/group").write_text("root:x:0:\nalice:x:1000:\n")
        with tarfile.open(path, "w") as tar:
            for entry in sorted(root.iterdir()):
                tar.add(entry, entry.name)


def _answers(socket: str) -> bool:
    done = subprocess.run(
        ["curl", "-s", "-m", "2", "--unix-socket", socket, "http://d/_ping"], capture_output=True, check=False
    )
    return done.stdout.strip() == b"OK"


def _wait(socket: str, process: subprocess.Popen, log: Path) -> None:
    end = time.monotonic() + 30
    while not _answers(socket):
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"the engine does not start: {log.read_text()[-2000:]}")
        time.sleep(0.02)


@contextmanager
def dockerd() -> Iterator[Engined]:
    """A Docker engine, ended with everything in it."""
    folder = Path(tempfile.mkdtemp(prefix="berth-docker-"))
    token = uuid4().hex[:8]
    socket = str(folder / "docker.sock")
    log = folder / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            ["dockerd", "--data-root", folder / "data", "--exec-root", folder / "run", "-H", f"unix://{socket}",
             "--pidfile", folder / "pid", "--bridge=none", "--iptables=false", "--ip-forward=false",
             "--cgroup-parent", f"/berth-test-{token}", "--log-level", "warn"],
            stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    try:
        _wait(socket, process, log)
        rootfs(folder / "root.tar")
        docker = ["docker", "-H", f"unix://{socket}"]
        subprocess.run([*docker, "import", folder / "root.tar", IMAGE], check=True, capture_output=True)
        yield Engined(socket, process)
        ids = subprocess.run(
            [*docker, "ps", "-aq"], capture_output=True, text=True, check=True
        ).stdout.split()
        if ids:
            subprocess.run([*docker, "rm", "-f", *ids], capture_output=True, check=False)
    finally:
        process.send_signal(signal.SIGCONT)
        _end(process)
        _clean(folder)


@contextmanager
def podman() -> Iterator[Engined]:
    """Podman's service that speaks Docker's API."""
    folder = Path(tempfile.mkdtemp(prefix="berth-podman-"))
    socket = str(folder / "podman.sock")
    log = folder / "log"
    store = ["podman", "--root", folder / "data", "--runroot", folder / "run", "--cgroup-manager", "cgroupfs"]
    # A test machine may not raise limits, which is Podman's default.
    (folder / "containers.conf").write_text(
        '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]\n'
    )
    env = {**os.environ, "CONTAINERS_CONF": str(folder / "containers.conf")}
    rootfs(folder / "root.tar")
    subprocess.run([*store, "import", folder / "root.tar", IMAGE], check=True, capture_output=True)
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*store, "system", "service", "--time=0", f"unix://{socket}"],
            stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True, env=env,
        )  # fmt: skip
    try:
        _wait(socket, process, log)
        yield Engined(socket, process)
    finally:
        subprocess.run([*store, "rm", "-fa", "-t", "0"], capture_output=True, check=False)
        _end(process)
        _clean(folder)


def _end(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _clean(folder: Path) -> None:
    for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
        where = line.split()[1]
        if where.startswith(f"{folder}/"):
            subprocess.run(["umount", "-l", where], capture_output=True, check=False)
    shutil.rmtree(folder, ignore_errors=True)
