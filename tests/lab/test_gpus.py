"""GPUs of the lab, as drivers show them to the programs that people use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pynvml
import pytest

from tests.lab import Lab, LabError, nvidia
from tests.lab.gpus import Gpus
from tests.lab.spec import GIB
from tests.lab.trying import read_gpus, running, ssh

pytestmark = pytest.mark.lab


def test_gpus_asked_for_reach_the_container(lab: Lab) -> None:
    shown = lab.host("h1").docker("run", "--rm", "--gpus", "device=1", "busybox", "env")
    assert "NVIDIA_VISIBLE_DEVICES=1" in shown
    nodes = ["--device", "/dev/kfd", "--device", "/dev/dri/renderD130"]
    shown = lab.host("m1").docker("run", "--rm", *nodes, "busybox", "find", "/dev")
    assert {"/dev/kfd", "/dev/dri/renderD130"} <= set(shown.split())
    shown = lab.host("p1").docker("run", "--rm", "--device", "nvidia.com/gpu=2", "busybox", "find", "/dev")
    assert "/dev/nvidia2" in shown.split() and "/dev/nvidia1" not in shown.split()


def test_pynvml_sees_the_gpus_and_who_is_on_them(lab: Lab) -> None:
    host = lab.host("h1")
    with running(host, "sleep 1d") as name:
        pid = host.use_gpu(name, 3, 10 * GIB)
        host.gpus.set(3, util=97)
        try:
            gpus = read_gpus(host)
            assert len({gpu["uuid"] for gpu in gpus}) == 8
            assert gpus[3]["util"] == 97
            assert gpus[3]["pids"] == [pid] and gpus[4]["pids"] == []
            assert gpus[3]["used"] == 10 * GIB + host.gpus.gpus[3].mem_base
        finally:
            host.gpus.set(3, util=0)
    assert read_gpus(host)[3]["pids"] == []  # it went with its container
    host.gpus.detach(pid)


def test_gpus_fail_one_by_one_and_all_together(lab: Lab) -> None:
    host = lab.host("h1")
    before = host.gpus.calls().get("nvmlDeviceGetUUID", 0)
    try:
        host.gpus.set(2, error="lost")
        gpus = read_gpus(host)
        assert gpus[2] == {"error": pynvml.NVML_ERROR_GPU_IS_LOST} and "uuid" in gpus[1]
        assert host.gpus.calls()["nvmlDeviceGetUUID"] == before + 7
        host.gpus.set(
            2, error="", failures={"nvmlDeviceGetUtilizationRates": pynvml.NVML_ERROR_NOT_SUPPORTED}
        )
        assert read_gpus(host)[2] == {"error": pynvml.NVML_ERROR_NOT_SUPPORTED}
        host.gpus.set_driver("mismatch")
        with pytest.raises(LabError, match="version mismatch"):
            read_gpus(host)
    finally:
        host.gpus.set_driver("ok")
        host.gpus.set(2, error="", failures={})


def test_amd_shows_in_sysfs(lab: Lab) -> None:
    host = lab.host("m1")
    with running(host, "sleep 1d") as name:
        pid = host.use_gpu(name, 0, 7 * GIB)
        held = ssh(lab, host, f"cat $BERTH_SYSFS_ROOT/class/kfd/kfd/proc/{pid}/vram_*").stdout.split()
        assert held.count(str(7 * GIB)) == 1 and len(held) == 8
        host.gpus.detach(pid)
    vendors = ssh(lab, host, "cat $BERTH_SYSFS_ROOT/class/drm/card*/device/vendor").stdout.split()
    assert vendors.count("0x1002") == 8


def test_nvitop_sees_the_gpus(tmp_path: Path) -> None:
    pytest.importorskip("nvitop")
    gpus = Gpus(tmp_path, "nvidia:8", "box")
    gpus.ghosts = True
    gpus.attach(5, 4242, 40 * GIB)
    gpus.set(5, util=88, temp=71, power=640.0)
    argv = [sys.executable, "-m", "nvitop", "--once", "--ascii"]
    environment = {"PATH": "/usr/bin", "LC_ALL": "C.UTF-8", "COLUMNS": "100", **nvidia.environment(tmp_path)}
    shown = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True).stdout
    assert shown.count("H100 80GB HBM3") == 8
    assert "71C   P0    640W / 700W |  40.00GiB / 79.65GiB |     88%" in shown
    assert gpus.calls()["nvmlDeviceGetComputeRunningProcesses"] >= 8
