"""The machine as the queue sees it: CPUs, memory, GPUs and who is on them, from trees and drivers made up."""

from __future__ import annotations

import os
import threading
import time
import types

import pytest

from backend.agent import containers
from backend.agent.queue import gpus as gpus_module
from backend.agent.queue.jobs import LABEL_QUEUE
from backend.agent.queue.machine import Cpu, MachineWatch, read, unix
from backend.agent.queue.topology import Topology, numbers
from tests.backend.agent.made_up import Nvml, write

PID = 7_000_000
"""No system has processes of such numbers (PID_MAX_LIMIT is 2^22)."""
CONTAINER, OURS = "cd" * 32, "ab" * 32


class Driver(Nvml):
    """NVML with processes: (GPU, pid)."""

    def __init__(self, count=4):
        super().__init__(count)
        self.processes = []

    def answer(self, name, handle):
        if name == "nvmlDeviceGetGraphicsRunningProcesses":
            return []
        if name == "nvmlDeviceGetComputeRunningProcesses":
            return [
                types.SimpleNamespace(pid=pid, usedGpuMemory=7)
                for gpu, pid in self.processes
                if gpu == handle
            ]
        return super().answer(name, handle)


class Host:
    """A made-up /proc and /sys with a driver."""

    def __init__(self, folder, driver):
        self.folder = folder
        self.driver = driver
        self.load = lambda: self.driver
        write(
            folder / "proc",
            {
                "1/status": "Name:\tinit\nCpus_allowed_list:\t0-7\n",
                "self/status": "Cpus_allowed_list:\t0\n",
                "meminfo": "MemTotal:       1024 kB\nMemFree: 3 kB\n",
                "sys/kernel/random/boot_id": "boot-1\n",
            },
        )
        (folder / "proc/self/ns").mkdir()
        (folder / "proc/self/ns/pid").symlink_to("pid:[4026531836]")
        write(folder / "sys", {"devices/system/cpu/online": "0-7\n"})
        self.watch = MachineWatch(self._load, str(folder / "proc"), str(folder / "sys"))

    def _load(self):
        return self.load()  # tests replace it

    def process(self, gpu, pid, command="/usr/bin/python train.py", container="", state="S"):
        self.driver.processes.append((gpu, pid))
        fields = " ".join(["1"] * 18 + ["100"])
        write(
            self.folder / "proc",
            {
                f"{pid}/stat": f"{pid} (python) {state} {fields}\n",
                f"{pid}/cmdline": command.replace(" ", "\0"),
                f"{pid}/cgroup": f"0::/system.slice/docker-{container}.scope\n" if container else "0::/\n",
            },
        )

    def gone(self, pid):
        for file in (self.folder / f"proc/{pid}").iterdir():
            file.unlink()
        (self.folder / f"proc/{pid}").rmdir()

    def busy(self, *given, max_age=0.0, **words):
        return {gpu.number: gpu.busy for gpu in self.watch.read(given, max_age, **words).gpus if gpu.busy}


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path, Driver())


def container(id=CONTAINER, gpus=(), state="running", **words):
    return {
        "id": id,
        "name": "lab",
        "state": state,
        "labels": {},
        "gpus": list(gpus),
        "owner": "bob",
        **words,
    }


# -------------------------------------------------------------------------------------- CPUs


def test_two_sockets_with_two_threads_a_core(tmp_path):
    write(
        tmp_path,
        {
            "proc/1/status": "Cpus_allowed_list:\t0-6\n",
            "sys/devices/system/cpu/online": "0-3,5-7\n",
            "sys/devices/system/node/node0/cpulist": "0-1,4-5\n",
            "sys/devices/system/node/node1/cpulist": "2-3,6-7\n",
            "sys/devices/system/node/possible": "0-1\n",
            **{
                f"sys/devices/system/cpu/cpu{one}/topology/core_cpus_list": f"{one % 4},{one % 4 + 4}\n"
                for one in range(6)
            },
            "sys/devices/system/cpu/cpu6/topology/thread_siblings_list": "2,6\n",
        },
    )
    topology = Topology(str(tmp_path / "proc"), str(tmp_path / "sys"))
    found = topology.read()
    assert found == (Cpu(0, 0, 0), Cpu(1, 0, 1), Cpu(2, 1, 2), Cpu(3, 1, 3), Cpu(5, 0, 1), Cpu(6, 1, 2))
    assert topology.read() is found
    write(tmp_path, {"sys/devices/system/cpu/online": "0-2\n"})
    assert [cpu.id for cpu in topology.read()] == [0, 1, 2]


def test_cpus_of_a_system_that_tells_nothing(tmp_path):
    found = Topology(str(tmp_path), str(tmp_path)).read()
    assert [cpu.id for cpu in found] == list(range(os.cpu_count() or 1))
    assert {(cpu.node, cpu.core) for cpu in found} == {(0, -1)}


