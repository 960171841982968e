"""Trying a lab: logging in, running a container, reading its GPUs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pynvml

from tests.lab import Host, Lab

READ_GPUS = """
import json, sys
sys.path.insert(0, "/tmp")
import pynvml as n
n.nvmlInit()
gpus = []
for index in range(n.nvmlDeviceGetCount()):
    try:
        gpu = n.nvmlDeviceGetHandleByIndex(index)
        gpus.append({
            "uuid": n.nvmlDeviceGetUUID(gpu),
            "util": n.nvmlDeviceGetUtilizationRates(gpu).gpu,
            "used": n.nvmlDeviceGetMemoryInfo(gpu).used,
            "pids": [each.pid for each in n.nvmlDeviceGetComputeRunningProcesses(gpu)],
        })
    except n.NVMLError as error:
        gpus.append({"error": error.value})
print(json.dumps(gpus))
"""


def ssh(lab: Lab, host: Host, *words: str, user: str = "alice") -> subprocess.CompletedProcess[str]:
    """OpenSSH's client with the lab's key and nothing of this machine's configuration."""
    known = lab.config_dir / "known_hosts"
    options = [
        f"UserKnownHostsFile={known}",
        "StrictHostKeyChecking=yes",
        "BatchMode=yes",
        "ConnectTimeout=5",
    ]
    argv = ["ssh", "-F", "none", "-i", str(lab.key), "-p", str(host.port)]
    argv += [word for option in options for word in ("-o", option)]
    return subprocess.run(
        [*argv, f"{user}@{host.address}", *words], capture_output=True, text=True, check=False
    )


@contextmanager
def running(host: Host, *words: str) -> Iterator[str]:
    """A container of the tiny image; removed in the end."""
    name = host.docker("run", "--detach", *words[:-1], "busybox:latest", *words[-1].split())
    try:
        yield name
    finally:
        host.docker("rm", "--force", name)


def read_gpus(host: Host) -> list[dict[str, object]]:
    host.put("/tmp/pynvml.py", Path(pynvml.__file__).read_bytes())
    gpus: list[dict[str, object]] = json.loads(host.run(["python3", "-c", READ_GPUS], user="alice").stdout)
    return gpus
