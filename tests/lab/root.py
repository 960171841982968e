"""What a host's disk starts with: its folder on the machine and the seed of its root file system.

A host's folder holds `disk.img` (or `disk/` where there are no loop devices), `seed/` (copied onto the disk
at its first boot), `gpus/` (bound to /run/gpus), and the small files that scripts/boot.sh reads.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.lab import nvidia, slurm
from tests.lab.cgroup import hierarchies
from tests.lab.gpus import Gpus
from tests.lab.machine import HERE, built, command
from tests.lab.spec import HostSpec, parse_gpus

USERS = {"alice": 5001, "bob": 5002}
"""The unix users of every host, with their uids; both may use the engine."""

_ENGINE_GROUPS = {"docker": "990", "video": "991", "render": "992"}
"""Groups that the users are in, with the gid where the machine has no such group."""

_DEVICES = """\
null 1 3 666 0
zero 1 5 666 0
full 1 7 666 0
random 1 8 666 0
urandom 1 9 666 0
tty 5 0 666 5
fuse 10 229 666 0
net/tun 10 200 666 0
"""

_SSHD = """\
Port 22
HostKey /etc/ssh/ssh_host_ed25519_key
UsePAM no
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
UseDNS no
PrintMotd no
PrintLastLog no
Subsystem sftp internal-sftp
"""


def write(path: Path, text: str | bytes, mode: int = 0o644) -> None:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(mode)


def prepare(
    folder: Path,
    spec: HostSpec,
    *,
    hosts: dict[str, str],
    public_key: str,
    groups: Iterable[Path],
    cluster: Sequence[HostSpec] = (),
) -> None:
    """Fill a host's folder. `hosts` is address by name of the whole lab; `groups` its control groups.

    `cluster`: the hosts of the Slurm that it belongs to.
    """
    folder.mkdir(parents=True)
    (folder / "root").mkdir()
    (folder / "gpus").mkdir()
    _disk(folder, spec.disk)
    write(folder / "hostname", spec.name)
    write(folder / "cgroup.procs", "".join(f"{group}/cgroup.procs\n" for group in groups))
    write(folder / "cgroups", "".join(f"{h.name} {h.type} {h.options}\n" for h in hierarchies()))
    write(folder / "devices", _DEVICES + _gpu_devices(spec))
    if spec.slurm:  # the nodes of a cluster have their homes in common
        homes = folder.parent.parent / f"homes-{spec.slurm}"
        homes.mkdir(exist_ok=True)
        write(folder / "shared", str(homes))
    write(folder / "first-boot.sh", _first_boot(folder, spec))
    seed = folder / "seed"
    _seed_system(seed, spec, hosts, slurm.services(spec, cluster))
    slurm.seed(lambda path, content, mode: write(seed / path, content, mode), spec, cluster)
    _seed_users(seed, public_key)
    _seed_engine(seed, spec)
    _seed_gpus(seed, folder / "gpus", spec)


def _disk(folder: Path, size: int) -> None:
    if not Path("/dev/loop-control").exists():
        (folder / "disk").mkdir()
        return
    image = folder / "disk.img"
    with image.open("wb") as file:
        file.truncate(size)
    options = "lazy_itable_init=1,nodiscard,root_owner=0:0"
    command(
        ["mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-E", options, "-m", "1", "-i", "1048576", str(image)]
    )


def _gpu_devices(spec: HostSpec) -> str:
    """Device nodes that `docker run --device` finds, with the drivers' own numbers: nothing answers there."""
    count = parse_gpus(spec.gpus)[1]
    if not count:
        return ""
    if spec.gpus.startswith("amd"):
        gids = {row[0]: row[2] for row in _system_accounts("/etc/group")}
        gid = gids.get("render", _ENGINE_GROUPS["render"])
        nodes = {"kfd": (511, 0), "dri/card0": (226, 0)}
        for number in range(count):
            nodes[f"dri/card{number + 1}"] = (226, number + 1)
            nodes[f"dri/renderD{128 + number}"] = (226, 128 + number)
        return "".join(f"{node} {major} {minor} 660 {gid}\n" for node, (major, minor) in nodes.items())
    nodes = {"nvidiactl": (195, 255), "nvidia-uvm": (510, 0)}
    for number in range(count):
        nodes[f"nvidia{number}"] = (195, number)
    return "".join(f"{node} {major} {minor} 666 0\n" for node, (major, minor) in nodes.items())


def _first_boot(folder: Path, spec: HostSpec) -> str:
    lines = [
        "set -eu",
        "exec 9>home/.seeding && flock 9",  # homes in common are filled by one host at a time
        "rm -rf etc/ssh/sshd_config.d etc/cron.d etc/docker",
        f"cp -a '{folder}/seed/.' .",
        *(f"chown -R {uid}:{uid} home/{user}" for user, uid in USERS.items()),
    ]
    if not spec.python:
        lines.append("rm -f usr/bin/python3* usr/bin/python")
    return "\n".join(lines) + "\n"


