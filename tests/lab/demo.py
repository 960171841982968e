"""A fleet at work: what `make lab` and the screenshots show. The same each time."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.lab import config, demo_images
from tests.lab.demo_fleet import (
    CONTEXTS,
    DISK_USED,
    HOSTS,
    JOBS,
    ROCM,
    SESSIONS,
    TORCH,
    WORK,
    Queued,
    Work,
)
from tests.lab.host import Host
from tests.lab.lab import Lab, default_directory
from tests.lab.machine import wait_for
from tests.lab.root import USERS
from tests.lab.spec import GIB

_JOB_UTIL = 91
"""Percent that the GPUs of the queues' jobs are busy."""


def up(directory: Path | None = None) -> Lab:
    """Bring the demo up."""
    lab = Lab(directory or default_directory(), HOSTS).up()
    try:
        lab.each(_furnish)
        config.write(lab, contexts=CONTEXTS)
        _queue(lab)
        demo_images.furnish(lab, lambda *words: _berth(lab, "alice", *words))
        tick(lab, 0)
    except BaseException:
        lab.down()
        raise
    return lab


def _furnish(host: Host) -> None:
    if host.spec.engine == "none":
        return
    size = int(host.spec.disk * DISK_USED[host.name])
    host.run(["fallocate", "-l", str(size), "/var/lib/datasets"])
    host.run(["mkdir", "-p", "/data"])
    works = [work for work in WORK if work.host == host.name]
    for work in works:
        _start(host, work)
    if host.spec.engine == "docker":
        _age(host, works)
    for work in works:
        if work.gpus:
            _take_gpus(host, work)
    for name, user, session, windows in SESSIONS:
        if name == host.name:
            _session(host, user, session, windows)


def _take_gpus(host: Host, work: Work) -> None:
    wait_for(lambda: len(host.container_pids(work.name)) >= work.processes, f"{work.name} to start")
    for place, gpu in enumerate(work.gpus):
        memory = int(work.gpu_memory * GIB)
        host.use_gpu(work.name, gpu, memory, process=place % work.processes)


def _start(host: Host, work: Work) -> None:
    verb = ["run", "--detach"] if work.ended is None else ["create"]
    environment = {
        "WORK_FORK": work.processes - 1,
        "WORK_MB": work.memory_mb,
        "WORK_CPU": work.cpu,
        "WORK_LOG": 2000,
    }
    words = [*verb, "--name", work.name, "--hostname", work.name, "--user", str(USERS[work.owner])]
    words += ["--label", f"berth.owner={work.owner}", "--volume", f"/home/{work.owner}:/workspace"]
    for label in work.labels:
        words += ["--label", label]
    for key, value in environment.items():
        words += ["--env", f"{key}={value}"]
    if work.health:
        test = "true" if work.health == "healthy" else "false"
        words += ["--health-cmd", test, "--health-interval", "60s", "--health-retries", "1"]
    host.docker(*words, *work.options, *_gpu_options(host, work), work.image, *work.command.split())


def _gpu_options(host: Host, work: Work) -> list[str]:
    if not work.gpus:
        return []
    if host.spec.gpus.startswith("amd"):
        devices = ["/dev/kfd", *(f"/dev/dri/renderD{128 + gpu}" for gpu in work.gpus)]
    elif host.spec.engine == "podman":
        devices = [f"nvidia.com/gpu={gpu}" for gpu in work.gpus]
    else:
        return ["--gpus", f'"device={",".join(map(str, work.gpus))}"']
    return [word for device in devices for word in ("--device", device)]


def _age(host: Host, works: list[Work]) -> None:
    """Make containers as old as they shall look, in the engine's own records while it is stopped."""
    ids = {work.name: host.docker("inspect", "--format", "{{.Id}}", work.name) for work in works}
    host.stop_engine()
    now = datetime.now(UTC)
    for work in works:
        path = f"/var/lib/docker/containers/{ids[work.name]}/config.v2.json"
        record = json.loads(host.run(["cat", path]).stdout)
        started = now - work.age
        record["Created"] = _stamp(started - timedelta(seconds=2))
        record["State"]["StartedAt"] = _stamp(started)
        if work.ended is not None:
            record["State"] |= {"ExitCode": work.ended, "FinishedAt": _stamp(started + work.age / 2)}
        if work.health:
            failing = int(work.health == "unhealthy")
            record["State"]["Health"] = {"Status": work.health, "FailingStreak": failing, "Log": None}
        host.put(path, json.dumps(record), mode=0o600)
    host.start_engine()


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f000Z")


