"""What the agent reads from engines and the kernel: real answers, and anything else."""

from __future__ import annotations

import json
import string
from datetime import datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend import model
from backend.agent import commands, containers, times
from backend.agent.emit import to_json
from backend.agent.engine import event_container
from backend.agent.http_parse import LineSplitter, ResponseError, ResponseParser
from backend.agent.probe import amd, cgroups, host, processes, tmux, usage

DATA = Path(__file__).parents[2] / "data" / "agent"
ID = "ab" * 32

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def load(name: str):
    return json.loads((DATA / name).read_text())


def decode(wire) -> model.Container:
    return msgspec.json.decode(to_json(wire), type=model.Container)


# ------------------------------------------------------------------------------------- engine


def test_docker_inspect():
    container = decode(containers.inspected(load("docker_rich.json")).wire)
    assert (container.name, container.state, container.user) == ("rich", "running", "1000:1000")
    assert container.image == "busybox:latest"
    assert container.command == 'sh -c sleep 1000; echo "x y"'
    assert (container.cpu_limit, container.cpuset, container.health) == (1.5, "0", "starting")
    assert container.ports[0] == model.Port(private=53, protocol="udp") or container.ports[1].private == 53
    assert model.Port(80, "tcp", 9999, "127.0.0.1") in container.ports
    kinds = {mount.target: (mount.kind, mount.source, mount.writable) for mount in container.mounts}
    assert kinds == {
        "/w": ("bind", "/home/alice/work", False),
        "/v": ("volume", "vol", True),
        "/t": ("tmpfs", "", True),
    }
    assert container.labels == {"a": "b"}
    assert container.exit_code is None and container.finished_at is None and container.complete
    assert container.started_at >= container.created_at


def test_podman_inspect():
    container = decode(containers.inspected(load("podman_rich.json")).wire)
    assert (container.name, container.state, container.networks) == ("rich", "running", ("podman",))
    assert container.image == "localhost/busybox:latest"
    assert model.Port(80, "tcp", 9999, "127.0.0.1") in container.ports
    assert ("/t", "tmpfs") in {(mount.target, mount.kind) for mount in container.mounts}
    assert container.pid and container.started_at


@pytest.mark.parametrize("kind", ["docker", "podman"])
def test_ended_container(kind):
    container = decode(containers.inspected(load(f"{kind}_ended.json")).wire)
    assert (container.state, container.exit_code, container.pid) == ("exited", 3, None)
    assert (
        container.finished_at and container.started_at
    )  # Docker may set them a millisecond the wrong way round


@pytest.mark.parametrize("kind", ["docker", "podman"])
def test_list(kind):
    found = {c.name: c for c in (decode(containers.listed(each).wire) for each in load(f"{kind}_list.json"))}
    assert {name: c.state for name, c in found.items()} == {"rich": "running", "ended": "exited"}
    assert not found["rich"].complete
    assert found["rich"].created_at is not None
    assert model.Port(80, "tcp", 9999, "127.0.0.1") in found["rich"].ports


@given(anything, anything, anything, anything)
@settings(max_examples=200, deadline=None)
def test_any_answer_of_an_engine_is_survived(state, config, host_config, rest):
    data = {
        "Id": ID,
        "Name": rest,
        "State": state,
        "Config": config,
        "HostConfig": host_config,
        "Mounts": rest,
    }
    data["NetworkSettings"] = {"Ports": rest, "Networks": config}
    decode(containers.inspected(data).wire)
    listed = {
        "Id": ID,
        "Names": rest,
        "State": state,
        "Created": config,
        "Ports": rest,
        "Labels": host_config,
    }
    decode(containers.listed(listed).wire)
    assert containers.inspected(rest) is None or isinstance(rest, dict)
    event_container(rest)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "DeviceRequests": anything,
            "Devices": anything,
            "Runtime": st.sampled_from(["nvidia", "runc"]),
            "Binds": anything,
            "NanoCpus": st.integers(),
            "CpuQuota": st.integers(),
            "CpuPeriod": st.integers(),
        },
    ),
    anything,
)
@settings(max_examples=150, deadline=None)
def test_any_host_config_is_survived(host_config, env):
    entry = containers.inspected({"Id": ID, "HostConfig": host_config, "Config": {"Env": env}})
    assert decode(entry.wire).id == ID


def test_events():
    start = {"Type": "container", "Action": "start", "Actor": {"ID": ID}}
    network = {
        "Type": "network",
        "Action": "connect",
        "Actor": {"ID": "net", "Attributes": {"container": ID}},
    }
    assert event_container(start) == event_container(network) == ID
    assert event_container({**start, "Action": "exec_start: sh"}) == ""
    assert event_container({**start, "Actor": {"ID": "../" + ID[3:]}}) == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-02-29T23:59:59.123456789Z", "2024-02-29T23:59:59.123456Z"),
        ("2024-05-01T01:30:00+02:00", "2024-04-30T23:30:00Z"),
        ("2026-11-21T01:26:02.5-05:30", "2026-11-21T06:56:02.500000Z"),
        ("0001-01-01T00:00:00Z", None),
        ("2024-13-01T00:00:00Z", None),
        ("", None),
        (None, None),
        (7, None),
    ],
)
def test_times_of_engines(text, expected):
    assert times.from_engine(text) == expected


