"""A fleet at work: what `make lab` and the screenshots show. The same each time.

Four hosts: H100s training, serving and evaluating, MI300X with two large runs, A100s under Podman, and one
host that is up on the network but lets nobody in.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.lab import config
from tests.lab.host import Host
from tests.lab.lab import Lab, default_directory
from tests.lab.machine import wait_for
from tests.lab.root import USERS
from tests.lab.spec import GIB, HostSpec, LabError

TORCH = "pytorch/pytorch:2.6.0-cuda12.4"
JUPYTER = "quay.io/jupyter/pytorch-notebook:cuda12"
VLLM = "vllm/vllm-openai:v0.8.5"
ROCM = "rocm/pytorch:rocm6.3"
BOARD = "tensorflow/tensorflow:2.18.0"

HOSTS = (
    HostSpec(
        "h100-1", gpus="nvidia:8", images=(TORCH, JUPYTER, VLLM, BOARD, "busybox:latest"), disk=2048 * GIB,
        type="H100 80GB", comment="training, shared", tags=("nvidia", "prod"),
    ),
    HostSpec(
        "mi300", gpus="amd:8", images=(ROCM, VLLM, "busybox:latest"), disk=4096 * GIB,
        type="MI300X", comment="the large runs", tags=("amd", "prod"),
    ),
    HostSpec(
        "a100", engine="podman", gpus="nvidia:4:A100", images=(TORCH, "busybox:latest"), disk=1024 * GIB,
        type="A100 40GB", comment="podman", tags=("nvidia", "dev"),
    ),
    HostSpec(
        "h100-3", engine="none", sshd=False, disk=GIB, type="H100 80GB", comment="new disk coming",
        tags=("nvidia",),
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Work:
    """A container of the demo."""

    host: str
    name: str
    image: str
    owner: str
    command: str
    age: timedelta
    """How long ago it started; Docker only."""
    gpus: tuple[int, ...] = ()
    gpu_memory: float = 0
    """GiB on each of its GPUs."""
    util: int = 0
    options: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    processes: int = 1
    memory_mb: int = 20
    cpu: int = 0
    """Per mille of a CPU."""
    ended: int | None = None
    """Its exit code, if it is over."""
    health: str = ""
    """`healthy` or `unhealthy`."""


_DAY, _HOUR, _MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
_LLAMA = "torchrun --nproc-per-node 4 train.py --model llama-3-8b --bf16 --seq-len 8192"

WORK = (
    Work("h100-1", "train-llm", TORCH, "alice", _LLAMA, 3 * _HOUR + 12 * _MINUTE, (0, 1, 2, 3), 71.2, 97,
         labels=("berth.job=42",), processes=4, memory_mb=60, cpu=40),
    Work("h100-1", "jupyter-bob", JUPYTER, "bob", "jupyter-lab --ip 0.0.0.0 --port 8888", 2 * _DAY, (4,), 44.0,
         0, options=("-p", "127.0.0.1:8888:8888"), memory_mb=48),
    Work("h100-1", "vllm-serve", VLLM, "bob", "vllm serve meta-llama/Llama-3.1-70B-Instruct", 9 * _DAY, (5,),
         66.4, 58, options=("-p", "127.0.0.1:8000:8000"), memory_mb=40, cpu=15, health="healthy"),
    Work("h100-1", "eval-mmlu", TORCH, "alice", "python eval.py --suite mmlu --shots 5", 18 * _MINUTE, (6,), 23.5,
         81, labels=("berth.job=45",), cpu=10),
    Work("h100-1", "tensorboard", BOARD, "alice", "tensorboard --logdir /workspace/runs --port 6006", 5 * _DAY,
         options=("-p", "127.0.0.1:6006:6006"), health="unhealthy"),
    Work("h100-1", "tokenize-c4", TORCH, "alice", "python tokenize.py --dataset c4", 6 * _HOUR, ended=0),
    Work("h100-1", "train-llm-old", TORCH, "alice", _LLAMA, _DAY + 3 * _HOUR, ended=137),
    Work("mi300", "pretrain-7b", ROCM, "alice", "torchrun --nproc-per-node 4 pretrain.py --config 7b.yaml",
         _DAY + 7 * _HOUR, (0, 1, 2, 3), 168.0, 99, labels=("berth.job=17",), processes=4, memory_mb=60, cpu=30),
    Work("mi300", "finetune-lora", ROCM, "bob", "python finetune.py --lora-rank 64", 52 * _MINUTE, (4, 5), 92.0, 74,
         labels=("berth.job=19",), processes=2, cpu=10),
    Work("mi300", "vllm-mixtral", VLLM, "bob", "vllm serve mistralai/Mixtral-8x22B", 4 * _DAY, (6,), 151.0, 0,
         options=("-p", "127.0.0.1:8000:8000"), health="healthy"),
    Work("mi300", "rccl-test", ROCM, "alice", "python rccl_bench.py", 9 * _HOUR, ended=1),
    Work("a100", "whisper-batch", TORCH, "bob", "python transcribe.py --model large-v3", _HOUR, (0, 1), 21.0, 63,
         processes=2, cpu=10),
    Work("a100", "notebook", TORCH, "alice", "jupyter-lab --port 8889", _HOUR, (2,), 11.5, 0,
         options=("-p", "127.0.0.1:8889:8889")),
)  # fmt: skip

CONTEXTS: dict[str, dict[str, Any]] = {
    "llm": {
        "host": "h100-1", "image": TORCH, "container": "train-llm", "user": "alice", "workdir": "/workspace",
        "mounts": ["/home/alice:/workspace"], "gpus": [0, 1, 2, 3], "shm_size": "64g",
    },
    "notebook-bob": {
        "host": "h100-1", "image": JUPYTER, "container": "jupyter-bob", "user": "bob", "ports": ["8888:8888"],
        "gpus": [4],
    },
    "serve": {"host": "h100-1", "image": VLLM, "container": "vllm-serve", "ports": ["8000:8000"], "gpus": 1},
    "pretrain": {
        "host": "mi300", "image": ROCM, "container": "pretrain-7b", "user": "alice", "gpus": 4,
        "mounts": ["/home/alice:/workspace", "/data:/data:ro"], "memory": "512g",
    },
    "rccl": {"host": "mi300", "image": ROCM, "container": "rccl-test", "gpus": "all"},
    "whisper": {"host": "a100", "image": TORCH, "container": "whisper-batch", "gpus": 2, "profile": "raw"},
    "scratch": {"host": "h100-3", "image": TORCH, "container": "scratch", "gpus": 1},
}  # fmt: skip

SESSIONS = (
    ("h100-1", "alice", "llm-1", {"train": "docker logs -f --tail 50 train-llm", "shell": "bash"}),
    ("h100-1", "alice", "eval", {"eval": "docker logs -f --tail 50 eval-mmlu"}),
    ("h100-1", "bob", "notebook-bob-1", {"jupyter": "bash"}),
    ("mi300", "alice", "pretrain-1", {"train": "docker logs -f --tail 50 pretrain-7b", "top": "top", "shell": "bash"}),
    ("mi300", "bob", "lora", {"lora": "bash"}),
    ("a100", "bob", "whisper-1", {"whisper": "bash"}),
)  # fmt: skip
"""Host, user, session, and the command in each of its windows."""

_DISK_USED = {"h100-1": 0.71, "mi300": 0.4, "a100": 0.93}
"""Share of its disk."""


def up(directory: Path | None = None) -> Lab:
    """Bring the demo up."""
    lab = Lab(directory or default_directory(), HOSTS).up()
    try:
        lab.each(_furnish)
        config.write(lab, contexts=CONTEXTS)
        tick(lab, 0)
    except BaseException:
        lab.down()
        raise
    return lab


def _furnish(host: Host) -> None:
    if host.spec.engine == "none":
        return
    size = int(host.spec.disk * _DISK_USED[host.name])
    host.run(["fallocate", "-l", str(size), "/var/lib/datasets"])
    host.run(["mkdir", "-p", "/data"])
    if host.spec.engine == "docker":
        _keep_containers_over_restarts(host)
    works = [work for work in WORK if work.host == host.name]
    for work in works:
        _start(host, work)
    if host.spec.engine == "docker":
        _age(host, works)
    for work in works:
        for place, gpu in enumerate(work.gpus):
            wait_for(
                lambda: len(host.container_pids(work.name)) >= work.processes, f"{work.name}'s processes"
            )  # noqa: B023
            process = place % work.processes
            host.use_gpu(work.name, gpu, int(work.gpu_memory * GIB), process=process)
    for name, user, session, windows in SESSIONS:
        if name == host.name:
            _session(host, user, session, windows)


def _start(host: Host, work: Work) -> None:
    verb = ["create"] if work.ended == 0 else ["run", "--detach"]
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
    if work.ended == 137:
        host.docker("kill", work.name)


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


def _keep_containers_over_restarts(host: Host) -> None:
    settings = json.loads(host.run(["cat", "/etc/docker/daemon.json"]).stdout)
    host.put("/etc/docker/daemon.json", json.dumps({**settings, "live-restore": True}))
    host.restart_engine()


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
            busy = work.util if work else 0
            wave = math.sin(step / 5 + gpu.index * 1.3) + 0.5 * math.sin(step / 2 + gpu.index)
            gpu.util = max(0, min(100, round(busy + wave * (100 - busy) / 3 - (busy % 7)))) if busy else 0
            limit = gpus.model.power_limit_w
            gpu.power = round(limit * (0.1 + 0.82 * gpu.util / 100) + wave * 4, 1)
            gpu.temp = round(30 + gpu.index % 4 + 0.38 * gpu.util)
        gpus.save()


def require(lab: Lab) -> None:
    """LabError unless this lab is the demo."""
    if {spec.name for spec in lab.specs} != {spec.name for spec in HOSTS}:
        raise LabError("the lab that is up is not the demo; bring it up with --demo")
