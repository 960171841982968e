"""What `berth jobs` says of the GPUs of running jobs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from backend import joblist
from backend.model import JobRow
from backend.queues import describe
from backend.queues.measuring import with_samples
from tests.tui.fakes import showcase

HOST = showcase().hosts["h100-1"]
assert HOST.gpu_report is not None
GPUS = HOST.gpu_report.gpus


def row(**more: Any) -> JobRow:
    values = {"host": "h100-1", "engine": "docker", "id": "7", "name": "x", "owner": "ann"}
    return JobRow(**{**values, "state": "running", "gpus": 1, **more})


def test_a_running_job_is_shown_with_what_its_gpus_do() -> None:
    busy = next(gpu for gpu in GPUS if gpu.util_percent and gpu.idle_since is None)
    idle = next(gpu for gpu in GPUS if gpu.idle_since is not None)
    rows = [
        row(gpu_uuids=(busy.uuid,)),
        row(gpu_uuids=(idle.uuid,)),
        row(state="queued"),
        row(engine="slurm", gpu_uuids=(busy.uuid,)),
        row(gpu_uuids=("GPU-that-is-gone",)),
    ]
    one, two, waits, other, gone = with_samples(rows, HOST)
    assert (one.util_percent, one.gpu_mem_used, one.idle_since) == (busy.util_percent, busy.mem_used, None)
    assert two.idle_since == idle.idle_since
    assert (waits, other) == (rows[2], rows[3])
    assert gone.util_percent is None


def test_waste_is_said_once_it_is_no_pause() -> None:
    now = datetime.now(UTC)
    idle = row(util_percent=0.0, idle_since=now - timedelta(minutes=40))
    assert describe.why(idle) == "GPU idle for 40 m"
    assert joblist._why_style(idle) == "warn"
    pauses = (
        replace(idle, idle_since=now - timedelta(seconds=describe.WASTE - 5)),  # between two epochs
        replace(idle, idle_since=None, gpus=2),  # a single look has seen no more
        row(util_percent=97.0),
        replace(idle, ended_at=now, state="completed"),
    )
    for pause in pauses:
        assert not describe.wastes(pause) and "idle" not in describe.why(pause)
        assert joblist._why_style(pause) == ""