def _queue(lab: Lab) -> None:
    """Jobs in the queues, by the people whose they are; memory on the GPUs of those that run."""
    for job in JOBS:
        image = ROCM if lab.host(job.host).spec.gpus.startswith("amd") else TORCH
        words = ("run", "--host", job.host, "--image", image, *job.options, "-d", "--", *job.command.split())
        _berth(lab, job.owner, *words)
    for job in JOBS:
        if job.gpu_memory:
            host = lab.host(job.host)
            row = wait_for(lambda job=job: _running(lab, job), f"{job.options[1]} to start")
            for uuid in row["gpu_uuids"]:  # of AMD's it is the unique id with a word before it
                index = next(
                    gpu.index for gpu in host.gpus.gpus if uuid.endswith(gpu.uuid.removeprefix("0x"))
                )
                host.use_gpu(row["container"], index, int(job.gpu_memory * GIB))


def _running(lab: Lab, job: Queued) -> Any:
    rows = json.loads(_berth(lab, job.owner, "jobs", "--json", "--host", job.host))
    return next((row for row in rows if row["name"] == job.options[1] and row["container"]), None)


def _berth(lab: Lab, user: str, *words: str) -> str:
    """A command line of a user of the lab's hosts."""
    with tempfile.TemporaryDirectory(prefix="berth-demo-") as folder:
        hosts = (lab.config_dir / "hosts.yaml").read_text()
        (Path(folder) / "hosts.yaml").write_text(f"username: {user}\n" + hosts.partition("\n")[2])
        environment = {**os.environ, "BERTH_STATE_DIR": folder}
        argv = [sys.executable, "-m", "tui", "--config", folder, *words]
        return subprocess.run(argv, env=environment, check=True, capture_output=True, text=True).stdout


def _session(host: Host, user: str, session: str, windows: dict[str, str]) -> None:
    size = ["-x", "120", "-y", "32"]
    for number, (window, program) in enumerate(windows.items()):
        words = (
            ["new-session", "-d", "-s", session, *size]
            if number == 0
            else ["new-window", "-d", "-t", session]
        )
        host.run(["tmux", *words, "-n", window, program], user=user)


def tick(lab: Lab, step: int) -> None:
    """Let the GPUs' values move a little, as real ones do; the same step gives the same values."""
    for host in lab.hosts.values():
        gpus = host.gpus
        if gpus.model is None:
            continue
        for gpu in gpus.gpus:
            work = next((each for each in WORK if each.host == host.name and gpu.index in each.gpus), None)
            held = any(process.gpu == gpu.index for process in gpus.processes)
            busy = work.util if work else _JOB_UTIL * held
            wave = math.sin(step / 5 + gpu.index * 1.3) + 0.5 * math.sin(step / 2 + gpu.index)
            gpu.util = max(0, min(100, round(busy + wave * (100 - busy) / 3 - (busy % 7)))) if busy else 0
            limit = gpus.model.power_limit_w
            gpu.power = round(limit * (0.1 + 0.82 * gpu.util / 100) + wave * 4, 1)
            gpu.temp = round(30 + gpu.index % 4 + 0.38 * gpu.util)
        gpus.save()


def play(directory: Path | None = None) -> int:
    """Bring the demo up, open the dashboard on it, keep it moving meanwhile, and remove it in the end."""
    lab = up(directory)
    over = threading.Event()

    def move() -> None:
        step = 0
        while not over.wait(2):
            tick(lab, step := step + 1)

    mover = threading.Thread(target=move)
    try:
        mover.start()
        environment = {**os.environ, "BERTH_CONFIG_DIR": str(lab.config_dir)}
        environment["BERTH_STATE_DIR"] = str(lab.directory / "state")
        return subprocess.run([sys.executable, "-m", "tui"], env=environment, check=False).returncode
    finally:
        over.set()
        mover.join()
        lab.down()
