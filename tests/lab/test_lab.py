"""The lab itself: what others build on is there, and nothing of it stays."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.lab import HostSpec, Lab, cgroup
from tests.lab.machine import process_start, wait_for
from tests.lab.spec import GIB
from tests.lab.trying import read_gpus, running, ssh

pytestmark = pytest.mark.lab


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
    wait_for(lambda: not host.engine_answers(), "the engine to hang")
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


def left(lab: Lab) -> list[str]:
    """All traces of one lab, its processes included."""
    mounted = Path("/proc/self/mountinfo").read_text().splitlines()
    names = [link["ifname"] for link in json.loads(subprocess.check_output(["ip", "-j", "link"]))]
    names += [each.name for each in Path("/run/netns").glob("*")]
    names += [str(path) for each in cgroup.hierarchies() for path in each.mount.glob("berth-lab-*")]
    words = [word for word in [*mounted, *names] if lab.id in word or str(lab.directory) in word]
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
    assert not directory.exists()


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
