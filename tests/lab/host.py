"""One host of the lab: running programs in it, its engine, and the things that happen to real hosts."""

from __future__ import annotations

import shlex
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.lab import images
from tests.lab.gpus import Gpus
from tests.lab.machine import HERE, command, kill, process_start, wait_for
from tests.lab.net import Network
from tests.lab.root import USERS
from tests.lab.spec import HostSpec, LabError

_ENGINE_SOCKETS = {"docker": "/run/docker.sock", "podman": "/run/podman/podman.sock"}
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Host:
    """A host that is up, or was. Everything here raises LabError when it does not work."""

    port = 22

    def __init__(self, spec: HostSpec, folder: Path, network: Network, number: int, address: str) -> None:
        self.spec = spec
        self.name = spec.name
        self.address = address
        self.folder = folder
        self._network = network
        self._number = number
        self._launcher: subprocess.Popen[bytes] | None = None

    # ------------------------------------------------------------------------------------ power

    @property
    def pid(self) -> int:
        """Its PID 1 as this machine counts, 0 while it is off."""
        try:
            pid, start = (int(word) for word in (self.folder / "pid").read_text().split())
        except FileNotFoundError:
            return 0
        return pid if process_start(pid) == start else 0

    @property
    def plugged(self) -> bool:
        """Whether its network cable is in."""
        return self._network.cable_up(self._number)

    def power_on(self) -> None:
        """Plug it in and switch it on; returns when PID 1 runs. `wait` waits for its services."""
        (self.folder / "pid").unlink(missing_ok=True)
        self._network.plug(self._number, self.address)
        with (self.folder / "boot.log").open("ab") as log:
            argv = [
                str(HERE / "scripts/boot.sh"),
                "power",
                str(self.folder),
                self._network.netns(self._number),
            ]
            self._launcher = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/"
            )
        wait_for(self._booted, f"{self.name} to boot")

    def _booted(self) -> bool:
        if self._launcher is not None and self._launcher.poll() is not None:
            raise LabError(f"{self.name} does not boot: {(self.folder / 'boot.log').read_text().strip()}")
        pid = self.pid
        try:
            return bool(pid) and Path(f"/proc/{pid}/comm").read_text().strip() == "lab-init"
        except OSError:
            return False

    def wait(self) -> None:
        """Until its services answer."""
        if self.spec.sshd:
            wait_for(self._greets, f"sshd of {self.name}")
        if self.spec.engine != "none":
            wait_for(self.engine_answers, f"the engine of {self.name}")

    def _greets(self) -> bool:
        try:
            with socket.create_connection((self.address, self.port), timeout=1) as connection:
                return connection.recv(8).startswith(b"SSH-2.0")
        except OSError:
            return False

    def boot(self) -> None:
        """Switch it on again after a power cut, with the disk it had, and wait for its services."""
        self.power_on()
        self.wait()

    def power_cut(self) -> None:
        """Everything in it is gone at once, and nobody on the network is told."""
        pid = self.pid
        self._network.unplug(self._number)
        if pid:
            kill(pid, lambda _: self.pid == pid)
        if self._launcher is not None:
            self._launcher.wait(10)
            self._launcher = None

    # -------------------------------------------------------------------------------------- run

    def run(
        self,
        argv: Sequence[str],
        *,
        user: str = "root",
        data: bytes | None = None,
        check: bool = True,
        timeout: float = 60,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in the host as one of its users, with that user's home and groups."""
        return command([*self._enter(user), *argv], data=data, check=check, timeout=timeout)

    def popen(self, argv: Sequence[str], *, user: str = "root") -> subprocess.Popen[bytes]:
        """Start a program in the host and leave it running; it ends with the host at the latest."""
        return subprocess.Popen(
            [*self._enter(user), *argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def _enter(self, user: str) -> list[str]:
        pid = self.pid
        if not pid:
            raise LabError(f"{self.name} is off")
        passwd = Path(f"/proc/{pid}/root/etc/passwd").read_text().splitlines()
        account = next((row for row in (line.split(":") for line in passwd) if row[0] == user), None)
        if account is None:
            raise LabError(f"{self.name} has no user {user}")
        gid, home = account[3], account[5]
        if not Path(f"/proc/{pid}/root{home}").is_dir():
            home = "/"
        environment = [f"HOME={home}", f"USER={user}", f"LOGNAME={user}", f"PATH={_PATH}", "LC_ALL=C.UTF-8"]
        if self.spec.gpus.startswith("amd"):
            environment.append("BERTH_SYSFS_ROOT=/run/gpus/sys")
        become = ["setpriv", f"--reuid={user}", f"--regid={gid}", "--init-groups"] if user != "root" else []
        return ["nsenter", "--target", str(pid), "--all", f"--wd=/proc/{pid}/root{home}", "--",
                "env", "-i", *environment, *become]  # fmt: skip

    def put(self, path: str, text: str | bytes, *, user: str = "root", mode: int = 0o644) -> None:
        """Write a file in the host, owned by one of its users."""
        data = text.encode() if isinstance(text, str) else text
        quoted = shlex.quote(path)
        script = f'mkdir -p "$(dirname {quoted})" && cat >{quoted} && chmod {mode:o} {quoted}'
        self.run(["sh", "-c", script], user=user, data=data)

    # ----------------------------------------------------------------------------------- engine

    @property
    def engine_socket(self) -> Path:
        """The engine's socket as this machine can open it, without SSH."""
        return Path(f"/proc/{self.pid}/root{_ENGINE_SOCKETS[self.spec.engine]}")

    def engine_answers(self) -> bool:
        """Whether the engine answers a ping within a second."""
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(1)
                connection.connect(str(self.engine_socket))
                connection.sendall(b"GET /_ping HTTP/1.0\r\nHost: lab\r\n\r\n")
                return b" 200 " in connection.recv(64)
        except OSError:
            return False

    def docker(self, *words: str, user: str = "root", check: bool = True, data: bytes | None = None) -> str:
        """Run the host's `docker` (or `podman`, on such a host) and return what it printed."""
        return self.run([self.spec.engine, *words], user=user, check=check, data=data).stdout.strip()

    def load_images(self) -> None:
        """Put the images of its spec into its engine."""
        if self.spec.engine != "none" and self.spec.images:
            first, *more = self.spec.images
            change = ["--change", "ENV PATH=/bin:/usr/bin", "--change", 'CMD ["sh"]']
            self.docker("import", *change, "-", first, data=images.busybox().read_bytes())
            for tag in more:
                self.docker("tag", first, tag)

    def load_debian(self, *more: str, name: str = "debian:lab") -> str:
        """Put a Debian (bash, procps, python3, and `more` packages) into its engine and return its name."""
        if not self.docker("images", "--quiet", name):
            change = ["--change", 'CMD ["bash"]', "--change", f"ENV PATH={_PATH}"]
            data = images.debian(*more).read_bytes()
            self.docker("import", *change, "-", name, data=data)
        return name

    def container_pid(self, name: str) -> int:
        """The first process of a running container, as the host counts."""
        return int(self.docker("inspect", "--format", "{{.State.Pid}}", name))

    def container_pids(self, name: str) -> list[int]:
        """All processes of a running container, as the host counts."""
        columns = ["hpid"] if self.spec.engine == "podman" else ["-o", "pid"]
        return sorted(int(line) for line in self.docker("top", name, *columns).split()[1:])

    def service(self, name: str, verb: str) -> None:
        """`start`, `stop`, `kill` (SIGKILL), `hang` or `thaw` one of its services (scripts/service)."""
        self.run(["/etc/lab/service", name, verb])

    # ------------------------------------------------------------------------------------- gpus

    @property
    def gpus(self) -> Gpus:
        """Its GPUs, to be changed."""
        return Gpus.load(self.folder / "gpus", self.spec.gpus, self.name)

    def use_gpu(self, container: str, index: int, memory: int, *, process: int = 0) -> int:
        """A process of a running container, by default its first, takes `memory` bytes of a GPU: its pid."""
        pid = self.container_pids(container)[process]
        self.gpus.attach(index, pid, memory)
        return pid

    # ----------------------------------------------------------------------------------- faults

    def partition(self) -> None:
        """Pull its network cable."""
        self._network.set_cable(self._number, "down")

    def heal(self) -> None:
        """Plug the cable back in."""
        self._network.set_cable(self._number, "up")

    def hang_engine(self) -> None:
        """The engine accepts connections but never answers."""
        self.service(self.spec.engine, "hang")

    def thaw_engine(self) -> None:
        """The engine goes on where it hung."""
        self.service(self.spec.engine, "thaw")

    def stop_engine(self) -> None:
        """As `systemctl stop docker`; its containers stop too."""
        self.service(self.spec.engine, "stop")

    def start_engine(self) -> None:
        """As `systemctl start docker`, and wait until it answers."""
        self.service(self.spec.engine, "start")
        wait_for(self.engine_answers, f"the engine of {self.name}")

    def restart_engine(self) -> None:
        """As `systemctl restart docker`."""
        self.stop_engine()
        self.start_engine()

    def stop_sshd(self) -> None:
        """It refuses connections; those that are open stay."""
        self.service("sshd", "stop")

    def start_sshd(self) -> None:
        """It takes connections again."""
        self.service("sshd", "start")
        wait_for(self._greets, f"sshd of {self.name}")

    def processes(self, name: str) -> list[int]:
        """Pids of the processes of that name (as `ps -o comm` has it) that run, as the host counts."""
        found = []
        for entry in Path(f"/proc/{self.pid}/root/proc").glob("[0-9]*"):
            try:
                named = (entry / "comm").read_text().strip() == name
                if named and "State:\tZ" not in (entry / "status").read_text():
                    found.append(int(entry.name))
            except OSError:
                continue  # it ended meanwhile
        return found

    def agent_pids(self) -> list[int]:
        """Pids of berth's agents, as the host counts."""
        found = []
        for entry in Path(f"/proc/{self.pid}/root/proc").glob("[0-9]*"):
            try:
                program, *words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue  # it ended meanwhile
            if b"python" in program and any(b"/berth/agent-" in word for word in words):
                found.append(int(entry.name))
        return sorted(found)

    def kill_agent(self) -> int:
        """SIGKILL berth's agents on it; how many there were."""
        pids = self.agent_pids()
        if pids:
            self.run(["kill", "-KILL", *map(str, pids)], check=False)
        return len(pids)

    def fill_disk(self) -> None:
        """Not a byte is left on its disk, not even for root."""
        if not (self.folder / "disk.img").exists():
            raise LabError(f"{self.name} has no disk of its own here (no loop devices): it cannot be filled")
        fill = (  # what was removed of late is free only with the next commit of the file system
            "sync; fallocate -l $(($(stat -f -c '%f*%S' /var))) /var/full; "
            "for more in 1 2 3 4 5 6 7 8; do dd if=/dev/zero bs=4k of=/var/full.$more; "
            "[ -s /var/full.$more ] || break; sync; sleep 0.2; done"
        )
        self.run(["sh", "-c", fill], check=False)

    def free_disk(self) -> None:
        """Undo `fill_disk`."""
        self.run(["sh", "-c", "rm -f /var/full /var/full.*; sync"])

    def new_host_key(self) -> None:
        """Its sshd shows another host key from now on, as a machine that was set up anew does."""
        key = "/etc/ssh/ssh_host_ed25519_key"
        self.run(["sh", "-c", f"rm {key}*; ssh-keygen -q -t ed25519 -N '' -f {key}"])
        self.stop_sshd()
        self.start_sshd()

    def users(self) -> tuple[str, ...]:
        """Its unix users besides root."""
        return tuple(USERS)
