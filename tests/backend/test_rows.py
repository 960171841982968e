"""Rows: joins, words of `docker ps`, what counts as free, and identity of what did not change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import msgspec
import pytest

from backend import dockerwords, gpurows, rows
from backend.model import (
    Container,
    Disk,
    Engine,
    EngineState,
    FleetState,
    Gpu,
    GpuProcess,
    GpuReport,
    HostSnapshot,
    HostState,
    Port,
    TmuxSession,
    Usage,
)

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
ID = "a" * 64


def snapshot(**changes) -> HostSnapshot:
    """An up host with two GPUs and one running container that was given GPU 0."""
    fields = {
        "name": "h1",
        "address": "10.0.0.1",
        "state": HostState.UP,
        "gpu_report": GpuReport(
            gpus=(
                Gpu(
                    index=0,
                    uuid="G0",
                    vendor="nvidia",
                    name="H100",
                    util_percent=50.0,
                    mem_used=1,
                    mem_total=10,
                ),
                Gpu(
                    index=1,
                    uuid="G1",
                    vendor="nvidia",
                    name="H100",
                    util_percent=0.0,
                    mem_used=0,
                    mem_total=10,
                ),
            )
        ),
        "containers": (
            Container(id=ID, name="train", image="i", state="running", gpus=("G0",), owner="alice"),
        ),
        "usage": {ID: Usage(id=ID, cpu_percent=250.0, mem_used=5, mem_limit=9)},
    }
    return HostSnapshot(**(fields | changes))


def fleet(*hosts: HostSnapshot) -> FleetState:
    return FleetState(hosts={host.name: host for host in hosts})


def context(name: str = "work", **changes) -> SimpleNamespace:
    fields = {
        "name": name, "host": "h1", "image": "i", "container": "train", "user": "root",
        "gpus": None, "ports": [], "mounts": [], "profile": "tuned",
    }  # fmt: skip
    return SimpleNamespace(**(fields | changes))


def test_a_gpu_given_to_a_running_container_is_not_free():
    first, second = gpurows.gpu_rows(snapshot())
    assert (first.free, first.containers, first.owners) == (False, ("train",), ("alice",))
    assert second.free


@pytest.mark.parametrize(
    "gpu",
    [
        {"error": "GPU is lost"},
        {"util_percent": 3.0},
        {"mem_used": 2 * gpurows.FREE_MEMORY},
    ],
)
def test_a_gpu_with_work_memory_or_an_error_is_not_free(gpu):
    found = Gpu(**({"index": 0, "uuid": "G0", "vendor": "nvidia", "name": "x"} | gpu))
    (row,) = gpurows.gpu_rows(snapshot(gpu_report=GpuReport(gpus=(found,)), containers=()))
    assert not row.free


def test_a_container_that_may_use_every_gpu_reserves_none():
    container = Container(id=ID, name="dev", image="i", state="running", gpus=("G0", "G1"))
    idle = tuple(msgspec.structs.replace(gpu, util_percent=0.0) for gpu in snapshot().gpu_report.gpus)
    found = gpurows.gpu_rows(snapshot(containers=(container,), gpu_report=GpuReport(gpus=idle)))
    assert [row.free for row in found] == [True, True]


def test_a_job_that_was_given_every_gpu_has_them_all():
    labels = {"berth.job": "12", "berth.owner": "ann"}
    container = Container(id=ID, name="j", image="i", state="running", gpus=("G0", "G1"), labels=labels)
    idle = tuple(msgspec.structs.replace(gpu, util_percent=0.0) for gpu in snapshot().gpu_report.gpus)
    found = gpurows.gpu_rows(snapshot(containers=(container,), gpu_report=GpuReport(gpus=idle)))
    assert [row.free for row in found] == [False, False]


def test_no_gpu_of_a_lost_host_is_free():
    host = snapshot(state=HostState.DOWN)
    assert not any(row.free for row in gpurows.gpu_rows(host))
    assert rows.host_row(host).gpus_free is None


def test_a_gpu_process_belongs_to_its_containers_owner_and_names_it():
    process = GpuProcess(gpu="G1", pid=7, user="root", command="python", mem_used=3, container=ID)
    row = gpurows.gpu_rows(snapshot(processes=(process,)))[1]
    assert not row.free
    assert (row.processes[0].user, row.processes[0].container) == ("alice", "train")
    (container,) = rows.RowBuilder().containers(fleet(snapshot(processes=(process,))))
    assert container.gpu_mem_used == 3


def test_container_rows_join_usage_gpus_and_context():
    builder = rows.RowBuilder([context()])
    (row,) = builder.containers(fleet(snapshot()))
    assert (row.cpu_percent, row.mem_used, row.gpu_util_percent) == (250.0, 5, 50.0)
    assert (row.owner, row.context) == ("alice", "work")


def test_a_stopped_container_shows_no_usage():
    stopped = Container(id=ID, name="train", image="i", state="exited", gpus=("G0",), exit_code=137)
    (row,) = rows.RowBuilder().containers(fleet(snapshot(containers=(stopped,))))
    assert (row.cpu_percent, row.gpu_util_percent, row.exit_code) == (None, None, 137)


def test_rows_made_ahead_are_the_rows_that_are_shown():
    builder = rows.RowBuilder()
    before = FleetState(hosts={"h1": snapshot(), "h2": snapshot(name="h2")})
    assert list(builder.warm(before))
    assert not list(builder.warm(before)), "nothing is made twice"
    later = FleetState(hosts={**before.hosts, "h2": snapshot(name="h2", usage={ID: Usage(id=ID, pids=1)})})
    steps = builder.warm(later)
    next(steps)
    known = {row.host: row for row in builder.containers(later)}
    list(steps)
    assert {row.host: row for row in builder.containers(later)} == known
    assert all(row is known[row.host] for row in builder.containers(later))


def test_rows_that_did_not_change_keep_their_identity():
    builder = rows.RowBuilder()
    before = builder.containers(fleet(snapshot()))
    other = builder.containers(fleet(snapshot()))
    assert before == other and before[0] is other[0]
    changed = builder.containers(fleet(snapshot(usage={})))
    assert changed[0] is not before[0]


def test_unchanged_hosts_are_not_built_again(monkeypatch):
    calls = []
    monkeypatch.setattr(
        rows, "host_row", lambda host: calls.append(host.name) or SimpleNamespace(name=host.name)
    )
    builder = rows.RowBuilder()
    one, two = snapshot(), snapshot(name="h2")
    builder.hosts(fleet(one, two))
    builder.hosts(fleet(one, snapshot(name="h2", revision=2)))
    assert calls == ["h1", "h2", "h2"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "Less than a second"), (1, "1 second"), (59, "59 seconds"), (60, "About a minute"),
        (150, "2 minutes"), (3600, "About an hour"), (5300, "About an hour"), (5500, "2 hours"),
        (3 * 86400, "3 days"), (15 * 86400, "2 weeks"), (70 * 86400, "2 months"), (800 * 86400, "2 years"),
    ],
)  # fmt: skip
def test_durations_in_dockers_words(seconds, words):
    assert dockerwords.human_duration(seconds) == words


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"state": "running", "started_at": NOW - timedelta(hours=3)}, "Up 3 hours"),
        ({"state": "running", "started_at": NOW - timedelta(hours=3), "health": "unhealthy"},
         "Up 3 hours (unhealthy)"),
        ({"state": "paused", "started_at": NOW - timedelta(hours=3)}, "Up 3 hours (Paused)"),
        ({"state": "exited", "finished_at": NOW - timedelta(days=3), "exit_code": 137},
         "Exited (137) 3 days ago"),
        ({"state": "created"}, "Created"),
        ({"state": "exited", "exit_code": 0}, "Exited (0)"),
    ],
)  # fmt: skip
def test_status_in_dockers_words(fields, words):
    assert dockerwords.status(Container(id=ID, name="x", image="i", **fields), NOW) == words


def test_ports_in_dockers_words():
    found = [
        Port(private=80),
        Port(private=9999, public=9999, address="127.0.0.1"),
        Port(private=1, public=2, address="::"),
    ]
    assert dockerwords.ports(found) == ("[::]:2->1/tcp", "127.0.0.1:9999->9999/tcp", "80/tcp")


@pytest.mark.parametrize(
    ("host", "state"),
    [
        (None, "unknown"),
        (snapshot(), "running"),
        (snapshot(containers=()), "missing"),
        (snapshot(containers=None), "unknown"),
        (snapshot(state=HostState.DOWN), "unknown"),
        (snapshot(engine=Engine(state=EngineState.HUNG)), "unknown"),
        (snapshot(containers=(Container(id=ID, name="train", image="i", state="exited"),)), "stopped"),
    ],
)
def test_state_of_a_context(host, state):
    assert rows.context_row(context(), host).state == state


def test_sessions_belong_to_the_context_they_are_named_after():
    sessions = tuple(
        TmuxSession(id=f"${i}", name=name, user="alice", socket="/s", attached=0, windows=1)
        for i, name in enumerate(["work-1", "work", "work-x", "other-1", "llama_v2-3"])
    )
    found = rows.RowBuilder([context(), context("llama.v2")]).sessions(fleet(snapshot(sessions=sessions)))
    assert [row.context for row in found] == ["work", "work", None, None, "llama.v2"]
    (row,) = rows.RowBuilder([context()]).contexts(fleet(snapshot(sessions=sessions)))
    assert row.sessions == 2


def test_the_disk_shown_is_the_one_that_fills_first():
    disks = (
        Disk(mount="/", role="root", used=10, total=100, free=90),
        Disk(mount="/var/lib/docker", role="engine", used=95, total=100, free=5),
        Disk(mount="/home", role="home", used=99, total=100, free=1),
    )
    assert rows.host_row(snapshot(disks=disks)).disk_used == 95