@pytest.mark.parametrize(
    ("text", "found"),
    [("0-3,8\n", [0, 1, 2, 3, 8]), ("", []), ("x,5,7-", [5, 7]), ("3-1", []), ("0-99999999999", [])],
)
def test_lists_of_the_kernel(text, found):
    assert numbers(text) == found


def test_the_mask_of_the_caller_does_not_count(host):
    made = host.watch.read([])
    assert [cpu.id for cpu in made.cpus] == list(range(8))
    assert (made.memory, made.boot_id, made.error) == (1024 * 1024, "boot-1", "")


def test_this_machine():
    made = read()
    assert made.cpus and made.memory > 1 << 20 and made.boot_id


# ---------------------------------------------------------------------------------- who is on them


def test_a_free_machine(host):
    gpus = host.watch.read([]).gpus
    assert [(gpu.id, gpu.number, gpu.vendor, gpu.devices) for gpu in gpus] == [
        (f"GPU-{one}", one, "nvidia", ()) for one in range(4)
    ]
    assert {gpu.node for gpu in gpus} == {65}  # as the driver's mask has it, where sysfs says nothing
    assert host.busy() == {}


def test_processes_are_named_with_their_owner(host):
    host.process(1, PID)
    host.process(2, PID + 1, "/opt/\x1b[31mevil")
    host.process(2, PID + 2)
    host.process(3, PID + 3, "/usr/lib/xorg/Xorg :0")
    busy = host.busy()
    assert busy[1] == f"python (pid {PID}) of root"
    assert busy[2] == f"[31mevil (pid {PID + 1}) of root and 1 more"
    assert 3 not in busy  # the screen's


def test_a_process_in_a_container_is_the_containers(host):
    host.process(1, PID, container=CONTAINER)
    assert host.busy(container()) == {1: "container lab of bob"}
    assert host.busy() == {1: f"python (pid {PID}) of root"}


def test_the_queues_own_containers_are_no_strangers(host):
    host.process(1, PID, container=OURS)
    mine = container(OURS, ["GPU-1"], labels={LABEL_QUEUE: "12345678"})
    assert host.busy(mine) == {}
    assert host.busy() == {}  # its process may outlive it for a moment
    host.process(2, PID + 1, container=CONTAINER)
    assert host.busy(ours=[CONTAINER]) == {}


def test_another_queues_containers_are_strangers(host):
    theirs = container(OURS, ["GPU-1"], labels={LABEL_QUEUE: "87654321"})
    assert host.busy(theirs, ours=[CONTAINER]) == {1: "container lab of bob"}


def test_containers_claim_what_they_asked_for(host):
    assert host.busy(container(gpus=["GPU-0", "GPU-2"])) == {
        0: "container lab of bob",
        2: "container lab of bob",
    }
    assert host.busy(container(gpus=["GPU-0"], state="exited")) == {}
    everything = container(gpus=[f"GPU-{one}" for one in range(4)])
    assert host.busy(everything) == {}  # may use any, reserves none
    host.process(3, PID, container=CONTAINER)
    assert host.busy(everything) == {3: "container lab of bob"}


def test_the_only_gpu_is_claimed_by_who_is_given_all(tmp_path):
    host = Host(tmp_path, Driver(count=1))
    assert host.busy(container(gpus=["GPU-0"])) == {0: "container lab of bob"}


def test_requests_of_inspected_containers_are_found_here(host):
    request = {"DeviceRequests": [{"DeviceIDs": ["2"], "Capabilities": [["gpu"]]}]}
    entry = containers.inspected(
        {
            "Id": CONTAINER,
            "Name": "/lab",
            "State": {"Status": "running", "Pid": PID, "StartedAt": "2024-05-01T12:00:00.5Z"},
            "Config": {"Labels": {"owner": "cleo"}},
            "HostConfig": request,
        }
    )
    (gpu,) = [gpu for gpu in host.watch.read([entry]).gpus if gpu.busy]
    assert (gpu.number, gpu.busy, gpu.since) == (2, "container lab of cleo", 1714564800.5)
    assert host.watch.names.nvidia[2] == (2, "GPU-2", 2)


def test_since_when_a_process_is_there(host):
    host.process(1, PID)
    (gpu,) = [gpu for gpu in host.watch.read([]).gpus if gpu.busy]
    boot = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    assert abs(gpu.since - (boot + 100 / os.sysconf("SC_CLK_TCK"))) < 5
    assert unix("never") == unix(None) == 0.0


def test_a_process_that_ends_frees_its_gpu_before_the_driver_is_asked_again(host):
    host.process(1, PID)
    host.process(2, PID + 1)
    assert host.busy().keys() == {1, 2}
    host.driver.calls.clear()
    host.gone(PID)
    (host.folder / f"proc/{PID + 1}/stat").write_text(f"{PID + 1} (python) Z 1 1\n")
    assert host.busy(max_age=3600.0) == {}
    assert host.driver.calls == []


