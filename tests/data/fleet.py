"""Fleets of any size that never were: states for tests of the screen, agent lines for whole-way tests.

Everything follows from a seed, a host's number and a tick (one interval), so two runs see the same fleet.
Numbers wander like real ones: GPUs are busy, idle with memory held, or free; containers work in bursts.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from random import Random

import msgspec

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
    Mount,
    Port,
    Problem,
    TmuxPane,
    TmuxSession,
    Usage,
)

GIB = 1 << 30
EPOCH = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)
USERS = ("alice", "bob", "carol", "dave", "erin")
IMAGES = ("pytorch:2.9-cuda13", "vllm:0.14", "jupyter:lab", "rocm:7.2", "postgres:18", "triton:dev")
WORDS = ("train", "eval", "serve", "notebook", "etl", "bench", "tune", "embed", "index", "dev")
COMMANDS = ("python train.py --config llm.yaml", "python -m vllm.entrypoints", "jupyter lab", "bash")

HOSTILE = (
    "[/oops]",
    "[bold red]x[/]",
    "a\x1b[31mred\x1b[2J",
    "two\nlines\ttab",
    "\u202eright to left\u202c",
    "世界モデル訓練",
    "👩\u200d💻🚀❤\ufe0f",
    "z" * 300,
    "e" + "\u0301" * 40,
    "\x07\x00\x7f\x9b31m",
    " ",
    "$(reboot)`x`';--",
)
"""Names that have broken screens somewhere."""


class SyntheticHost:
    """One host of a made-up fleet."""

    def __init__(
        self, number: int, *, containers: int = 10, gpus: int = 8, seed: int = 1, now: datetime = EPOCH
    ) -> None:
        self.name = f"host-{number:03d}"
        self.now = now
        self._random = random = Random(f"{seed}/{number}")
        self.amd = number % 3 == 2
        self.cpus = random.choice((32, 64, 128, 256))
        self.memory = random.choice((256, 512, 1007, 2015)) * GIB
        self._phase = random.random() * 100
        self.gpu_ids = [
            f"amd-{random.getrandbits(64):016x}" if self.amd else f"GPU-{random.getrandbits(128):032x}"
            for _ in range(gpus)
        ]
        self._gpu_mode = [random.choice(("busy", "busy", "idle", "free")) for _ in range(gpus)]
        self.containers = tuple(self._container(index) for index in range(containers))
        self._load = [random.random() for _ in range(containers)]

    # ----------------------------------------------------------------------------------- what does not change

    def hello(self) -> Hello:
        return Hello(
            protocol=1,
            hostname=self.name,
            os="Debian GNU/Linux 12 (bookworm)",
            kernel="6.1.0-28-amd64",
            arch="x86_64",
            python="3.11.2",
            cpus=self.cpus,
            numa_nodes=2,
            user="alice",
            uid=1000,
            pid=4242,
            boot_time=self.now - timedelta(days=41),
        )

    def engine(self) -> Engine:
        return Engine(
            state=EngineState.UP,
            kind="docker",
            version="28.1.0",
            socket="/run/docker.sock",
            root_dir="/var/lib/docker",
        )

    def disks(self) -> tuple[Disk, ...]:
        total = 1800 * GIB
        return (
            Disk(mount="/", role="root", used=total * 71 // 100, total=total, free=total * 24 // 100),
            Disk(mount="/data", role="engine", used=total, total=2 * total, free=total),
        )

    def _container(self, index: int) -> Container:
        random = self._random
        ident = f"{random.getrandbits(256):064x}"
        running = random.random() < 0.8
        given = tuple(random.sample(self.gpu_ids, 1)) if self.gpu_ids and running and index % 4 == 0 else ()
        started = self.now - timedelta(minutes=random.randrange(1, 20000))
        owner = random.choice(USERS)
        return Container(
            id=ident,
            name=f"{owner}-{random.choice(WORDS)}-{index}",
            image=random.choice(IMAGES),
            image_id=f"sha256:{random.getrandbits(256):064x}",
            state="running" if running else "exited",
            command=random.choice(COMMANDS),
            pid=10_000 + index if running else None,
            created_at=started - timedelta(minutes=1),
            started_at=started,
            finished_at=None if running else started + timedelta(minutes=30),
            exit_code=None if running else random.choice((0, 0, 1, 137)),
            health=random.choice(("", "", "", "healthy")) if running else "",
            ports=(Port(private=8888, public=8800 + index, address="127.0.0.1"),) if index % 5 == 0 else (),
            mounts=(Mount(source=f"/home/{owner}/project", target="/work"),),
            labels={"com.example.team": "research"},
            networks=("bridge",),
            gpus=given,
            owner=owner,
            cpu_limit=random.choice((None, None, 8.0)),
        )

    def images(self, count: int) -> ImageReport:
        """That many: half of them are on all hosts, and some of those are another image here."""
        own = Random(f"images/{self.name}")
        made = []
        for index in range(count):
            shared = index % 2 == 0
            digits = f"{index:064x}" if shared and own.random() < 0.95 else f"{own.getrandbits(256):064x}"
            name = f"team/{WORDS[index % len(WORDS)]}-{index if shared else f'{self.name}-{index}'}"
            made.append(
                Image(
                    id=f"sha256:{digits}",
                    tags=() if index % 10 == 9 else (f"{name}:latest",),
                    size=(1 + index % 30) * GIB,
                    created_at=self.now - timedelta(hours=index + 1),
                    labels={"com.example.team": "research"},
                )
            )
        used = {each.image_id: each.image for each in self.containers[: count // 10]}
        made += [Image(id=key, tags=(name,), size=5 * GIB, created_at=self.now) for key, name in used.items()]
        return ImageReport(images=tuple(made))

    # ------------------------------------------------------------------------------------------ each interval

    def _wave(self, tick: int, of: float, period: float) -> float:
        """0-1, wandering."""
        wave = math.sin((tick + self._phase) / period + of * 7) * 0.4
        return min(1.0, max(0.0, 0.5 + wave + Random(f"{of}{tick}").uniform(-0.1, 0.1)))

    def stats(self, tick: int) -> HostStats:
        cpu = 100 * self._wave(tick, 0.1, 40)
        return HostStats(
            cpu_percent=round(cpu, 1),
            load1=round(cpu * self.cpus / 100, 2),
            load5=round(cpu * self.cpus / 110, 2),
            load15=round(cpu * self.cpus / 120, 2),
            mem_used=int(self.memory * self._wave(tick, 0.5, 200)),
            mem_total=self.memory,
            swap_used=0,
            swap_total=8 * GIB,
            net_rx=int(2e7 * self._wave(tick, 0.7, 15)),
            net_tx=int(5e6 * self._wave(tick, 0.9, 15)),
        )

    def gpus(self, tick: int) -> GpuReport:
        total = 192 * GIB if self.amd else 80 * GIB
        return GpuReport(
            driver="" if self.amd else "580.95.05",
            gpus=tuple(
                Gpu(
                    index=index,
                    uuid=uuid,
                    vendor="amd" if self.amd else "nvidia",
                    name="AMD Instinct MI300X" if self.amd else "NVIDIA H100 80GB HBM3",
                    arch="gfx942" if self.amd else "sm_90",
                    util_percent=round(100 * self._wave(tick, index, 25)) if mode == "busy" else 0.0,
                    mem_used=int(total * (0.9 if mode == "busy" else 0.5)) if mode != "free" else 500 << 20,
                    mem_total=total,
                    temp_c=67.0 if mode == "busy" else 34.0,
                    power_w=round(200 + 450 * self._wave(tick, index, 25)) if mode == "busy" else 71.0,
                    power_limit_w=700.0,
                    idle_since=self.now - timedelta(hours=5) if mode == "idle" else None,
                    numa_node=index // 4,
                    bus_id=f"0000:{index:02x}:00.0",
                )
                for index, (uuid, mode) in enumerate(zip(self.gpu_ids, self._gpu_mode, strict=True))
            ),
        )

    def processes(self) -> tuple[GpuProcess, ...]:
        holders = {uuid: c for c in self.containers for uuid in c.gpus}
        return tuple(
            GpuProcess(
                gpu=uuid,
                pid=20_000 + index,
                user=holders[uuid].owner if uuid in holders else "mallory",
                command=COMMANDS[index % len(COMMANDS)],
                mem_used=40 * GIB,
                container=holders[uuid].id if uuid in holders else None,
                started_at=self.now - timedelta(hours=index + 1),
            )
            for index, (uuid, mode) in enumerate(zip(self.gpu_ids, self._gpu_mode, strict=True))
            if mode != "free"
        )

    def usage(self, tick: int) -> tuple[Usage, ...]:
        return tuple(
            Usage(
                id=container.id,
                cpu_percent=round(400 * load * self._wave(tick, load, 10), 1) if load > 0.5 else 0.1,
                mem_used=int(2 * GIB * load) + tick % 7 * 1000,
                mem_limit=self.memory,
                net_rx=tick * 1000,
                net_tx=tick * 500,
                pids=4,
            )
            for container, load in zip(self.containers, self._load, strict=True)
            if container.state == "running"
        )

    def sessions(self) -> tuple[TmuxSession, ...]:
        return tuple(
            TmuxSession(
                id=f"${index}",
                name=name,
                user="alice",
                socket="/tmp/tmux-1000/default",
                attached=index,
                windows=1,
                created_at=self.now - timedelta(hours=9),
                activity_at=self.now - timedelta(minutes=index),
                panes=(
                    TmuxPane(
                        id=f"%{index}",
                        window=0,
                        window_name="main",
                        index=0,
                        command=("vim", "python")[index],
                        path="/home/alice/project",
                        active=True,
                        width=120,
                        height=40,
                    ),
                ),
            )
            for index, name in enumerate(("main", "train-1"))
        )

    # --------------------------------------------------------------------------------------------- as a whole

    def snapshot(self, tick: int = 0) -> HostSnapshot:
        """As the fleet publishes it."""
        return HostSnapshot(
            name=self.name,
            address=f"10.0.0.{int(self.name[-3:]) % 250 + 1}",
            state=HostState.UP,
            tags=("amd",) if self.amd else ("nvidia", "prod"),
            latency_ms=4.2,
            seen_at=self.now,
            revision=tick + 1,
            hello=self.hello(),
            stats=self.stats(tick),
            disks=self.disks(),
            engine=self.engine(),
            gpu_report=self.gpus(tick),
            processes=self.processes(),
            containers=self.containers,
            usage={usage.id: usage for usage in self.usage(tick)},
            sessions=self.sessions(),
        )

    def down(self, tick: int = 0) -> HostSnapshot:
        """After its network was lost: old data under an error."""
        return msgspec.structs.replace(
            self.snapshot(tick),
            state=HostState.DOWN,
            error=Problem(
                title="Unreachable",
                message=f"{self.name} does not answer on port 22.",
                hint=f"berth doctor {self.name}",
            ),
            retry_at=self.now + timedelta(seconds=8),
            seen_at=self.now - timedelta(minutes=3),
            latency_ms=None,
        )

    def lines(self, tick: int, at: float) -> list[bytes]:
        """What its agent writes at an interval; everything at tick 0, only what changed after that."""
        sections: list[tuple[str, object]] = [("host", self.stats(tick))]
        if tick == 0:
            sections.insert(0, ("hello", self.hello()))
            sections += [("disk", self.disks()), ("engine", self.engine()), ("processes", self.processes())]
            sections += [("containers", self.containers), ("tmux", self.sessions())]
        sections += [("gpus", self.gpus(tick)), ("usage", self.usage(tick))]
        return [
            msgspec.json.encode({"s": name, "t": round(at, 3), "d": data}) + b"\n" for name, data in sections
        ]


def make_hosts(
    hosts: int = 3, *, containers: int = 10, gpus: int = 8, seed: int = 1, now: datetime = EPOCH
) -> list[SyntheticHost]:
    """The hosts of a fleet."""
    return [
        SyntheticHost(number, containers=containers, gpus=gpus, seed=seed, now=now) for number in range(hosts)
    ]


def make_state(made: list[SyntheticHost], tick: int = 0, down: frozenset[int] = frozenset()) -> FleetState:
    """A published state of them; hosts of these numbers are down."""
    return FleetState(
        hosts={
            host.name: host.down(tick) if number in down else host.snapshot(tick)
            for number, host in enumerate(made)
        },
        revision=tick + 1,
    )


def hostile_snapshot() -> HostSnapshot:
    """A host whose every text tries to break the screen."""
    host = SyntheticHost(0, containers=len(HOSTILE), gpus=2)
    containers = tuple(
        msgspec.structs.replace(
            container,
            name=text,
            image=text,
            command=text,
            owner=text,
            image_id=text,
            networks=(text,),
            labels={text: text},
            health=text,
            mounts=(Mount(source=text, target=text, kind=text),),
            gpus=tuple(host.gpu_ids),
        )
        for container, text in zip(host.containers, HOSTILE, strict=True)
    )
    worst = "".join(HOSTILE)
    problem = Problem(title=worst, message=worst, hint=worst, fingerprint=worst)
    snapshot = host.snapshot()
    return msgspec.structs.replace(
        snapshot,
        containers=containers,
        hello=msgspec.structs.replace(host.hello(), hostname=worst, os=worst, kernel=worst, user=worst),
        engine=Engine(state=EngineState.DENIED, kind=worst, version=worst, error=worst, hint=worst),
        warnings=(problem,),
        error=problem,
        gpu_report=GpuReport(
            driver=worst,
            error=worst,
            hint=worst,
            gpus=tuple(msgspec.structs.replace(gpu, name=worst, error=worst) for gpu in host.gpus(0).gpus),
        ),
        processes=tuple(
            msgspec.structs.replace(process, user=worst, command=worst, container=containers[0].id)
            for process in host.processes()
        ),
        sessions=tuple(
            msgspec.structs.replace(
                session,
                name=worst,
                panes=tuple(
                    msgspec.structs.replace(pane, command=worst, path=worst, window_name=worst)
                    for pane in session.panes
                ),
            )
            for session in host.sessions()
        ),
    )
