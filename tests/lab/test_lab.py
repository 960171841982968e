"""The lab itself: what others build on is there, and nothing of it stays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pynvml
import pytest
import yaml

from tests.lab import Host, HostSpec, Lab, LabError, cgroup
from tests.lab.machine import process_start, wait_for
from tests.lab.spec import GIB

pytestmark = pytest.mark.lab

READ_GPUS = """
import json, sys
sys.path.insert(0, "/tmp")
import pynvml as n
n.nvmlInit()
gpus = []
for index in range(n.nvmlDeviceGetCount()):
    try:
        gpu = n.nvmlDeviceGetHandleByIndex(index)
        gpus.append({
            "uuid": n.nvmlDeviceGetUUID(gpu),
            "util": n.nvmlDeviceGetUtilizationRates(gpu).gpu,
            "used": n.nvmlDeviceGetMemoryInfo(gpu).used,
            "pids": [each.pid for each in n.nvmlDeviceGetComputeRunningProcesses(gpu)],
        })
    except n.NVMLError as error:
        gpus.append({"error": error.value})
print(json.dumps(gpus))
"""


def ssh(lab: Lab, host: Host, *words: str, user: str = "alice") -> subprocess.CompletedProcess[str]:
    """OpenSSH's client with the lab's key and nothing of this machine's configuration."""
    known = lab.config_dir / "known_hosts"
    options = [
        f"UserKnownHostsFile={known}",
        "StrictHostKeyChecking=yes",
        "BatchMode=yes",
        "ConnectTimeout=5",
    ]
    argv = ["ssh", "-F", "none", "-i", str(lab.key), "-p", str(host.port)]
    argv += [word for option in options for word in ("-o", option)]
    return subprocess.run(
        [*argv, f"{user}@{host.address}", *words], capture_output=True, text=True, check=False
    )


@contextmanager
def running(host: Host, *words: str) -> Iterator[str]:
    """A container of the tiny image; removed in the end."""
    name = host.docker("run", "--detach", *words[:-1], "busybox:latest", *words[-1].split())
    try:
        yield name
    finally:
        host.docker("rm", "--force", name)


def read_gpus(host: Host) -> list[dict[str, object]]:
    host.put("/tmp/pynvml.py", Path(pynvml.__file__).read_bytes())
    gpus: list[dict[str, object]] = json.loads(host.run(["python3", "-c", READ_GPUS], user="alice").stdout)
    return gpus


@pytest.mark.parametrize("name", ["h1", "m1", "p1"])
@pytest.mark.parametrize("user", ["alice", "bob", "root"])
def test_everybody_logs_in_where_the_host_key_is_known(lab: Lab, name: str, user: str) -> None:
    done = ssh(lab, lab.host(name), "whoami; hostname", user=user)
    assert done.stdout.split() == [user, name], done.stderr


def test_a_host_with_another_key_is_refused(new_lab: Callable[..., Lab]) -> None:
    lab = new_lab(HostSpec("h1", engine="none"))
    lab.host("h1").new_host_key()
    assert "Host key verification failed" in ssh(lab, lab.host("h1"), "true").stderr


@pytest.mark.parametrize("name", ["h1", "p1"])
@pytest.mark.parametrize("user", ["alice", "bob"])
def test_both_users_may_use_the_engine(lab: Lab, name: str, user: str) -> None:
    socket = "/run/podman/podman.sock" if name == "p1" else "/run/docker.sock"
    done = ssh(lab, lab.host(name), f"curl -s --unix-socket {socket} http://engine/v1.40/version", user=user)
    assert json.loads(done.stdout)["ApiVersion"]


def test_users_exist_in_the_hosts_alone(lab: Lab) -> None:
    assert "alice" in lab.host("h1").run(["cat", "/etc/passwd"]).stdout
    assert "/home/alice" not in Path("/etc/passwd").read_text()
    assert not Path("/run/gpus").exists()