def _seed_system(seed: Path, spec: HostSpec, hosts: dict[str, str], more: Sequence[str] = ()) -> None:
    write(seed / "etc/hostname", spec.name + "\n")
    known = "".join(f"{address}\t{name}\n" for name, address in hosts.items())
    write(seed / "etc/hosts", "127.0.0.1\tlocalhost\n" + known)
    write(seed / "etc/motd", "")
    services = [*(["sshd"] if spec.sshd else []), *([spec.engine] if spec.engine != "none" else []), *more]
    write(seed / "etc/lab/services", " ".join(services) + "\n")
    for script in ("rc", "service"):
        write(seed / "etc/lab" / script, (HERE / "scripts" / script).read_bytes(), 0o755)
    write(seed / "usr/sbin/lab-init", built("init.c", "-static").read_bytes(), 0o755)
    sshd = _SSHD + ("SetEnv BERTH_SYSFS_ROOT=/run/gpus/sys\n" if spec.gpus.startswith("amd") else "")
    write(seed / "etc/ssh/sshd_config", sshd)
    key = seed / "etc/ssh/ssh_host_ed25519_key"
    command(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", spec.name, "-f", str(key)])


def _system_accounts(file: str) -> list[list[str]]:
    """The machine's own accounts below 1000, and nobody: what its packages expect."""
    rows = [line.split(":") for line in Path(file).read_text().splitlines() if line.count(":") >= 3]
    return [row for row in rows if int(row[2]) < 1000 or row[0] in ("nobody", "nogroup")]


def _seed_users(seed: Path, public_key: str) -> None:
    members = ",".join(USERS)
    passwd = [*_system_accounts("/etc/passwd")]
    groups = [*_system_accounts("/etc/group")]
    there = {row[0] for row in groups}
    groups += [[name, "x", gid, ""] for name, gid in _ENGINE_GROUPS.items() if name not in there]
    for row in groups:
        if row[0] in _ENGINE_GROUPS:
            row[3] = members
    for user, uid in USERS.items():
        passwd.append([user, "x", str(uid), str(uid), user.capitalize(), f"/home/{user}", "/bin/bash"])
        groups.append([user, "x", str(uid), ""])
    for name, rows in (("passwd", passwd), ("group", groups)):
        write(seed / "etc" / name, "".join(":".join(row) + "\n" for row in rows))
    # `*`: no password fits, but the account is not locked, so that keys are let in without PAM.
    write(seed / "etc/shadow", "".join(f"{row[0]}:*:20000:0:99999:7:::\n" for row in passwd), 0o640)
    for home in ("root", *(f"home/{user}" for user in USERS)):
        write(seed / home / ".ssh/authorized_keys", public_key, 0o600)
        write(seed / home / ".bashrc", "PS1='\\u@\\h:\\w\\$ '\n")
        (seed / home / ".ssh").chmod(0o700)
    (seed / "root").chmod(0o700)


def _overlay_works() -> bool:
    return "\toverlay\n" in Path("/proc/filesystems").read_text()


def _seed_engine(seed: Path, spec: HostSpec) -> None:
    if spec.engine == "docker":
        daemon: dict[str, object] = {
            "storage-driver": "overlay2" if _overlay_works() else "vfs",
            "log-level": "warn",
        }
        daemon["live-restore"] = spec.live_restore
        write(seed / "etc/docker/daemon.json", json.dumps(daemon, indent=2) + "\n")
    elif spec.engine == "podman":
        driver = "overlay" if _overlay_works() else "vfs"
        storage = f'[storage]\ndriver = "{driver}"\nrunroot = "/run/containers/storage"\n'
        write(seed / "etc/containers/storage.conf", storage + 'graphroot = "/var/lib/containers/storage"\n')
        write(
            seed / "etc/containers/containers.conf",
            '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n',
        )


def _seed_gpus(seed: Path, folder: Path, spec: HostSpec) -> None:
    if spec.gpus == "none":
        return
    Gpus(folder, spec.gpus, spec.name).save()
    if not spec.gpus.startswith("nvidia"):
        return
    write(seed / "etc/cdi/nvidia.json", nvidia.cdi(parse_gpus(spec.gpus)[1]))
    write(seed / nvidia.loader_folder() / "libnvidia-ml.so.1", nvidia.stand_in().read_bytes())
    # dockerd offers `--gpus` when it finds a program of this name; a GPU container then runs it once.
    write(seed / "usr/bin/nvidia-container-runtime-hook", "#!/bin/sh\nexec cat >/dev/null\n", 0o755)


def remove(folder: Path) -> None:
    """Delete a folder of the lab."""
    shutil.rmtree(folder, ignore_errors=False)
