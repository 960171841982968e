"""What the lab needs of a machine, and what to do in a test where a part of it is missing."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from typing import NoReturn

import pytest

PROGRAMS = {
    "busybox": "busybox-static",
    "dockerd": "docker.io",
    "gcc": "gcc",
    "ip": "iproute2",
    "iptables": "iptables",
    "mkfs.ext4": "e2fsprogs",
    "munged": "munge",
    "nsenter": "util-linux",
    "podman": "podman",
    "slurmctld": "slurmctld",
    "slurmd": "slurmd",
    "sqfstar": "squashfs-tools",
    "squeue": "slurm-client",
    "ssh-keygen": "openssh-client",
    "sshd": "openssh-server",
    "tmux": "tmux",
}
"""Program and the Debian package that has it."""


@functools.cache
def missing() -> tuple[str, ...]:
    """The parts that are not here, as people would ask for them; empty when a lab can come up."""
    if sys.platform != "linux":
        return ("Linux",)
    if os.getuid() != 0:
        return ("root",)
    gone = [
        f"{name} ({package})"
        for name, package in PROGRAMS.items()
        if shutil.which(name, path=_path()) is None
    ]
    if not gone:
        enter = ["unshare", "--mount", "--net", "--pid", "--fork", "mount", "-t", "tmpfs", "none", "/mnt"]
        if subprocess.run(enter, capture_output=True, check=False).returncode != 0:
            gone.append("the right to make namespaces and mounts")
    return tuple(gone)


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def require(*more: str) -> None:
    """Skip the test that calls where a part is missing; fail it if CI is set, where nothing may be.

    `more`: programs that not every lab needs.
    """
    if gone := (*missing(), *(name for name in more if shutil.which(name, path=_path()) is None)):
        lack(f"the lab needs {', '.join(gone)}; tests/lab/setup.sh installs what it can")


def lack(text: str) -> NoReturn:
    """Skip the test that calls, as something is missing; fail it if CI is set."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(text)