def test_a_container_runs_with_limits_and_a_published_port(lab: Lab) -> None:
    host = lab.host("h1")
    options = ["--memory", "64m", "--cpus", "0.5", "--cpuset-cpus", "0", "--publish", "127.0.0.1:9999:9999"]
    with running(host, *options, "httpd -f -p 9999 -h /etc"):
        fetch = ["curl", "-s", "--retry", "20", "--retry-connrefused", "--retry-delay", "0"]
        assert "root:x:0:0" in host.run([*fetch, "http://127.0.0.1:9999/passwd"]).stdout


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


def test_a_partition_and_its_end(new_lab: Callable[..., Lab]) -> None:
    lab = new_lab(HostSpec("h1", engine="none"), HostSpec("h2", engine="none"))
    lab.host("h1").partition()
    assert ssh(lab, lab.host("h1"), "true").returncode == 255
    assert ssh(lab, lab.host("h2"), "true").returncode == 0
    lab.host("h1").heal()
    wait_for(lambda: ssh(lab, lab.host("h1"), "true").returncode == 0, "the host to be back")


def test_a_power_cut_keeps_the_disk_and_ends_the_rest(new_lab: Callable[..., Lab]) -> None:
    lab = new_lab(HostSpec("h1"))
    host = lab.host("h1")
    host.put("/home/alice/kept", "yes", user="alice")
    host.docker("run", "--detach", "--name", "work", "busybox", "sleep", "1d")
    inside = {pid: process_start(pid) for pid in cgroup.members(f"berth-lab-{lab.id}")}
    assert host.pid in inside
    host.power_cut()
    assert host.pid == 0
    assert not [pid for pid, start in inside.items() if process_start(pid) == start]
    host.boot()
    assert host.run(["cat", "/home/alice/kept"]).stdout == "yes"
    assert host.docker("ps", "--all", "--format", "{{.Names}} {{.State}}") == "work exited"


def test_an_engine_hangs_goes_on_and_restarts(new_lab: Callable[..., Lab]) -> None:
    host = new_lab(HostSpec("h1", live_restore=True)).host("h1")
    host.docker("run", "--detach", "--name", "work", "busybox", "sleep", "1d")
    host.hang_engine()
    assert not host.engine_answers()
    host.thaw_engine()
    wait_for(host.engine_answers, "the engine to go on")
    host.restart_engine()
    assert host.docker("ps", "--format", "{{.Names}}") == "work"


def test_a_full_disk(new_lab: Callable[..., Lab]) -> None:
    host = new_lab(HostSpec("h1", engine="none")).host("h1")
    writes = ["dd", "if=/dev/zero", "of=/home/alice/file", "bs=4k", "count=1"]
    host.fill_disk()
    assert "No space left" in host.run(writes, user="alice", check=False).stderr
    host.free_disk()
    assert host.run(writes, user="alice").returncode == 0


def test_a_host_without_python_and_one_that_refuses(new_lab: Callable[..., Lab]) -> None:
    lab = new_lab(HostSpec("bare", engine="none", python=False), HostSpec("shut", engine="none", sshd=False))
    assert ssh(lab, lab.host("bare"), "command -v python3").returncode == 1
    assert "Connection refused" in ssh(lab, lab.host("shut"), "true").stderr


def test_the_configuration_names_every_host(lab: Lab) -> None:
    document = yaml.safe_load((lab.config_dir / "hosts.yaml").read_text())
    assert {name: entry["host"] for name, entry in document["hosts"].items()} == {
        host.name: host.address for host in lab.hosts.values()
    }
    assert lab.key.stat().st_mode & 0o077 == 0


def test_nothing_of_it_is_on_the_network_outside(lab: Lab) -> None:
    assert lab.host("h1").run(["ip", "route", "show", "default"]).stdout == ""
    with pytest.raises(OSError, match=r"refused|unreachable|route"):
        urllib.request.urlopen(f"http://{lab.host('h1').address}:9999", timeout=2)


