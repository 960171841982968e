"""A fleet that shows what a test tells it to, and hosts to put into it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from backend.config import Config, Context, HostConfig, Settings
from backend.model import (
    Container,
    Disk,
    Engine,
    EngineState,
    FleetState,
    Gpu,
    GpuProcess,
    GpuReport,
    Hello,
    HostSnapshot,
    HostState,
    HostStats,
    Image,
    ImageReport,
    Job,
    JobRequest,
    JobSpec,
    Port,
    Problem,
    QueueReport,
    TmuxPane,
    TmuxSession,
    Usage,
)

GIB = 1 << 30
NOW = datetime.now(UTC)
TOLD = frozenset({"hello", "host", "disk", "engine", "gpus", "processes", "containers", "usage", "tmux"})


class FakeFleet:
    """Publishes the states that a test sets; remembers what the app asked for."""

    def __init__(self, state: FleetState) -> None:
        self.state = state
        self.retried: list[str | None] = []
        self.accepted: list[tuple[str, str]] = []
        self.images_watched = False
        self._news = asyncio.Event()

    def publish(self, state: FleetState) -> None:
        """Make `state` the newest."""
        self.state = state
        self._news.set()

    async def updates(self) -> AsyncIterator[FleetState]:
        seen: FleetState | None = None
        while True:
            if self.state is not seen:
                seen = self.state
                yield seen
                continue
            self._news.clear()
            await self._news.wait()

    def retry(self, name: str | None = None) -> None:
        self.retried.append(name)

    def watch_images(self) -> None:
        self.images_watched = True

    async def accept_host_key(self, name: str, key: str) -> None:
        self.accepted.append((name, key))

    async def __aenter__(self) -> FakeFleet:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


def state_of(hosts: Iterable[HostSnapshot], revision: int = 1) -> FleetState:
    return FleetState(hosts={host.name: host for host in hosts}, revision=revision)


def config_of(state: FleetState, directory: Path, **more: Any) -> Config:
    hosts = tuple(HostConfig(name=h.name, host=h.address, tags=h.tags) for h in state.hosts.values())
    return Config(directory=directory, hosts=hosts, **more)


def container(name: str, *, number: int = 0, **more: Any) -> Container:
    values: dict[str, Any] = {
        "id": f"{abs(hash((name, number))):064x}"[:64],
        "name": name,
        "image": "nvcr.io/nvidia/pytorch:24.10-py3",
        "state": "running",
        "status": "",
        "created_at": NOW - timedelta(hours=5),
        "started_at": NOW - timedelta(hours=3),
        "owner": "alice",
    }
    values.pop("status")
    return Container(**{**values, **more})


def host(name: str, containers: Iterable[Container] = (), **more: Any) -> HostSnapshot:
    containers = tuple(containers)
    values: dict[str, Any] = {
        "name": name,
        "address": f"{name}.example",
        "state": HostState.UP,
        "latency_ms": 4.2,
        "seen_at": NOW,
        "hello": Hello(
            protocol=1,
            hostname=name,
            os="Debian GNU/Linux 12",
            kernel="6.1",
            arch="x86_64",
            python="3.11",
            cpus=64,
            numa_nodes=2,
            user="alice",
            uid=1000,
            pid=1234,
            boot_time=NOW - timedelta(days=12),
        ),
        "stats": HostStats(
            cpu_percent=38.0,
            load1=21.3,
            load5=20.0,
            load15=18.2,
            mem_used=212 * GIB,
            mem_total=1007 * GIB,
            swap_used=0,
            swap_total=8 * GIB,
            net_rx=1 << 20,
            net_tx=1 << 18,
        ),
        "disks": (Disk(mount="/", role="root", used=700 * GIB, total=1000 * GIB, free=250 * GIB),),
        "engine": Engine(state=EngineState.UP, kind="docker", version="27.3.1"),
        "gpu_report": GpuReport(),
        "told": TOLD,
        "containers": containers,
        "usage": {
            c.id: Usage(id=c.id, cpu_percent=12.5, mem_used=3 * GIB, mem_limit=64 * GIB)
            for c in containers
            if c.state == "running"
        },
    }
    return HostSnapshot(**{**values, **more})


def gpu(index: int, util: float, used: float, *, name: str = "NVIDIA H100 80GB HBM3", **more: Any) -> Gpu:
    values: dict[str, Any] = {
        "index": index,
        "uuid": f"GPU-{index:08d}",
        "vendor": "nvidia",
        "name": name,
        "arch": "sm_90",
        "util_percent": util,
        "mem_used": int(used * GIB),
        "mem_total": int(79.6 * GIB),
        "temp_c": 31 + util * 0.4,
        "power_w": 68 + util * 5.6,
        "power_limit_w": 700.0,
        "numa_node": index // 4,
    }
    return Gpu(**{**values, **more})


def down(name: str, message: str = "Connection refused by 10.1.2.3:22.", **more: Any) -> HostSnapshot:
    values: dict[str, Any] = {
        "name": name,
        "address": "10.1.2.3",
        "state": HostState.DOWN,
        "error": Problem("Unreachable", message, f"The host may be rebooting: berth doctor {name}."),
        "retry_at": NOW + timedelta(seconds=40),
        "seen_at": NOW - timedelta(minutes=14),
    }
    return HostSnapshot(**{**values, **more})


def unknown_key(name: str) -> HostSnapshot:
    error = Problem(
        "Unknown host key",
        f"The key of {name} was never seen.",
        "Accept it in the dashboard: K.",
        fingerprint="SHA256:mVv0rX3h6p0Y7c1j4JkqPq8sL0bqgqk2l3m4n5o6p7Q",
        key="ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKey",
    )
    return HostSnapshot(name=name, address="10.9.9.9", state=HostState.HOST_KEY, error=error)


def job(number: int, name: str, **more: Any) -> Job:
    """A job of alice's that waits for one GPU."""
    values: dict[str, Any] = {
        "id": number,
        "owner": "alice",
        "name": name,
        "spec": JobSpec(image="sha256:1", image_name="pytorch:2.4", script=f"{name}.sh"),
        "request": JobRequest(gpus=1, cpus=8),
        "submitted_at": NOW.timestamp() - 3600,
        "position": float(number),
    }
    return Job(**{**values, **more})