@given(st.datetimes(min_value=datetime(1970, 1, 2)))
def test_times_agree_with_the_calendar(moment):
    text = moment.replace(microsecond=0).isoformat() + "Z"
    assert times.from_engine(text) == text


# --------------------------------------------------------------------------------------- http

CHUNKED = (
    b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nTransfer-Encoding: chunked\r\n\r\n"
    b'4\r\n[{"a\r\n6;x=y\r\n": 1}]\r\n0\r\nTrailer: 1\r\n\r\n'
)
LENGTH = b'HTTP/1.1 404 Not Found\r\nContent-Length: 8\r\n\r\n{"a": 1}'


@pytest.mark.parametrize(
    ("raw", "status", "body"), [(CHUNKED, 200, b'[{"a": 1}]'), (LENGTH, 404, b'{"a": 1}')]
)
@given(cuts=st.lists(st.integers(min_value=1, max_value=9), max_size=40))
def test_response_in_any_pieces(raw, status, body, cuts):
    parser, rest = ResponseParser(), raw
    for cut in cuts:
        parser.feed(rest[:cut])
        rest = rest[cut:]
    parser.feed(rest)
    assert (parser.done, parser.status, parser.body, parser.keep_alive) == (True, status, body, True)


def test_body_until_the_connection_ends():
    parser = ResponseParser()
    parser.feed(b"HTTP/1.0 200 OK\r\n\r\nhalf")
    assert not parser.done
    parser.end()
    assert (parser.body, parser.keep_alive) == (b"half", False)


@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
        LENGTH + b"more",
        b"x" * 70000,
    ],
)
def test_what_is_no_http_is_refused(raw):
    with pytest.raises(ResponseError):
        ResponseParser().feed(raw)


def test_half_a_response_is_refused():
    parser = ResponseParser()
    parser.feed(CHUNKED[:-5])
    with pytest.raises(ResponseError):
        parser.end()


