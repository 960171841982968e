"""What containers use, read from trees of cgroups that are made up."""

from __future__ import annotations

import os
import resource

import pytest

from backend.agent import containers
from backend.agent.probe.usage import UsageProbe
from tests.backend.agent.made_up import ID, write


@pytest.fixture
def unified(tmp_path):
    """A machine with cgroup v2 and one container, by the systemd driver."""
    group = tmp_path / "cg/system.slice" / f"docker-{ID}.scope"
    proc = tmp_path / "proc"
    write(
        proc,
        {
            "self/mountinfo": f"30 23 0:26 / {tmp_path}/cg rw - cgroup2 cgroup2 rw\n",
            "77/cgroup": f"0::/system.slice/docker-{ID}.scope/init.scope\n",
            "77/net/dev": "a\nb\n  lo: 9 0 0 0 0 0 0 0 9\n eth0: 1000 0 0 0 0 0 0 0 200 0\n",
        },
    )
    write(
        group,
        {
            "cpu.stat": "usage_usec 1000000\nuser_usec 1\n",
            "memory.current": "5000\n",
            "memory.stat": "anon 1\ninactive_file 2000\nactive_file 7\n",
            "memory.max": "max\n",
            "pids.current": "3\n",
        },
    )
    return group, proc


def entry(network="bridge", pid=77):
    data = {"Id": ID, "State": {"Status": "running", "Pid": pid}, "HostConfig": {"NetworkMode": network}}
    return containers.inspected(data)


def test_usage_of_version_2(unified):
    group, proc = unified
    probe = UsageProbe(str(proc))
    probe.sync([entry()])
    (first,) = probe.sample(1 << 30)
    assert first == {
        "id": ID,
        "mem_used": 3000,
        "mem_limit": 1 << 30,
        "pids": 3,
        "net_rx": 1000,
        "net_tx": 200,
    }
    (group / "cpu.stat").write_text("usage_usec 1500000\nuser_usec 1\n")
    (second,) = probe.sample(1 << 30)
    assert second["cpu_percent"] > 0
    (third,) = probe.sample(1 << 30)
    assert third["cpu_percent"] == 0
    probe.close()


def test_usage_of_a_container_that_goes_away(unified):
    group, proc = unified
    probe = UsageProbe(str(proc))
    probe.sync([entry(network="host")])
    (first,) = probe.sample(0)
    assert "net_rx" not in first and "mem_limit" not in first
    assert probe.contradictions() == []
    (group / "cpu.stat").write_text("")
    for file in (proc / "77").rglob("*"):
        if file.is_file():
            file.unlink()
    (proc / "77/net").rmdir()
    (proc / "77").rmdir()
    assert probe.sample(0) == []
    assert probe.contradictions() == [ID]  # no event told of it
    probe.sync([])
    assert probe.contradictions() == [ID]  # and now it is the other way round
    os.rename(group, group.parents[1] / "gone")
    assert probe.contradictions() == []


def test_a_container_that_no_event_told_of(unified):
    group, proc = unified
    probe = UsageProbe(str(proc))
    probe.sync([entry()])
    probe.sample(0)
    assert probe.contradictions() == []
    other = "ef" * 32
    (group.parent / f"docker-{other}.scope").mkdir()
    (group.parent / "cron.service").mkdir()
    assert probe.contradictions() == [other]


def test_usage_leaves_room_for_other_files(unified, monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda which: (64, 64))
    _, proc = unified
    probe = UsageProbe(str(proc))
    before = len(os.listdir("/proc/self/fd"))
    probe.sync([entry()])
    assert len(probe.sample(0)) == 1
    assert len(os.listdir("/proc/self/fd")) == before
    (again,) = probe.sample(0)
    assert again["pids"] == 3