def queue(container_id: str = "") -> QueueReport:
    """One of each kind."""
    now = NOW.timestamp()
    return QueueReport(
        jobs=(
            job(
                42, "train-llm", state="running", container=container_id, started_at=now - 10800, attempt=1,
                gpus=("GPU-00000000", "GPU-00000001", "GPU-00000002"),
                request=JobRequest(gpus=3, cpus=24, time_limit=14400.0),
            ),
            job(
                45, "notebook", owner="bob", state="running", started_at=now - 7200, attempt=1,
                gpus=("GPU-00000003",), spec=JobSpec(tty=True, script="shell"),
            ),
            job(
                51, "eval", request=JobRequest(gpus=2, time_limit=1800.0), expected_start=now + 3600,
                reason="needs 2 GPUs, 1 is free; first in line",
            ),
            job(52, "sweep:lr=0.1", state="held", reason="held"),
            job(
                40, "prep", owner="carol", state="failed", exit_code=3, started_at=now - 5000, attempt=1,
                ended_at=now - 4000, gpus=("GPU-00000006",), error="ended with exit code 3",
            ),
        ),
        waiting=2,
        active=2,
        keeper=True,
    )  # fmt: skip


def image(*tags: str, number: int = 0, **more: Any) -> Image:
    """An image of these names; the same `number` is the same image."""
    digits = sha256(f"{tags[:1]}{number}".encode()).hexdigest()
    values: dict[str, Any] = {
        "id": f"sha256:{digits}",
        "tags": tags,
        "size": (3 + number) * GIB,
        "created_at": NOW - timedelta(days=3, hours=number),
    }
    return Image(**{**values, **more})