def traces() -> dict[str, set[str]]:
    """What a lab could leave on this machine; other labs of the same machine come and go meanwhile."""
    groups = {str(path) for each in cgroup.hierarchies() for path in each.mount.glob("berth-lab-*")}
    links = {link["ifname"] for link in json.loads(subprocess.check_output(["ip", "-j", "link"]))}
    return {
        "mounts": {line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()},
        "links": links,
        "netns": set(os.listdir("/run/netns")) if Path("/run/netns").exists() else set(),
        "groups": groups,
    }


def left(lab: Lab) -> list[str]:
    """All traces of one lab, its processes included."""
    words = [
        trace
        for kind in traces().values()
        for trace in kind
        if lab.id in trace or str(lab.directory) in trace
    ]
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            text = (entry / "cmdline").read_bytes() + (entry / "cgroup").read_bytes()
            mounts = (entry / "mountinfo").read_bytes()
        except OSError:
            continue
        if lab.id.encode() in text or str(lab.directory).encode() in text + mounts:
            words.append(f"process {entry.name}: {text[:200]!r}")
    loops = subprocess.run(["losetup", "--all"], capture_output=True, text=True, check=True).stdout
    words += [line for line in loops.splitlines() if str(lab.directory) in line]
    if lab.directory.exists():
        words.append(str(lab.directory))
    return words


def test_down_leaves_no_trace(tmp_path: Path) -> None:
    filters = subprocess.run(["iptables-save"], capture_output=True, text=True, check=True).stdout
    lab = Lab(tmp_path / "lab", [HostSpec("h1", gpus="nvidia:2"), HostSpec("p1", engine="podman")]).up()
    try:
        for host in lab.hosts.values():
            host.docker("run", "--detach", "busybox", "sleep", "1d")
        lab.host("h1").run(["tmux", "new-session", "-d"], user="alice")
        assert left(lab)
    finally:
        lab.down()
    wait_for(lambda: not left(lab), f"{left(lab)} to go")
    assert strip(subprocess.check_output(["iptables-save"], text=True)) == strip(filters)


def strip(rules: str) -> list[str]:
    """Firewall rules without dates and counters."""
    return [line.split("[")[0] for line in rules.splitlines() if not line.startswith("#")]


@pytest.mark.parametrize("moment", ["hosts", "lab.json"])
def test_a_lab_killed_while_it_comes_up_is_cleaned(tmp_path: Path, moment: str) -> None:
    directory = tmp_path / "lab"
    script = (
        f"from tests.lab import *; Lab(__import__('pathlib').Path({str(directory)!r}), [HostSpec('h1')]).up()"
    )
    process = subprocess.Popen([sys.executable, "-c", script])
    wait_for((directory / moment).exists, "the lab to start")
    process.kill()
    process.wait()
    lab = Lab(directory)
    lab.down()
    wait_for(lambda: not left(lab), f"{left(lab)} to go")


def test_up_takes_the_place_of_a_killed_lab(tmp_path: Path) -> None:
    specs = [HostSpec("h1", engine="none")]
    lost = Lab(tmp_path / "lab", specs).up()
    pid = lost.host("h1").pid
    start = process_start(pid)
    with Lab(tmp_path / "lab", specs) as lab:
        assert process_start(pid) != start
        assert ssh(lab, lab.host("h1"), "true").returncode == 0


def test_the_command_line_breaks_a_host(new_lab: Callable[..., Lab]) -> None:
    lab = new_lab(HostSpec("h1", gpus="nvidia:2"))

    def cli(*words: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "tests.lab", "--dir", str(lab.directory), *words]
        return subprocess.run(argv, capture_output=True, text=True, check=False)

    assert (
        cli("gpu", "h1", "--set", "1.util=55", "--set", "1.power=300.5", "--attach", f"1:1:{GIB}").returncode
        == 0
    )
    assert read_gpus(lab.host("h1"))[1]["util"] == 55
    assert read_gpus(lab.host("h1"))[1]["pids"] == [1]
    assert cli("power-cut", "h1").returncode == 0
    assert "off" in cli("status").stdout
    assert cli("boot", "h1").returncode == 0
    assert cli("partition", "nowhere").stderr.startswith("lab: no host nowhere")
