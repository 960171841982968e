"""A lab: several real hosts on this machine, brought up together and removed without a trace."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from tests.lab import cgroup, config, root, slurm
from tests.lab.host import Host
from tests.lab.machine import command, wait_for
from tests.lab.net import PREFIX, Network
from tests.lab.spec import HostSpec, LabError


def default_directory(name: str = "lab") -> Path:
    """Where a lab of that name keeps its state."""
    base = os.environ.get("XDG_RUNTIME_DIR") or "/tmp"
    return Path(base) / f"berth-lab-{os.getuid()}-{name}"


class Lab:
    """`with Lab(directory, [HostSpec("h1")]) as lab: lab.host("h1").docker("run", ...)`."""

    def __init__(self, directory: Path | None = None, hosts: Sequence[HostSpec] = ()) -> None:
        self.directory = (directory or default_directory()).absolute()
        self.id = hashlib.sha256(str(self.directory).encode()).hexdigest()[:8]
        self.specs = tuple(hosts)
        self.hosts: dict[str, Host] = {}
        self._network = Network(self.id)
        self._tree = f"berth-lab-{self.id}"

    @property
    def config_dir(self) -> Path:
        """Give it to berth as BERTH_CONFIG_DIR: hosts, contexts, known_hosts and the key are in it."""
        return self.directory / "config"

    @property
    def key(self) -> Path:
        """The private key that every user of every host lets in."""
        return self.config_dir / "key"

    def host(self, name: str) -> Host:
        """A host by its name."""
        if name not in self.hosts:
            raise LabError(f"no host {name} in this lab; it has {', '.join(self.hosts) or 'none'}")
        return self.hosts[name]

    # --------------------------------------------------------------------------------- up, down

    def up(self) -> Lab:
        """Bring everything up; what a killed lab in the same folder left is removed first."""
        self.down()
        try:
            self._create()
        except BaseException:
            self.down()
            raise
        return self

    def _create(self) -> None:
        self.directory.mkdir(mode=0o700, parents=True)
        self.config_dir.mkdir()
        command(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "berth-lab", "-f", str(self.key)])
        self._place(self._network.create())
        self._save()
        self.each(self._bring_up)
        for host in self.hosts.values():
            if host.spec.slurm == host.name:
                slurm.wait(host)
        config.write(self)

    def _place(self, octet: int) -> None:
        self._octet = octet
        for number, spec in enumerate(self.specs, 1):
            folder = self.directory / "hosts" / spec.name
            self.hosts[spec.name] = Host(
                spec, folder, self._network, number, f"{PREFIX}.{octet}.{10 + number}"
            )

    def _bring_up(self, host: Host) -> None:
        addresses = {each.name: each.address for each in self.hosts.values()}
        public_key = self.key.with_suffix(".pub").read_text()
        groups = cgroup.create(self._tree, host.name)
        cluster = [spec for spec in self.specs if spec.slurm and spec.slurm == host.spec.slurm]
        root.prepare(
            host.folder, host.spec, hosts=addresses, public_key=public_key, groups=groups, cluster=cluster
        )
        host.power_on()
        host.wait()
        host.load_images()

    def each(self, work: Callable[[Host], None]) -> None:
        """All hosts side by side; the first error is raised once all are through."""
        with ThreadPoolExecutor(max_workers=max(len(self.hosts), 1)) as pool:
            for done in [pool.submit(work, host) for host in self.hosts.values()]:
                done.result()

    def down(self) -> None:
        """Remove every process, mount, link, namespace, control group and file of this lab."""
        for host in self.hosts.values():
            host.power_cut()
        cgroup.end(self._tree)
        self._network.remove()
        if self.directory.exists():
            if self.directory.stat().st_uid != os.getuid():
                raise LabError(f"{self.directory} belongs to somebody else")
            wait_for(self._removed, f"{self.directory} to be removable")
        self.hosts = {}

    def _removed(self) -> bool:
        try:
            root.remove(self.directory)
        except OSError:
            return False  # a mount namespace is still ending
        return True

    # -------------------------------------------------------------------------------- the record

    def _save(self) -> None:
        record = {"octet": self._octet, "hosts": [spec.to_json() for spec in self.specs]}
        (self.directory / "lab.json").write_text(json.dumps(record, indent=1))

    @classmethod
    def attach(cls, directory: Path | None = None) -> Lab:
        """The lab that is up in a folder, whoever started it."""
        lab = cls(directory)
        try:
            record = json.loads((lab.directory / "lab.json").read_text())
        except FileNotFoundError:
            raise LabError(f"no lab is up in {lab.directory}") from None
        lab.specs = tuple(HostSpec.from_json(each) for each in record["hosts"])
        lab._place(record["octet"])
        return lab

    def __enter__(self) -> Lab:
        return self.up()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()