def images(*found: Image) -> dict[str, Any]:
    """What makes a host one that has told of its images."""
    return {"images": ImageReport(found), "told": TOLD | {"images"}}


def showcase(step: int = 0) -> FleetState:
    """A fleet with a bit of everything, moving with `step`."""

    def wave(base: float, amplitude: float, speed: float) -> float:
        return max(0.0, min(100.0, base + amplitude * math.sin(step * speed)))

    train = container(
        "train-llm",
        gpus=("GPU-00000000", "GPU-00000001", "GPU-00000002"),
        labels={"berth.job": "42"},
        ports=(Port(private=8888, public=8888, address="127.0.0.1"),),
    )
    jupyter = container(
        "jupyter-bob",
        number=1,
        owner="bob",
        image="quay.io/jupyter/base-notebook:latest",
        gpus=("GPU-00000003",),
        ports=(Port(private=8888, public=9999, address="0.0.0.0"),),
    )
    old = container(
        "data-prep",
        number=2,
        state="exited",
        exit_code=137,
        started_at=None,
        owner="carol",
        image="python:3.12-slim",
    )
    sick = container(
        "vllm-serve",
        number=3,
        health="unhealthy",
        owner="carol",
        image="vllm/vllm-openai:v0.6.3",
        ports=(Port(private=8000, public=8000, address="0.0.0.0"),),
    )
    web = container(
        "grafana",
        number=4,
        owner=None,
        image="grafana/grafana:11.2.0",
        ports=(Port(private=3000, public=3000, address="127.0.0.1"),),
    )
    gpus = [
        gpu(0, wave(90, 9, 0.5), 71.2),
        gpu(1, wave(88, 12, 0.7), 70.9),
        gpu(2, wave(91, 8, 0.3), 71.0),
        gpu(3, 0, 44.0, idle_since=NOW - timedelta(hours=5, minutes=12)),
        gpu(4, wave(50, 40, 0.4), 32.5),
        gpu(5, wave(70, 20, 0.2), 60.0),
        gpu(6, 0, 0),
        gpu(7, 0, 0),
    ]
    processes = [
        *(
            GpuProcess(
                gpu=f"GPU-0000000{n}",
                pid=4000 + n,
                user="root",
                command="python train.py",
                mem_used=70 * GIB,
                container=train.id,
                started_at=NOW - timedelta(hours=3),
            )
            for n in range(3)
        ),
        GpuProcess(
            gpu="GPU-00000003",
            pid=5001,
            user="root",
            command="python -m ipykernel_launcher",
            mem_used=44 * GIB,
            container=jupyter.id,
            started_at=NOW - timedelta(days=2),
        ),
        GpuProcess(
            gpu="GPU-00000004",
            pid=5100,
            user="dave",
            command="./simulate --steps 100000",
            mem_used=32 * GIB,
            started_at=NOW - timedelta(minutes=42),
        ),
        GpuProcess(
            gpu="GPU-00000005",
            pid=5101,
            user="root",
            command="vllm serve",
            mem_used=60 * GIB,
            container=sick.id,
            started_at=NOW - timedelta(hours=30),
        ),
    ]
    sessions = [
        TmuxSession(
            id="$0",
            name="train-1",
            user="alice",
            socket="/tmp/tmux-1000/default",
            attached=1,
            windows=3,
            created_at=NOW - timedelta(days=2),
            activity_at=NOW - timedelta(seconds=3),
            panes=(
                TmuxPane(id="%0", window=0, window_name="vim", index=0, command="nvim"),
                TmuxPane(id="%1", window=1, window_name="htop", index=0, command="nvitop"),
            ),
        ),
        TmuxSession(
            id="$1",
            name="scratch",
            user="bob",
            socket="/tmp/tmux-1001/default",
            attached=0,
            windows=1,
            created_at=NOW - timedelta(hours=8),
            activity_at=NOW - timedelta(hours=2),
            panes=(TmuxPane(id="%0", window=0, window_name="bash", index=0, command="bash"),),
        ),
    ]
    h100 = host(
        "h100-1",
        [train, jupyter, sick, web, old],
        gpu_report=GpuReport(gpus=tuple(gpus), driver="565.57"),
        processes=tuple(processes),
        sessions=tuple(sessions),
        queue=queue(train.id),
        tags=("nvidia", "prod"),
        **images(
            image("nvcr.io/nvidia/pytorch:24.10-py3", size=22 * GIB),
            image("alice/torch:2.4", number=1),
            image("alice/base:latest"),
            image(number=7, size=2 * GIB),
        ),
        stats=HostStats(cpu_percent=wave(38, 20, 0.3), load1=21.3, mem_used=212 * GIB, mem_total=1007 * GIB),
    )
    amd = tuple(
        gpu(
            n,
            wave(85, 14, 0.1 * (n + 1)),
            150.3,
            name="AMD Instinct MI300X",
            vendor="amd",
            arch="gfx942",
            uuid=f"amd-{n}",
            mem_total=int(192 * GIB),
            power_limit_w=750.0,
        )
        for n in range(8)
    )
    rccl = container(
        "rccl-tests",
        number=5,
        gpus=tuple(f"amd-{n}" for n in range(7)),
        image="rocm/pytorch:6.2",
        owner="erin",
    )
    mi300 = host(
        "mi300",
        [rccl, container("postgres", number=6, image="postgres:17", owner=None)],
        gpu_report=GpuReport(gpus=amd),
        tags=("amd",),
        **images(
            image("rocm/pytorch:6.2", size=31 * GIB), image("alice/torch:2.4"), image("alice/base:latest")
        ),
        latency_ms=11.0,
        processes=tuple(
            GpuProcess(
                gpu=f"amd-{n}",
                pid=700 + n,
                user="root",
                command="all_reduce_perf",
                container=rccl.id,
                mem_used=140 * GIB,
                started_at=NOW - timedelta(minutes=9),
            )
            for n in range(7)
        ),
        stats=HostStats(cpu_percent=wave(9, 5, 0.2), load1=12.0, mem_used=88 * GIB, mem_total=2015 * GIB),
    )
    cpu_only = host(
        "build-1",
        [
            container(f"ci-runner-{n}", number=10 + n, owner="ci", image="gitlab/gitlab-runner:v17.5")
            for n in range(4)
        ],
        tags=("ci",),
        stats=HostStats(cpu_percent=wave(96, 4, 0.4), load1=71.2, mem_used=120 * GIB, mem_total=128 * GIB),
        disks=(Disk(mount="/var/lib/docker", role="engine", used=930 * GIB, total=1000 * GIB, free=9 * GIB),),
        warnings=(Problem("Disk", "Disk of the engine is 93 % full on build-1.", "docker system prune."),),
    )
    skipped = HostSnapshot(
        name="old-box", address="10.0.0.9", state=HostState.SKIPPED, comment="retired in May"
    )
    waiting = HostSnapshot(name="a100-lab", address="a100.lab.example", state=HostState.CONNECTING)
    busy = [msgspec.structs.replace(each, revision=step) for each in (h100, mi300, cpu_only)]
    return state_of([*busy, down("h100-3"), unknown_key("gh200"), waiting, skipped], revision=step)


def contexts() -> tuple[Context, ...]:
    return (
        Context(
            name="train",
            host="h100-1",
            image="nvcr.io/nvidia/pytorch:24.10-py3",
            container="train-llm",
            gpus="all",
            ports=("127.0.0.1:8888:8888/tcp",),
        ),
        Context(
            name="notebook",
            host="h100-1",
            image="quay.io/jupyter/base-notebook",
            container="nb",
            gpus=1,
            user="bob",
        ),
        Context(
            name="rocm",
            host="mi300",
            image="rocm/pytorch:6.2",
            container="rccl-tests",
            gpus=("0", "1"),
            profile="raw",
        ),
    )


def settings(**more: Any) -> Settings:
    return Settings(**more)
