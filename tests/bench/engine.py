"""A real Docker engine on this machine with as many containers as wanted, gone without a trace afterwards."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import docker

IMAGE = "berth-bench:latest"


class LocalEngine:
    """`with LocalEngine(containers=100) as engine`: dockerd with that many running containers."""

    def __init__(self, containers: int = 100) -> None:
        self._containers = containers
        self._folder = Path(tempfile.mkdtemp(prefix="berth-bench-"))
        self.socket = self._folder / "docker.sock"
        self.log = self._folder / "dockerd.log"
        self._daemon: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of dockerd."""
        assert self._daemon is not None
        return self._daemon.pid

    @property
    def env(self) -> dict[str, str]:
        """Makes docker's command and berth use this engine."""
        return {"DOCKER_HOST": f"unix://{self.socket}"}

    def __enter__(self) -> LocalEngine:
        try:
            self._start()
            self._fill()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self) -> None:
        argv = ["dockerd", "--host", f"unix://{self.socket}", "--bridge", "none", "--iptables=false"]
        argv += ["--data-root", str(self._folder / "data"), "--exec-root", str(self._folder / "exec")]
        argv += ["--pidfile", str(self._folder / "pid"), "--cgroup-parent", f"/{self._folder.name}"]
        with self.log.open("wb") as log:
            self._daemon = subprocess.Popen(argv, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 60
        client = self.client()
        while True:
            with suppress(Exception):
                client.ping()
                return
            if self._daemon.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("dockerd did not start:\n" + self.log.read_text()[-2000:])
            time.sleep(0.1)

    def _fill(self) -> None:
        client = self.client()
        client.api.import_image_from_data(_busybox(), repository=IMAGE.partition(":")[0], tag="latest")

        def run(number: int) -> None:
            client.containers.run(
                IMAGE, ["/bin/sleep", "100000"], name=f"bench-{number:03d}", detach=True, network_mode="none"
            )

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(run, range(self._containers)))

    def client(self) -> docker.DockerClient:
        """Docker's own client for it."""
        return docker.DockerClient(
            base_url=f"unix://{self.socket}", version="auto" if self.socket.exists() else "1.41"
        )

    def stop(self) -> None:
        """Remove the containers, end the daemon, and remove its folder."""
        if self._daemon is not None and self._daemon.poll() is None:
            with suppress(Exception):
                client = self.client()
                with ThreadPoolExecutor(4) as pool:
                    list(pool.map(lambda one: one.remove(force=True), client.containers.list(all=True)))
            self._daemon.terminate()
            try:
                self._daemon.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self._daemon.pid, signal.SIGKILL)
                self._daemon.wait()
        _unmount_below(self._folder)
        shutil.rmtree(self._folder, ignore_errors=True)
        _remove_cgroups(self._folder.name)


def _busybox() -> bytes:
    """A root file system with one program, as a tar."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add("/usr/bin/busybox", "bin/busybox")
        for applet in ("sh", "sleep"):
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    return packed.getvalue()


def _unmount_below(folder: Path) -> None:
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted((one for one in mounts if one.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "-l", mount], check=False, capture_output=True)


def _remove_cgroups(name: str) -> None:
    for parent in [Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").glob("*/")]:
        top = parent / name
        if top.is_dir():
            for path in sorted((p for p in top.rglob("*") if p.is_dir()), reverse=True):
                with suppress(OSError):
                    path.rmdir()
            with suppress(OSError):
                top.rmdir()