def test_processes_of_another_pid_namespace_cannot_be_told_from_those_that_ended(host):
    (host.folder / "proc/self/ns/pid").unlink()
    host.driver.processes.append((1, PID))
    assert host.busy() == {1: f"a process (pid {PID})"}
    assert host.busy(max_age=3600.0) == {1: f"a process (pid {PID})"}


# ------------------------------------------------------------------------------------- failures


def test_a_gpu_that_is_lost_is_broken(host):
    host.driver.fail["nvmlDeviceGetHandleByIndex", 2] = 15
    made = host.watch.read([], 0.0)
    assert [bool(gpu.broken) for gpu in made.gpus] == [False, False, True, False]
    assert made.error == ""
    assert made.gpus[2].since > 0
    assert host.watch.read([], 0.0).gpus[2].since == made.gpus[2].since


def test_a_driver_that_fails_as_a_whole_breaks_all_and_says_so(host):
    assert not host.watch.read([]).error
    host.driver.fail["nvmlDeviceGetMemoryInfo"] = 18
    made = host.watch.read([], 0.0)
    assert len(made.gpus) == 4 and all(gpu.broken for gpu in made.gpus)
    assert made.error.startswith("NVIDIA driver: ")


def test_a_card_without_a_driver_is_no_machine_without_gpus(tmp_path):
    host = Host(tmp_path, Driver())
    host.load = lambda: None
    write(tmp_path / "sys", {"bus/pci/devices/0/vendor": "0x10de\n", "bus/pci/devices/0/class": "0x030200\n"})
    assert host.watch.read([]).error == "NVIDIA's driver library is not there"


def test_drivers_that_nobody_asked_yet_are_not_taken_for_none(host):
    made = host.watch.read([], float("inf"))
    assert (made.gpus, made.error, host.driver.calls) == ((), "GPUs were not asked for yet", [])
    assert len(host.watch.read([]).gpus) == len(host.watch.read([], float("inf")).gpus) == 4


def test_no_card_no_error(tmp_path):
    host = Host(tmp_path, Driver())
    host.load = lambda: None
    made = host.watch.read([])
    assert (made.gpus, made.error) == ((), "")


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(gpus_module, "_FIRST_WAIT", 0.01)
    monkeypatch.setattr(gpus_module, "_WAIT", 0.01)


def test_a_driver_that_never_answers_holds_up_nothing_for_long(tmp_path, impatient):
    driver, answers = Driver(), threading.Event()
    host = Host(tmp_path, driver)

    def load():
        assert answers.wait(30)
        return driver

    host.load = load
    made = host.watch.read([])
    assert (made.gpus, made.error) == ((), "the GPU driver does not answer")
    assert host.watch.read([]).error
    answers.set()
    host.watch._reader._thread.join(30)
    assert len(host.watch.read([], 3600.0).gpus) == 4


def test_gpus_that_were_known_are_broken_while_the_driver_hangs(host, impatient):
    answers = threading.Event()
    answers.set()
    ask = host.driver.answer

    def slow(name, handle):
        assert answers.wait(30)
        return ask(name, handle)

    host.driver.answer = slow
    host.watch._reader.read(0.0)
    if host.watch._reader._thread is not None:
        host.watch._reader._thread.join(30)
    assert not any(gpu.broken for gpu in host.watch.read([], 3600.0).gpus)
    answers.clear()
    made = host.watch.read([], 0.0)
    assert {gpu.broken for gpu in made.gpus} == {"the GPU driver does not answer"}
    answers.set()
    host.watch._reader._thread.join(30)
    assert not any(gpu.broken for gpu in host.watch.read([], 3600.0).gpus)


def test_a_bug_in_a_probe_is_an_error_of_the_machine(host, monkeypatch):
    host.watch.read([])

    def fail():
        raise RuntimeError("boom")

    monkeypatch.setattr(host.watch._reader._amd, "sample", fail)
    made = host.watch.read([], 0.0)
    assert made.error == "GPUs cannot be read: boom"
    assert all(gpu.broken for gpu in made.gpus)


def test_amd_gpus_come_with_their_device_files(tmp_path):
    card = "sys/class/drm/card0/device"
    write(
        tmp_path,
        {
            f"{card}/vendor": "0x1002\n",
            f"{card}/unique_id": "77\n",
            f"{card}/mem_info_vram_total": "9\n",
            f"{card}/numa_node": "1\n",
            f"{card}/drm/renderD128/dev": "226:128\n",
        },
    )
    host = Host(tmp_path, Driver())
    host.load = lambda: None
    (gpu,) = host.watch.read([]).gpus
    assert (gpu.id, gpu.vendor, gpu.node) == ("amd-77", "amd", 1)
    assert gpu.devices == ("/dev/kfd", "/dev/dri/renderD128")
