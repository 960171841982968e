"""Probes on what is made up: owners of containers, GPUs asked for, processes, disks, engines, tmux."""

from __future__ import annotations

import os
import pwd
import time
import types
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend import model
from backend.agent import containers, discovery, grants, owner
from backend.agent.loop import Loop
from backend.agent.probe import disk, processes, tmux
from backend.agent.probe.host import HostProbe
from backend.agent.probe.host_psutil import PsutilHostProbe, boot_seconds
from tests.backend.agent.made_up import ID, write

UUIDS = ["GPU-aaaaaaaa-0", "GPU-bbbbbbbb-1", "GPU-cccccccc-2"]


# ------------------------------------------------------------------------------ GPUs asked for


def host_gpus():
    host = grants.HostGpus()
    host.nvidia = [(index, uuid, 4 + index) for index, uuid in enumerate(UUIDS)]
    return host


def amd_gpus():
    host = grants.HostGpus()
    host.amd = [(0, "amd-a", "renderD128"), (1, "amd-b", "renderD129")]
    return host


GPU = {"Driver": "", "Capabilities": [["gpu"]]}


@pytest.mark.parametrize(
    ("host_config", "env", "indexes"),
    [
        ({"DeviceRequests": [{**GPU, "Count": -1}]}, [], [0, 1, 2]),
        ({"DeviceRequests": [{**GPU, "Count": 2}]}, [], [0, 1]),
        ({"DeviceRequests": [{**GPU, "DeviceIDs": ["1"]}]}, [], [1]),
        ({"DeviceRequests": [{**GPU, "DeviceIDs": [UUIDS[2], "0"]}]}, [], [0, 2]),
        ({"DeviceRequests": [{**GPU, "DeviceIDs": ["GPU-bbbb"]}]}, [], []),
        ({"DeviceRequests": [{**GPU, "DeviceIDs": ["GPU-bbbbb"]}]}, [], [1]),
        ({"DeviceRequests": [{**GPU, "DeviceIDs": ["1:0"]}]}, [], [1]),
        ({"DeviceRequests": [{"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=2"]}]}, [], [2]),
        ({"DeviceRequests": [{"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=all"]}]}, [], [0, 1, 2]),
        ({"DeviceRequests": [{"Driver": "", "Capabilities": [["tpu"]], "Count": -1}]}, [], []),
        ({"DeviceRequests": [{**GPU, "DeviceIDs": ["1"]}]}, ["NVIDIA_VISIBLE_DEVICES=all"], [1]),
        ({"Runtime": "runc"}, ["NVIDIA_VISIBLE_DEVICES=all"], []),
        ({"Runtime": "nvidia"}, ["NVIDIA_VISIBLE_DEVICES=all"], [0, 1, 2]),
        ({"Runtime": "nvidia"}, ["NVIDIA_VISIBLE_DEVICES=none"], []),
        ({"Runtime": "nvidia"}, ["NVIDIA_VISIBLE_DEVICES=0," + UUIDS[2]], [0, 2]),
        ({"Runtime": "nvidia"}, [], []),
        ({"Devices": [{"PathOnHost": "/dev/nvidia5"}]}, [], [1]),
        ({"Devices": [{"PathOnHost": "nvidia.com/gpu=0"}]}, [], [0]),
        ({"Privileged": True}, [], []),
    ],
)
def test_nvidia_gpus_that_were_asked_for(host_config, env, indexes):
    request = grants.asked(host_config, env)
    assert (request.resolve(host_gpus()) if request else []) == [UUIDS[index] for index in indexes]


