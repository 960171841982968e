"""GPUs: by a driver and a tree of sysfs that are made up, and since when they are idle."""

from __future__ import annotations

import types

import pytest

from backend.agent.probe import nvidia
from backend.agent.probe.amd import AmdProbe
from backend.agent.probe.idle import IdleClock
from tests.backend.agent.made_up import Nvml, write


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