@given(st.binary(max_size=300))
def test_any_bytes_end_in_a_response_or_an_error(data):
    for start in (b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"):
        parser = ResponseParser()
        try:
            parser.feed(start + data)
            parser.end()
        except ResponseError:
            continue
        assert parser.done


@given(
    st.lists(st.binary(max_size=12).map(lambda line: line.replace(b"\n", b"")), max_size=8), st.integers(1, 7)
)
def test_lines_come_whole_in_any_pieces(lines, step):
    got: list[bytes] = []
    splitter = LineSplitter(got.append, limit=10)
    raw = b"".join(line + b"\n" for line in lines)
    for start in range(0, len(raw), step):
        splitter.feed(raw[start : start + step])
    assert got == [line for line in lines if len(line) <= 10 and line.strip()]


# ------------------------------------------------------------------------------------- kernel


def test_cgroup_places_of_version_1():
    mounts = cgroups.Mounts(
        "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
        "33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
        "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
        "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
    )
    text = f"8:pids:/docker/{ID}\n4:memory:/docker/{ID}\n2:cpu,cpuacct:/docker/{ID}\n0::/\n"
    found = cgroups.folders(text, mounts, ID)
    assert found.cpu == f"/sys/fs/cgroup/cpu,cpuacct/docker/{ID}"
    assert found.memory == f"/sys/fs/cgroup/memory/docker/{ID}"
    assert (found.pids, found.unified) == ("", False)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (f"/system.slice/docker-{ID}.scope", f"/system.slice/docker-{ID}.scope"),
        (f"/system.slice/docker-{ID}.scope/init.scope", f"/system.slice/docker-{ID}.scope"),
        (f"/machine.slice/libpod-{ID}.scope/container", f"/machine.slice/libpod-{ID}.scope"),
        (f"/own/parent/{ID}", f"/own/parent/{ID}"),
    ],
)
def test_cgroup_places_of_version_2(path, expected):
    mounts = cgroups.Mounts("30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
    found = cgroups.folders(f"0::{path}\n", mounts, ID)
    assert (found.memory, found.unified) == (f"/sys/fs/cgroup{expected}", True)
    assert cgroups.container_id(f"0::{path}\n") == ID


def test_cgroup_of_the_whole_machine_is_nobodys():
    mounts = cgroups.Mounts("30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
    assert cgroups.folders("0::/\n", mounts, ID) is None
    assert cgroups.folders("0::/../../x\n", mounts, ID) is None


def test_cgroup_namespaces():
    assert cgroups.visible("/../../docker/x", "/mnt/my cg", "/../..") == "/mnt/my cg/docker/x"
    assert cgroups.visible("/../other", "/sys/fs/cgroup", "/") == ""
    assert cgroups.visible("/a/b", "/sys/fs/cgroup", "/a") == "/sys/fs/cgroup/b"
    assert cgroups.visible("/ab", "/sys/fs/cgroup", "/a") == ""


@given(st.text(), st.text())
def test_any_cgroup_text_is_survived(cgroup, mountinfo):
    assert cgroups.folders(cgroup, cgroups.Mounts(mountinfo), ID) is None
    assert cgroups.container_id(cgroup) is None


def test_proc_files():
    stat = b"cpu  100 20 30 800 40 0 10 0 7 0\ncpu0 1 2 3 4\nbtime 1795222331\n"
    assert host.cpu_times(stat) == (160, 1000)
    assert usage.stat_value(stat, b"btime") == 1795222331
    memory = host.meminfo(
        b"MemTotal:  1000 kB\nMemFree: 100 kB\nMemAvailable: 600 kB\nSwapTotal: 50 kB\nSwapFree: 20 kB\n"
    )
    assert memory == {
        "mem_used": 400 << 10,
        "mem_total": 1000 << 10,
        "swap_used": 30 << 10,
        "swap_total": 50 << 10,
    }
    net = (
        b"Inter-|   Receive                                                |  Transmit\n"
        b" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets\n"
        b"    lo: 500 1 0 0 0 0 0 0 500 1 0 0 0 0 0 0\n"
        b"  eth0: 100 1 0 0 0 0 0 0 30 1 0 0 0 0 0 0\n"
        b"veth12@if3:7 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0\n"
    )
    assert usage.net_bytes(net) == (107, 37)
    assert usage.net_bytes(net, (b"lo", b"veth")) == (100, 30)
    assert (
        processes.start_ticks(b"12 (a) b) (c)) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20\n")
        == 4711
    )
    assert processes.start_ticks(b"garbage") == 0


def test_gfx_names():
    assert [amd.gfx_name(v) for v in (90402, 90010, 90006, 110001, 100300)] == [
        "gfx942",
        "gfx90a",
        "gfx906",
        "gfx1101",
        "gfx1030",
    ]


@given(st.text(alphabet=string.printable + "|>\x1b", max_size=40), st.text(max_size=400))
def test_tmux_records_with_any_text(hostile, noise):
    word = "0123456789abcdef"
    values = dict.fromkeys(tmux._FIELDS, "1") | {
        "session_id": "$1",
        "session_name": "s",
        "pane_title": hostile,
    }
    values |= {"window_name": "", "pane_current_path": hostile.replace("\n", "")}
    record = word + ">" + (word + "|").join(values[field] for field in tmux._FIELDS) + "\n"
    (session,) = tmux.parse(record, word, "alice", "/tmp/s")
    decoded = msgspec.json.decode(to_json(session), type=model.TmuxSession)
    assert [pane.title for pane in decoded.panes] == [hostile]
    assert tmux.parse(noise, word, "alice", "/tmp/s") == []
    assert len(tmux.parse(record + word + ">" + noise + word + "|", word, "a", "/s")[0]["panes"]) == 1


# ---------------------------------------------------------------------------------- in and out


@given(anything | st.text(alphabet=st.characters(codec="utf-16", categories=["Cs", "Ll"])))
def test_lines_are_ascii_and_hold_no_half_characters(data):
    text = to_json({"x": data})
    assert text.isascii() and "\n" not in text.rstrip("\n")
    assert set(msgspec.json.decode(text)) == {"x"}


def test_bytes_that_are_no_text():
    assert json.loads(to_json({"a\udc80": ["\ud83d\ude00", "\ud83d", "\\ud83d"]})) == {
        "a\ufffd": ["\U0001f600", "\ufffd", "\\ud83d"]
    }


@given(st.binary(max_size=60) | anything.map(lambda data: json.dumps(data).encode()))
def test_any_command_is_understood_or_refused(line):
    try:
        commands.parse(line)
    except commands.CommandError as error:
        assert str(error)


def test_commands():
    assert commands.parse(b'{"cmd": "interval", "seconds": 0}') == ("interval", 0.5)
    assert commands.parse(b'{"cmd": "interval", "seconds": 1e9}') == ("interval", 60.0)
    assert commands.parse(b'{"cmd": "interval", "seconds": %s}' % (b"9" * 400)) == ("interval", 60.0)
    assert commands.parse(b'{"cmd": "ping", "id": 7}') == ("ping", 7)
    assert commands.parse(b'{"cmd": "refresh"}')[0] == "refresh"
    with pytest.raises(commands.CommandError):
        commands.parse(b'{"cmd": "interval", "seconds": NaN}')