@pytest.mark.parametrize(
    ("host_config", "expected"),
    [
        ({"Devices": [{"PathOnHost": "/dev/kfd"}, {"PathOnHost": "/dev/dri/renderD129"}]}, ["amd-b"]),
        ({"Devices": [{"PathOnHost": "/dev/kfd"}, {"PathOnHost": "/dev/dri"}]}, ["amd-a", "amd-b"]),
        ({"Devices": [{"PathOnHost": "/dev/dri/renderD129"}]}, []),
        ({"Privileged": True, "Devices": [{"PathOnHost": "/dev/kfd"}]}, ["amd-a", "amd-b"]),
        ({"Privileged": True, "Binds": ["/dev:/dev"]}, ["amd-a", "amd-b"]),
        ({"Privileged": True}, []),
        ({"DeviceRequests": [{"Driver": "cdi", "DeviceIDs": ["amd.com/gpu=0"]}]}, ["amd-a"]),
        ({"DeviceRequests": [{**GPU, "Count": 1}]}, ["amd-a"]),
    ],
)
def test_amd_gpus_that_were_asked_for(host_config, expected):
    request = grants.asked(host_config, None)
    assert (request.resolve(amd_gpus()) if request else []) == expected


# -------------------------------------------------------------------------------------- owner


def bind(source):
    return {"source": source, "target": "/x", "kind": "bind", "writable": True}


def test_owner_by_label_folder_or_nobody(tmp_path, monkeypatch):
    people = {"alice": 5001, "bob": 5002}

    def by_name(name):
        return types.SimpleNamespace(pw_name=name, pw_uid=people[name])

    monkeypatch.setattr(pwd, "getpwnam", by_name)
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: by_name({v: k for k, v in people.items()}[uid]))
    data = tmp_path / "data"
    data.mkdir()
    os.chown(data, 5002, -1) if os.getuid() == 0 else None
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_text(f"1 0 0:1 / / rw - ext4 x rw\n2 1 0:2 / {tmp_path}/dead rw - nfs4 x rw\n")
    owners = owner.Owners(str(mountinfo))
    compose = "com.docker.compose.project.working_dir"
    assert owners.owner({"labels": {"berth.owner": " zoe ", "owner": "x"}}) == "zoe"
    assert owners.owner({"labels": {"user": "x"}}) == "x"
    assert owners.owner({"labels": {compose: "/home/alice/p"}, "mounts": [bind("/home/bob")]}) == "alice"
    assert owners.owner({"mounts": [bind("/etc"), bind("/home/shared/x"), bind("/home/bob/x")]}) == "bob"
    assert owners.owner({"mounts": [{**bind("/home/alice"), "kind": "volume"}]}) is None
    assert owners.owner({"mounts": [bind(f"{tmp_path}/dead/x")]}) is None
    (tmp_path / "dead").mkdir()
    os.chown(tmp_path / "dead", 5001, -1) if os.getuid() == 0 else None
    (tmp_path / "to-dead").symlink_to("dead/../dead")  # on a server that is gone this would hang
    assert owners.owner({"mounts": [bind(f"{tmp_path}/to-dead")]}) is None
    (tmp_path / "round").symlink_to("round")
    assert owners.owner({"mounts": [bind(f"{tmp_path}/round")]}) is None
    if os.getuid() == 0:
        assert owners.owner({"mounts": [bind(str(data))]}) == "bob"
        (tmp_path / "to-data").symlink_to(data)
        assert owners.owner({"mounts": [bind(f"{tmp_path}/to-data/../to-data")]}) == "bob"


@given(st.text())
def test_any_folder_has_an_owner_or_none(folder):
    assert owner.Owners().owner({"mounts": [bind(folder)]}) is None or folder.startswith("/")


def test_facts_of_a_process(tmp_path):
    write(
        tmp_path,
        {"9/stat": "9 (py) S " + "0 " * 18 + "500 0\n", "9/cmdline": "python\0train.py\0" + "x" * 500},
    )
    write(tmp_path, {"9/cgroup": f"4:memory:/docker/{ID}\n"})
    facts = processes.ProcessFacts(str(tmp_path)).facts(9)
    assert facts["container"] == ID
    assert facts["command"].startswith("python train.py xxx") and len(facts["command"]) == 200
    assert processes.ProcessFacts(str(tmp_path)).facts(10) == {}


def test_disks_are_listed_once():
    scan = disk.DiskScan([("root", "/"), ("engine", "/no/such/folder"), ("home", "/")])
    scan.run()
    (found,) = scan.found
    assert (found["mount"], found["role"]) == ("/", "root")
    assert 0 < found["used"] < found["total"] and found["free"] <= found["total"] - found["used"]


