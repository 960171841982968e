"""Probes on trees and drivers that are made up, where the real ones cannot be had on every machine."""

from __future__ import annotations

import os
import pwd
import resource
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
from backend.agent.probe import disk, nvidia, processes, tmux
from backend.agent.probe.amd import AmdProbe
from backend.agent.probe.host import HostProbe
from backend.agent.probe.host_psutil import PsutilHostProbe, boot_seconds
from backend.agent.probe.idle import IdleClock
from backend.agent.probe.usage import UsageProbe

ID = "cd" * 32
UUIDS = ["GPU-aaaaaaaa-0", "GPU-bbbbbbbb-1", "GPU-cccccccc-2"]


def write(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


# -------------------------------------------------------------------------------------- usage


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


# ------------------------------------------------------------------------------------- NVIDIA


class NvmlError(Exception):
    """As pynvml's NVMLError: `value` is the code of nvml.h."""

    def __init__(self, value):
        super().__init__(f"code {value}")
        self.value = value


class Nvml:
    """The part of pynvml that the probe uses. `fail[call]` or `fail[call, index]` is a code."""

    def __init__(self, count=2):
        self.count = count
        self.fail = {}
        self.util = 0
        self.calls = []

    def __getattr__(self, name):
        if not name.startswith("nvml"):
            raise AttributeError(name)

        def call(handle=None, *args):
            self.calls.append(name)
            for key in (name, (name, handle)):
                if key in self.fail:
                    raise NvmlError(self.fail[key])
            return self.answer(name, handle)

        return call

    def answer(self, name, handle):
        space = types.SimpleNamespace
        return {
            "nvmlDeviceGetCount": self.count,
            "nvmlSystemGetDriverVersion": b"550.1",
            "nvmlDeviceGetHandleByIndex": handle,
            "nvmlDeviceGetUUID": f"GPU-{handle}",
            "nvmlDeviceGetName": "Card",
            "nvmlDeviceGetMinorNumber": handle,
            "nvmlDeviceGetCudaComputeCapability": (9, 0),
            "nvmlDeviceGetPciInfo": space(busId=b"00000000:1B:00.0"),
            "nvmlDeviceGetEnforcedPowerLimit": 700000,
            "nvmlDeviceGetMemoryAffinity": [0, 2],
            "nvmlDeviceGetMemoryInfo": space(used=5, total=10),
            "nvmlDeviceGetUtilizationRates": space(gpu=self.util),
            "nvmlDeviceGetPowerUsage": 70500,
            "nvmlDeviceGetTemperature": 40,
            "nvmlDeviceGetComputeRunningProcesses": [
                space(pid=1, usedGpuMemory=7),
                space(pid=2, usedGpuMemory=None),
            ],
            "nvmlDeviceGetGraphicsRunningProcesses": [
                space(pid=1, usedGpuMemory=9),
                space(pid=3, usedGpuMemory=2**64 - 1),
            ],
        }.get(name)


@pytest.fixture
def clock(monkeypatch):
    now = types.SimpleNamespace(value=1000.0)
    monkeypatch.setattr(nvidia.time, "monotonic", lambda: now.value)
    return now


def test_nvidia_values_and_processes(tmp_path):
    nvml = Nvml()
    nvml.fail["nvmlDeviceGetPowerUsage", 1] = 3
    probe = nvidia.NvidiaProbe(lambda: nvml, str(tmp_path))
    first, second = probe.sample()
    assert (first["uuid"], first["arch"], first["bus_id"]) == ("GPU-0", "sm_90", "00000000:1b:00.0")
    assert (first["mem_used"], first["power_w"], first["power_limit_w"], first["numa_node"]) == (
        5,
        70.5,
        700.0,
        65,
    )
    assert second["power_w"] is None and "error" not in second
    assert probe.processes()[:3] == [("GPU-0", 1, 9), ("GPU-0", 2, None), ("GPU-0", 3, None)]
    nvml.util = 4_000_000_000
    assert probe.sample()[0]["util_percent"] is None


def test_few_nvml_calls():
    nvml = Nvml(count=8)
    probe = nvidia.NvidiaProbe(lambda: nvml)
    probe.sample()
    nvml.calls.clear()
    probe.sample()
    assert len(nvml.calls) <= 8 * 4


def test_one_lost_gpu_comes_back(clock):
    nvml = Nvml()
    probe = nvidia.NvidiaProbe(lambda: nvml)
    probe.sample()
    nvml.fail["nvmlDeviceGetMemoryInfo", 1] = 15
    good, lost = probe.sample()
    assert "error" not in good and "mem_used" not in lost
    assert (lost["uuid"], lost["name"]) == ("GPU-1", "Card")
    assert "fell off the bus" in lost["error"]
    nvml.fail.clear()
    clock.value += 60
    assert probe.sample()[1]["mem_used"] == 5


@pytest.mark.parametrize("code", [1, 9, 18])
def test_driver_that_vanishes_comes_back(clock, code):
    nvml = Nvml()
    probe = nvidia.NvidiaProbe(lambda: nvml)
    probe.sample()
    nvml.fail["nvmlDeviceGetMemoryInfo"] = nvml.fail["nvmlInit"] = code
    gone = probe.sample()
    assert [gpu["uuid"] for gpu in gone] == ["GPU-0", "GPU-1"]
    assert probe.error and probe.hint and "mem_used" not in gone[0]
    nvml.calls.clear()
    probe.sample()
    assert nvml.calls == []  # backs off
    clock.value += 600
    probe.sample()
    nvml.fail.clear()
    clock.value += 600
    assert probe.sample()[0]["mem_used"] == 5
    assert probe.error == probe.hint == ""


def test_machine_without_nvidia_is_silent(tmp_path):
    assert nvidia.NvidiaProbe(lambda: None).sample() == []
    nvml = Nvml()
    nvml.fail["nvmlInit"] = 9
    probe = nvidia.NvidiaProbe(lambda: nvml, str(tmp_path))
    assert probe.sample() == [] and probe.error == ""
    write(tmp_path / "bus/pci/devices/0000:1b:00.0", {"vendor": "0x10de\n", "class": "0x030200\n"})
    probe = nvidia.NvidiaProbe(lambda: nvml, str(tmp_path))
    assert probe.sample() == [] and "modprobe" in probe.hint


# ----------------------------------------------------------------------------------------- AMD


def test_amd_from_sysfs(tmp_path):
    for card, minor, node, busy in (("card0", 128, 2, "37"), ("card1", 129, 1, "x")):
        device = tmp_path / "class/drm" / card / "device"
        files = {
            "vendor": "0x1002",
            "gpu_busy_percent": busy,
            "mem_info_vram_used": "5",
            "mem_info_vram_total": "9",
        }
        files |= {
            "unique_id": f"id{minor}",
            "product_name": "AMD Instinct",
            "numa_node": "-1",
            "device": "0x74a1",
        }
        files |= {"hwmon/hwmon3/power1_input": "90000000", "hwmon/hwmon3/power1_cap": "750000000"}
        files |= {"hwmon/hwmon3/temp2_input": "41000", "hwmon/hwmon3/temp2_label": "junction"}
        files |= {"hwmon/hwmon3/temp3_input": "60000", "hwmon/hwmon3/temp3_label": "mem"}
        write(device, {name: text + "\n" for name, text in files.items()})
        (device / f"drm/renderD{minor}").mkdir(parents=True)
        topology = tmp_path / "class/kfd/kfd/topology/nodes" / str(node)
        text = f"simd_count 4\ngfx_target_version 90402\ndrm_render_minor {minor}\n"
        write(topology, {"properties": text, "gpu_id": f"{1000 + minor}\n"})
    write(tmp_path / "class/drm/card2/device", {"vendor": "0x1af4\n"})
    write(
        tmp_path / "class/kfd/kfd/proc", {"55/vram_1128": "77\n", "55/vram_1129": "0\n", "x/vram_1128": "1\n"}
    )
    probe = AmdProbe(str(tmp_path))
    first, second = probe.sample()
    assert (first["uuid"], second["uuid"]) == ("amd-id129", "amd-id128")  # KFD's order
    assert (second["util_percent"], first["util_percent"]) == (37.0, None)
    assert (second["temp_c"], second["power_w"], second["power_limit_w"]) == (41.0, 90.0, 750.0)
    assert (second["arch"], second["numa_node"], second["mem_total"]) == ("gfx942", None, 9)
    assert probe.processes() == [("amd-id128", 55, 77)]
    assert probe.names == [(0, "amd-id129", "renderD129"), (1, "amd-id128", "renderD128")]


# ---------------------------------------------------------------------------------- the others


def test_idle_clock():
    clock = IdleClock()
    clock.sample(1.0, 0.0, 4 << 20, False)
    assert clock.since is None  # nobody holds it
    clock.sample(2.0, 0.0, 5 << 30, False)
    assert clock.since == 2.0
    clock.sample(3.0, 1.0, 5 << 30, False)
    clock.sample(4.0, None, 5 << 30, False)
    assert clock.since == 2.0
    clock.sample(5.0, 40.0, 5 << 30, False)
    assert clock.since is None
    clock.sample(6.0, 0.0, 4 << 20, True)
    assert clock.since == 6.0
    clock.sample(7.0, 0.0, 4 << 20, False)
    assert clock.since is None


def test_memory_held_from_the_start_counts():
    clock = IdleClock()
    clock.sample(1.0, 0.0, 40 << 30, False)
    assert clock.since == 1.0


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
