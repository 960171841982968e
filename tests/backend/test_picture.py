"""What a host's data says about its health, and what is remembered of it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from backend import backoff, enginefallback, laststate, picture, wire
from backend.config import HostConfig
from backend.errors import HostError, HostKeyChanged, HostKeyUnknown, LoginRefused, Unreachable
from backend.model import (
    Container,
    Disk,
    Engine,
    EngineState,
    FleetState,
    Gpu,
    GpuReport,
    HostSnapshot,
    HostState,
    Usage,
)
from tests.backend.fakes import ENGINE, STATS, container, line

BOX = HostConfig(name="box", host="10.0.0.1", tags=("a",), comment="new")
HERE = HostConfig(name="local", host="local", local=True)
GIB = 1024**3


def test_a_host_nothing_is_known_of() -> None:
    host = picture.blank(BOX)
    assert (host.name, host.address, host.state, host.tags) == (
        "box",
        "10.0.0.1",
        HostState.CONNECTING,
        ("a",),
    )
    assert picture.blank(replace(BOX, skip=True)).state is HostState.SKIPPED
    assert picture.blank(HERE).address == "local"


@pytest.mark.parametrize(
    ("state", "title"),
    [
        ("hung", "Engine hangs"),
        ("denied", "Engine denied"),
        ("down", "Engine down"),
        ("missing", "No engine"),
    ],
)
def test_an_engine_that_is_of_no_use_says_what_to_do(state: str, title: str) -> None:
    problem = picture.engine_problem(BOX, Engine(EngineState(state)))
    assert problem and problem.title == title and "box" in problem.message and problem.hint
    own = picture.engine_problem(BOX, Engine(EngineState(state), error="Why.", hint="How."))
    assert own and (own.message, own.hint) == ("Why.", "How.")


def test_engines_that_are_no_problem() -> None:
    for state in ("up", "connecting", "off"):
        assert picture.engine_problem(BOX, Engine(EngineState(state))) is None
    missing = Engine(EngineState.MISSING)
    assert picture.engine_problem(HERE, missing) is None, "a laptop needs no engine"
    assert picture.engine_problem(replace(HERE, engine="docker"), missing), "unless it was asked for"
    stopped = picture.engine_problem(BOX, replace(missing, kind="docker"))
    assert stopped and stopped.title == "Engine down", "it was there before"


def test_gpus_that_fail() -> None:
    good = Gpu(index=0, uuid="a", vendor="nvidia", name="H100")
    assert picture.gpu_problem(BOX, GpuReport(gpus=(good,))) is None
    problem = picture.gpu_problem(
        BOX, GpuReport(gpus=(good, replace(good, index=3, error="fell off the bus")))
    )
    assert problem and "GPU 3: fell off the bus" in problem.message
    many = picture.gpu_problem(
        BOX, GpuReport(gpus=tuple(replace(good, index=n, error="x") for n in range(8)))
    )
    assert many and "and 4 more" in many.message
    driver = picture.gpu_problem(BOX, GpuReport(error="Driver/library version mismatch", hint="Reboot."))
    assert driver and "mismatch" in driver.message and driver.hint == "Reboot."


@pytest.mark.parametrize(
    ("used", "free", "total", "full"),
    [
        (50 * GIB, 50 * GIB, 100 * GIB, False),
        (98 * GIB, 2 * GIB, 100 * GIB, True),
        (97 * GIB, 3 * GIB, 100 * GIB, False),
        (900 * GIB, GIB // 2, 1000 * GIB, True),
        (100, 50, 150, False),
        (10 * GIB, 0, 20 * GIB, True),
        (0, 0, 0, False),
    ],
)
def test_disks_that_are_full(used: int, free: int, total: int, full: bool) -> None:
    disk = Disk(mount="/data", role="engine", used=used, total=total, free=free)
    problems = picture.disk_problems(BOX, [disk, replace(disk, role="root")])
    assert len(problems) == full, "once for each file system, whatever its roles"
    assert all("/data" in each.message and "berth disk prune" in each.hint for each in problems)


@pytest.mark.parametrize(("limit", "full"), [(90.0, True), (91.0, False)])
def test_from_when_a_disk_is_full_can_be_chosen(limit: float, full: bool) -> None:
    disk = Disk(mount="/data", role="home", used=90 * GIB, total=100 * GIB, free=10 * GIB)
    problems = picture.disk_problems(replace(BOX, disk_full=limit), [disk])
    assert [each.title for each in problems] == ["Disk full"] * full
    assert all("berth disk top" in each.hint and "--path /data" in each.hint for each in problems)


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))
def test_no_numbers_of_a_disk_do_harm(used: int, free: int, total: int) -> None:
    disk = Disk(mount="/", role="root", used=used, total=total, free=free)
    assert len(picture.disk_problems(BOX, [disk])) <= 1


@given(st.sampled_from([Unreachable, LoginRefused, HostKeyUnknown, HostKeyChanged]), st.integers(1, 10_000))
def test_how_long_it_waits(kind: type[HostError], attempt: int) -> None:
    wait = backoff.delay(kind("x"), attempt)
    longest = backoff.NETWORK_MAX if kind is Unreachable else backoff.REFUSED_MAX
    assert 0 < wait <= longest
    assert attempt < 10 or wait >= longest * 0.6
    assert attempt > 1 or wait <= 5


def test_a_host_is_back_in_time() -> None:
    """An attempt that just began when the network came back, then the longest wait, then a login."""
    from backend.link.connect import CONNECT_TIMEOUT

    assert CONNECT_TIMEOUT + backoff.NETWORK_MAX < 15 - 1


def test_only_the_engines_own_words_count_when_it_is_read_from_here() -> None:
    def of(section: str, data: object) -> wire.Section | None:
        return enginefallback.of_engine(wire.decode(line(section, data)), "/run/docker.sock")

    assert of("host", STATS) is None and of("gpus", {"gpus": []}) is None and of("tmux", []) is None
    engine = of("engine", {**ENGINE, "socket": "/tmp/forwarded"})
    assert engine and isinstance(engine.data, Engine) and engine.data.socket == "/run/docker.sock"
    found = of("containers", [container("a", gpus=["GPU-of-this-machine"], owner="somebody-here")])
    assert found and isinstance(found.data, tuple)
    assert [(each.name, each.gpus, each.owner) for each in found.data if isinstance(each, Container)] == [
        ("a", (), None)
    ]


# -------------------------------------------------------------------------------------- last state


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BERTH_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


def seen() -> HostSnapshot:
    return replace(
        picture.blank(BOX),
        state=HostState.UP,
        seen_at=datetime(2026, 1, 2, tzinfo=UTC),
        containers=(Container(id="1", name="web", image="busybox", state="running"),),
        usage={"1": Usage("1", cpu_percent=3.0)},
        latency_ms=2.0,
        revision=70,
    )


def test_what_was_seen_is_remembered(folder: Path) -> None:
    laststate.save(FleetState(hosts={"box": seen(), "new": picture.blank(replace(BOX, name="new"))}))
    assert laststate.path().stat().st_mode & 0o777 == 0o600
    known = laststate.load()
    assert list(known) == ["box"]
    host = laststate.start(replace(BOX, comment="renamed"), known)
    assert (host.state, host.containers, host.usage) == (
        HostState.CONNECTING,
        seen().containers,
        seen().usage,
    )
    assert (host.seen_at, host.latency_ms, host.revision, host.comment) == (
        seen().seen_at,
        None,
        0,
        "renamed",
    )
    assert laststate.start(replace(BOX, host="10.0.0.2"), known).seen_at is None, "another machine now"
    assert laststate.start(replace(BOX, skip=True), known).state is HostState.SKIPPED


@pytest.mark.parametrize("damage", [b"", b"\x00", b"\xff" * 100, b"{}"])
def test_a_damaged_memory_is_no_memory(folder: Path, damage: bytes) -> None:
    laststate.save(FleetState(hosts={"box": seen()}))
    whole = laststate.path().read_bytes()
    for data in (damage, whole[: len(whole) // 2], whole.replace(b"web", b"\xff\xfe\xfd")):
        laststate.path().write_bytes(data)
        assert laststate.load() == {}


def test_memory_of_another_version_missing_or_not_to_be_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert laststate.load() == {}
    laststate.save(FleetState(hosts={"box": seen()}))
    monkeypatch.setattr(laststate, "VERSION", 2)
    assert laststate.load() == {}
    monkeypatch.setenv("BERTH_STATE_DIR", "/proc/nowhere")
    laststate.save(FleetState(hosts={"box": seen()}))
    assert laststate.load() == {}
