"""`berth logs` against real engines on real hosts: merged, followed over a lost link, ended as asked."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backend.errors import NoSuchTarget, UsageError
from backend.logs import show
from backend.logs.follower import Status, Target
from backend.logs.since import parse_since, parse_tail
from tests.lab import HostSpec, Lab, parts

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
COUNTER = 'i=0; while [ $i -lt {most} ]; do i=$((i+1)); echo "count $i"; usleep {pause}; done'


# -------------------------------------------------------------------------------------- what is typed


@pytest.mark.parametrize(
    ("typed", "ago"),
    [
        ("90s", timedelta(seconds=90)),
        ("10m", timedelta(minutes=10)),
        ("1h30m", timedelta(minutes=90)),
        ("1.5h", timedelta(minutes=90)),
        ("2d", timedelta(days=2)),
        ("2026-01-31T11:00:00+00:00", timedelta(hours=1)),
        ("2026-01-31T11:00:00Z", timedelta(hours=1)),
    ],
)
def test_since_is_a_while_ago_or_a_moment(typed, ago):
    assert NOW - parse_since(typed, NOW) == ago


def test_a_time_of_day_is_the_last_one_of_that_time():
    here = NOW.astimezone()
    before, after = here - timedelta(minutes=5), here + timedelta(minutes=5)
    assert parse_since(f"{before:%H:%M}", NOW) == before.astimezone(UTC)
    assert parse_since(f"{after:%H:%M}", NOW) == (after - timedelta(days=1)).astimezone(UTC)


@pytest.mark.parametrize("typed", ["", "x", "10", "25:00", "99999999999999d", "2026-13-01", "-5m"])
def test_what_is_no_time_is_refused(typed):
    with pytest.raises(UsageError):
        parse_since(typed, NOW)


def test_tail_is_a_number_or_all():
    assert parse_tail("all") is None and parse_tail("0") == 0 and parse_tail("12") == 12
    for typed in ("", "-1", "1.5", "many", "9" * 30):
        with pytest.raises(UsageError):
            parse_tail(typed)


# ------------------------------------------------------------------------------------------ in the lab


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    parts.require()
    with Lab(
        tmp_path_factory.mktemp("lab") / "lab", [HostSpec("dock"), HostSpec("pod", engine="podman")]
    ) as lab:
        for host in lab.hosts.values():
            script = r'echo "out $i"; sleep 0.02; printf "\033[31merr\033[0m\033[2J %d\n" $i >&2'
            script = f"for i in 1 2 3; do {script}; done"
            host.docker("run", "--name", "spoke", "busybox", "sh", "-c", script)
        yield lab


def berth(lab: Lab, *words: str) -> subprocess.Popen[str]:
    env = {
        **os.environ,
        "BERTH_CONFIG_DIR": str(lab.config_dir),
        "BERTH_STATE_DIR": str(lab.directory / "state"),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "tui", *words],
        env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def done(process: subprocess.Popen[str]) -> tuple[int, list[str], str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out.splitlines(), err


@pytest.mark.lab
@pytest.mark.parametrize("host", ["dock", "pod"])
def test_lines_of_both_streams_come_out_plain(lab, host):
    code, out, err = done(berth(lab, "logs", f"{host}/spoke"))
    assert (code, err) == (0, "")
    assert sorted(out) == ["err 1", "err 2", "err 3", "out 1", "out 2", "out 3"]


@pytest.mark.lab
def test_several_logs_are_merged_by_time_and_named(lab):
    code, out, err = done(berth(lab, "logs", "dock/spoke", "pod/spoke", "--timestamps"))
    assert (code, err) == (0, "")
    parts = [re.match(r"(dock/spoke|pod/spoke ) \| (\S+Z) (?:out|err) \d$", text) for text in out]
    assert len(parts) == 12 and all(parts)
    times = [part.group(2) for part in parts]
    assert times == sorted(times)


@pytest.mark.lab
def test_json_says_where_each_line_is_from(lab):
    code, out, _ = done(berth(lab, "logs", "dock/spoke", "--json", "--grep", "/[12]$/"))
    found = [json.loads(text) for text in out]
    assert code == 0
    assert {(each["host"], each["container"], each["stream"], each["text"]) for each in found} == {
        ("dock", "spoke", "stdout", "out 1"), ("dock", "spoke", "stdout", "out 2"),
        ("dock", "spoke", "stderr", "err 1"), ("dock", "spoke", "stderr", "err 2"),
    }  # fmt: skip
    assert all(datetime.fromisoformat(each["time"]) for each in found)


@pytest.mark.lab
def test_a_part_of_the_log(lab):
    assert done(berth(lab, "logs", "dock/spoke", "--tail", "1"))[1] == ["err 3"]
    assert done(berth(lab, "logs", "dock/spoke", "--since", "0.001s"))[1] == []
    assert done(berth(lab, "logs", "dock/spoke", "--tail", "x"))[0] == 2


@pytest.mark.lab
def test_a_name_that_is_none_does_not_keep_the_others(lab):
    code, out, err = done(berth(lab, "logs", "dock/--rm", "dock/nothing", "dock/spoke", "--tail", "1"))
    assert (code, out) == (4, ["err 3"]) and "no container 'nothing'" in err and "--rm" in err


@pytest.mark.lab
@pytest.mark.parametrize("host", ["dock", "pod"])
def test_following_loses_and_repeats_nothing_over_a_lost_link(lab, host):
    box = lab.host(host)
    box.docker("run", "-d", "--name", "counts", "busybox", "sh", "-c", COUNTER.format(most=300, pause=50_000))
    process = berth(lab, "logs", f"{host}/counts", "-f")
    assert process.stdout is not None
    seen = [process.stdout.readline() for _ in range(40)]
    for pid in _sessions(box):
        box.run(["kill", "-9", pid], check=False)
    assert process.stderr is not None
    rest, err = process.stdout.readlines(), process.stderr.read()
    box.docker("rm", "-f", "counts")
    assert [*seen, *rest] == [f"count {number}\n" for number in range(1, 301)]
    assert process.wait(20) == 0 and "going on where it was lost" in err


def _sessions(box) -> list[str]:
    """Pids on the host of the sshd processes that hold a connection."""
    listed = box.run(["ps", "-eo", "pid,args"]).stdout.splitlines()
    return [text.split()[0] for text in listed if "sshd: " in text and "listener" not in text]


@pytest.mark.lab
def test_a_container_that_vanishes_is_said_and_ends_it(lab):
    box = lab.host("dock")
    box.docker(
        "run", "-d", "--name", "fleeting", "busybox", "sh", "-c", COUNTER.format(most=10**6, pause=20_000)
    )
    process = berth(lab, "logs", "dock/fleeting", "-f")
    assert process.stdout is not None and process.stdout.readline() == "count 1\n"
    box.docker("rm", "-f", "fleeting")
    code, _, err = done(process)
    assert code == 0 and "dock/fleeting is not there any more." in err


@pytest.mark.parametrize(("read", "code"), [(True, 0), (False, 4)])
def test_removed_before_it_is_followed_is_its_end_only_where_something_was_read(read, code):
    told = show._Told([Target("dock", "id", "fleeting")])
    if read:
        told.read.add(0)
    told.status(0, Status("removed", NoSuchTarget("dock: there is no such container.")))
    assert told.code == code


@pytest.mark.lab
def test_ctrl_c_and_a_closed_pipe_end_it(lab):
    box = lab.host("dock")
    box.docker("run", "-d", "--name", "endless", "busybox", "sh", "-c", "seq 1 100000; sleep 1000")
    try:
        process = berth(lab, "logs", "dock/endless", "-f")
        assert process.stdout is not None and process.stdout.readline() == "1\n"
        process.send_signal(signal.SIGINT)
        assert done(process)[0] == 130

        stuck = berth(lab, "logs", "dock/endless", "-f")  # nobody reads on: the pipe is full at some time
        assert stuck.stdout is not None and stuck.stdout.readline() == "1\n"
        _wait_until_stuck(stuck)
        stuck.send_signal(signal.SIGINT)
        assert stuck.wait(20) == 130

        closed = berth(lab, "logs", "dock/endless", "-f")
        assert closed.stdout is not None and closed.stderr is not None
        assert closed.stdout.readline() == "1\n"
        closed.stdout.close()
        assert closed.wait(20) == 141
        assert closed.stderr.read() == ""
    finally:
        box.docker("rm", "-f", "endless")


def _wait_until_stuck(process: subprocess.Popen[str]) -> None:
    """Until one of its threads is blocked in a write to a full pipe."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        for task in Path(f"/proc/{process.pid}/task").iterdir():
            if "pipe_write" in (task / "wchan").read_text() or "pipe_wait" in (task / "wchan").read_text():
                return
        time.sleep(0.05)
    raise AssertionError("its output was never full")