def test_host_without_proc_is_read_by_psutil():
    probe = PsutilHostProbe()
    first, second = (msgspec.convert(probe.sample(), model.HostStats) for _ in range(2))
    assert first.cpu_percent is None and second.cpu_percent is not None
    assert 0 < second.mem_used < second.mem_total == probe.mem_total
    assert second.net_rx is not None and boot_seconds() > 0


def test_no_proc_means_psutil(tmp_path):
    with pytest.raises(OSError):
        HostProbe(str(tmp_path))


# --------------------------------------------------------------------------------------- the engine


@pytest.mark.parametrize(
    ("installed", "kind", "state", "error"),
    [
        ({"dockerd"}, "auto", "down", "Docker is installed but does not run."),
        ({"dockerd", "podman"}, "docker", "down", "Docker is installed but does not run."),
        ({"dockerd", "podman"}, "podman", "missing", "Podman is installed but has no API socket."),
        ({"docker"}, "auto", "missing", "No Docker or Podman socket found."),
    ],
)
def test_an_engine_that_is_installed_but_does_not_run_is_down(
    monkeypatch: pytest.MonkeyPatch, installed: set[str], kind: str, state: str, error: str
) -> None:
    monkeypatch.setattr(discovery, "candidates", lambda kind, explicit: [])
    monkeypatch.setattr(discovery, "_on_path", lambda name: name in installed)
    found = discovery.find(kind)
    assert (found.state, found.error) == (state, error)


# -------------------------------------------------------------------------------------- tmux clients


def tmux_that(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tmux of our own, first on PATH."""
    program = folder / "tmux"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def run_client(words: list[str], longest: float = 30.0) -> tuple[list[tuple[str, bool]], int]:
    """What a client told, and how often the loop got to do something else meanwhile."""
    loop, told, turns = Loop(lambda where, error: None), [], 0
    tmux.Client(loop, "/nowhere", os.getuid(), words, lambda text, whole: told.append((text, whole))).start()
    end = time.monotonic() + longest
    while not told and time.monotonic() < end:
        loop.turn(0.01)
        turns += 1
    loop.close()
    return told, turns


def test_a_client_that_closes_its_output_and_stays_holds_nothing_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmux_that(tmp_path, "echo said; exec >&- 2>&-; exec sleep 1000", monkeypatch)
    told, turns = run_client(["x"])
    assert told == [("said\n", False)] and turns > 5


@pytest.mark.parametrize(("code", "whole"), [(0, True), (1, False)])
def test_a_client_that_ends_tells_how(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, whole: bool
) -> None:
    tmux_that(tmp_path, f"echo said; exit {code}", monkeypatch)
    assert run_client(["x"])[0] == [("said\n", whole)]


def test_a_machine_without_room_for_a_client_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    sent: list[object] = []
    loop = Loop(lambda where, error: None)
    watch = tmux.TmuxWatch(loop, sent.append)
    monkeypatch.setattr(tmux, "sockets", lambda: {"/nowhere": os.getuid()})
    monkeypatch.setattr(os, "fork", no_room)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with pytest.raises(BlockingIOError):
            watch.tick()
    assert len(os.listdir("/proc/self/fd")) == before
    monkeypatch.undo()
    monkeypatch.setattr(tmux, "sockets", lambda: {"/nowhere": os.getuid()})
    watch.tick()
    while not watch.done:
        loop.turn(0.01)
    assert sent == [[]]
    loop.close()


@given(st.text(max_size=8) | st.integers() | st.none() | st.booleans() | st.floats())
def test_any_port_is_one_or_none(value: object) -> None:
    found = containers.inspected(
        {"Id": "a", "NetworkSettings": {"Ports": {f"{value}/tcp": [{"HostPort": value}]}}}
    )
    assert found is not None and all(0 <= port["private"] <= 65535 for port in found.wire["ports"])


def test_ports_of_other_alphabets_are_none() -> None:
    assert containers.inspected({"Id": "a", "NetworkSettings": {"Ports": {"²/tcp": []}}}).wire["ports"] == []
