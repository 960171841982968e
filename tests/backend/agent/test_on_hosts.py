"""The agent on real hosts: Docker and Podman, their events, their failures, and what it costs them."""

from __future__ import annotations

import re
import signal

import pytest

from backend.model import EngineState
from tests.backend.agent.running import RunningAgent

pytestmark = pytest.mark.lab


@pytest.mark.parametrize(("host", "kind"), [("dock", "docker"), ("pod", "podman")])
def test_follows_containers_by_events(lab, agents, run, host, kind):
    run(host, "before", "--label", "berth.owner=zoe", "--memory", "64m", "--cpus", "0.5")
    agent = agents(lab.host(host))
    engine = agent.wait("engine", lambda e: e.state is EngineState.UP and e.root_dir)
    assert engine.kind == kind
    assert re.match(r"\d+\.\d+", engine.version)
    before = agent.container("before")
    assert (before.owner, before.cpu_limit, before.state) == ("zoe", 0.5, "running")
    assert before.pid and before.started_at and before.started_at >= before.created_at
    usage = agent.wait(
        "usage", lambda usages: any(u.id == before.id and u.cpu_percent is not None for u in usages)
    )
    mine = next(u for u in usage if u.id == before.id)
    assert mine.mem_limit == 64 << 20
    assert 0 < mine.mem_used < 64 << 20
    assert mine.pids == 1
    assert mine.net_rx is not None

    identity = run(host, "later", "-v", "/home/alice:/w:ro")
    later = agent.container("later")
    assert (later.id, later.owner) == (identity, "alice")
    assert [(m.source, m.target, m.writable) for m in later.mounts if m.kind == "bind"] == [
        ("/home/alice", "/w", False)
    ]
    engine_of = lab.host(host)
    engine_of.docker("pause", "later")
    agent.container("later", lambda c: c.state == "paused")
    engine_of.docker("unpause", "later")
    agent.container("later", lambda c: c.state == "running")
    engine_of.docker("rename", "later", "renamed")
    agent.container("renamed")
    engine_of.docker("kill", "renamed")
    ended = agent.container("renamed", lambda c: c.state == "exited")
    assert ended.exit_code == 137
    assert ended.finished_at is not None
    assert ended.pid is None
    agent.wait("usage", lambda usages: identity not in {u.id for u in usages})
    engine_of.docker("rm", "renamed")
    agent.gone("renamed")
    engine_of.docker("run", "--rm", "busybox:latest", "true")
    agent.wait("containers", lambda containers: [c.name for c in containers] == ["before"])
    assert agent.faults == []


def test_busy_container_and_network_of_the_host(lab, agents, run):
    spin = run(
        "dock", "spin", "--network", "host", "--cpus", "0.5", command=("sh", "-c", "while :; do :; done")
    )
    agent = agents(lab.host("dock"))
    agent.wait("usage", lambda usages: any(u.id == spin and (u.cpu_percent or 0) > 10 for u in usages))
    mine = next(u for u in agent.latest["usage"] if u.id == spin)
    assert mine.cpu_percent < 90
    assert mine.net_rx is None


def test_gpus_of_containers_and_their_processes(lab, agents, run):
    host = lab.host("dock")
    one = run("dock", "one", "--gpus", "device=2")
    run("dock", "first", "--gpus", "3")
    run("dock", "every", "--gpus", "all")
    run("dock", "baked", "-e", "NVIDIA_VISIBLE_DEVICES=all")
    host.use_gpu("one", 2, 3 << 30)
    agent = agents(host)
    report = agent.wait("gpus", lambda r: len(r.gpus) == 8)
    uuids = [gpu.uuid for gpu in report.gpus]
    assert report.driver
    assert report.gpus[2].mem_used >= 3 << 30
    assert all(
        (g.vendor, g.arch, g.error) == ("nvidia", "sm_90", "") and g.numa_node is not None
        for g in report.gpus
    )
    assert agent.container("one", lambda c: c.complete and c.gpus).gpus == (uuids[2],)
    assert agent.container("first", lambda c: c.complete and c.gpus).gpus == tuple(uuids[:3])
    assert agent.container("every", lambda c: c.complete and c.gpus).gpus == tuple(uuids)
    assert agent.container("baked").gpus == ()
    (process,) = agent.wait("processes", lambda processes: processes)
    assert (process.gpu, process.container, process.mem_used) == (uuids[2], one, 3 << 30)
    assert process.pid == host.container_pid("one")
    assert process.command == "sleep 1d"
    assert agent.wait("gpus", lambda r: r.gpus[2].idle_since).gpus[0].idle_since is None
    host.gpus.set(2, util=80)
    assert agent.wait("gpus", lambda r: r.gpus[2].util_percent == 80).gpus[2].idle_since is None
    host.gpus.set(2, util=0)


def test_one_gpu_lost_and_the_whole_driver(lab, agents):
    host = lab.host("dock")
    agent = agents(host)
    agent.wait("gpus", lambda r: len(r.gpus) == 8)
    host.gpus.set(3, error="lost")
    try:
        report = agent.wait("gpus", lambda r: r.gpus[3].error)
        assert report.gpus[3].mem_used is None
        assert "dmesg" in report.gpus[3].error
        assert report.gpus[4].mem_used is not None
        assert report.error == ""
    finally:
        host.gpus.set(3, error="")
    agent.wait("gpus", lambda r: r.gpus[3].mem_used is not None and not r.gpus[3].error)
    host.gpus.set_driver("mismatch")
    try:
        report = agent.wait("gpus", lambda r: r.error)
        assert "reboot" in report.hint
        assert len(report.gpus) == 8
        assert report.gpus[0].mem_used is None
    finally:
        host.gpus.set_driver("ok")
    agent.wait("gpus", lambda r: not r.error and r.gpus[0].mem_used is not None)


def test_hung_driver_holds_up_nothing_else(lab, agents):
    host = lab.host("dock")
    agent = agents(host)
    agent.wait("gpus", lambda r: len(r.gpus) == 8)
    host.gpus.set_driver("hang")
    try:
        report = agent.wait("gpus", lambda r: r.error)
        assert "does not answer" in report.error
        agent.wait_more("host", 2)
    finally:
        host.gpus.set_driver("ok")
    agent.wait("gpus", lambda r: not r.error and r.gpus[0].mem_used is not None)


def test_amd_gpus(lab, agents, run):
    host = lab.host("pod")
    run("pod", "hip")
    host.use_gpu("hip", 1, 2 << 30)
    agent = agents(host)
    report = agent.wait("gpus", lambda r: len(r.gpus) == 4)
    gpu = report.gpus[1]
    assert (gpu.vendor, gpu.arch, gpu.name) == ("amd", "gfx942", "AMD Instinct MI300X")
    assert gpu.mem_used >= 2 << 30
    assert None not in (gpu.temp_c, gpu.power_w, gpu.power_limit_w, gpu.numa_node, gpu.util_percent)
    (process,) = agent.wait("processes", lambda processes: processes)
    assert (process.gpu, process.mem_used) == (gpu.uuid, 2 << 30)
    assert process.container == agent.container("hip").id


def test_engine_restart_heals(lab, agents, run):
    host = lab.host("dock")
    run("dock", "stays")
    agent = agents(host)
    agent.container("stays")
    host.stop_engine()
    down = agent.wait("engine", lambda e: e.state is EngineState.DOWN)
    assert down.error and down.hint
    assert [c.name for c in agent.latest["containers"]] == ["stays"]
    host.start_engine()
    agent.wait("engine", lambda e: e.state is EngineState.UP)
    agent.container("stays", lambda c: c.complete and c.state == "exited")
    run("dock", "new")
    agent.container("new")


@pytest.mark.parametrize("host", ["dock", "pod"])
def test_hung_engine_is_seen_without_asking(lab, agents, host):
    agent = agents(lab.host(host))
    agent.wait("engine", lambda e: e.state is EngineState.UP and e.root_dir)
    lab.host(host).hang_engine()
    try:
        hung = agent.wait("engine", lambda e: e.state is EngineState.HUNG)
        assert hung.error and hung.hint
        agent.wait_more("host", 2)
    finally:
        lab.host(host).thaw_engine()
    agent.wait("engine", lambda e: e.state is EngineState.UP and not e.error)


def test_engine_that_hangs_before_the_agent_comes(lab, agents):
    lab.host("dock").hang_engine()
    try:
        agent = agents(lab.host("dock"))
        hung = agent.wait("engine", lambda e: e.state is EngineState.HUNG)
        assert hung.error and hung.hint
        assert "containers" not in agent.latest, "nothing is made up meanwhile"
    finally:
        lab.host("dock").thaw_engine()
    up = agent.wait("engine", lambda e: e.state is EngineState.UP and e.root_dir)
    assert not up.error
    listed = lab.host("dock").docker("ps", "--all", "--format", "{{.Names}}").split()
    assert sorted(each.name for each in agent.wait("containers")) == sorted(listed)


def test_no_permission_names_the_group(lab, agents):
    agent = agents(lab.host("dock"), become=("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"))
    engine = agent.wait("engine", lambda e: e.state is EngineState.DENIED)
    assert "usermod -aG docker nobody" in engine.hint
    agent.wait_more("host", 1)


def test_steady_state_asks_the_engine_nothing(lab, agents, run):
    """The promise that matters to the host: a proxy counts every request on the socket."""
    host = lab.host("dock")
    for number in range(5):
        run("dock", f"quiet{number}")
    host.put("/opt/proxy.py", _PROXY)
    proxy = host.popen(["python3", "/opt/proxy.py"])
    try:
        assert proxy.stdout is not None and proxy.stdout.readline() == b"ready\n"
        agent = agents(host, "--socket", "/tmp/proxy.sock")
        agent.wait(
            "containers", lambda containers: len(containers) == 5 and all(c.complete for c in containers)
        )
        agent.wait("engine", lambda e: e.root_dir)
        agent.wait_more("host", 2)
        before = host.run(["cat", "/tmp/requests"]).stdout.split()
        assert len(before) == 4 + 5  # events, version, list, info, and one inspect each
        agent.wait_more("host", 12)
        assert host.run(["cat", "/tmp/requests"]).stdout.split() == before
        host.docker("exec", "quiet0", "true")
        host.docker("rm", "-f", "quiet0")
        agent.gone("quiet0")
        after = host.run(["cat", "/tmp/requests"]).stdout.split()[len(before) :]
        assert 1 <= len(after) <= 3
        assert all("quiet0" in line or "/json" in line for line in after)
    finally:
        proxy.communicate()  # its input ends, and so does it


def test_deadlocked_engine_is_found_by_the_event_that_is_missing(lab, agents, run):
    """Its process runs on, but it says nothing more: only a vanished cgroup tells that."""
    host = lab.host("dock")
    run("dock", "victim")
    host.put("/opt/proxy.py", _PROXY)
    proxy = host.popen(["python3", "/opt/proxy.py"])
    try:
        assert proxy.stdout is not None and proxy.stdout.readline() == b"ready\n"
        agent = agents(host, "--socket", "/tmp/proxy.sock")
        agent.container("victim")
        agent.wait("usage", lambda usages: usages)
        host.put("/tmp/proxy.hang", "")
        host.docker("kill", "victim")
        agent.wait("engine", lambda e: e.state is EngineState.HUNG)
        assert "/_ping" in host.run(["cat", "/tmp/requests"]).stdout.split()
        host.run(["rm", "/tmp/proxy.hang"])
        agent.wait("engine", lambda e: e.state is EngineState.UP)
        agent.container("victim", lambda c: c.complete and c.state == "exited")
    finally:
        host.run(["rm", "-f", "/tmp/proxy.hang"])
        proxy.communicate()  # its input ends, and so does it


def test_tmux_sessions_with_hostile_names(lab, agents):
    host = lab.host("dock")
    name = "a|b>\x1b[31m<script> ü"
    host.run(["tmux", "-u", "new-session", "-d", "-s", "plain", "-n", name, "sleep", "1000"], user="alice")
    host.run(["tmux", "-u", "split-window", "-d", "-t", "plain", "cat"], user="alice")
    try:
        mine = agents(host, user="alice").wait("tmux", lambda sessions: sessions)
        every = agents(host).wait("tmux", lambda sessions: sessions)
        other = agents(host, user="bob").wait("tmux")
    finally:
        host.run(["tmux", "kill-server"], user="alice", check=False)
    assert other == []
    for (session,) in (mine, every):
        assert (session.name, session.user, session.windows, session.attached) == ("plain", "alice", 1, 0)
        assert [pane.command for pane in session.panes] == ["sleep", "cat"]
        assert session.panes[0].window_name.startswith("a|b>")
        assert session.created_at is not None
        assert session.panes[0].pid


def test_killed_agent_leaves_nothing_behind(lab, agents):
    host = lab.host("dock")
    agent: RunningAgent = agents(host)
    pid = agent.wait("hello").pid
    host.run(["kill", "-HUP", str(pid)])
    assert agent.process.wait(10) in (0, -signal.SIGHUP)
    assert host.run(["kill", "-0", str(pid)], check=False).returncode != 0


_PROXY = r"""
import os, socket, threading, time
upstream, path = "/run/docker.sock", "/tmp/proxy.sock"
for old in (path, "/tmp/requests"):
    if os.path.exists(old):
        os.unlink(old)
log = open("/tmp/requests", "a", buffering=1)
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen()
def pump(source, target, count):
    while True:
        data = source.recv(65536)
        if count:
            for line in data.decode("latin-1").split("\r\n"):
                if line.endswith(" HTTP/1.1"):
                    log.write(line.split()[1] + "\n")
        while os.path.exists("/tmp/proxy.hang"):
            time.sleep(0.05)
        if not data:
            target.shutdown(socket.SHUT_WR)
            return
        target.sendall(data)
print("ready", flush=True)
threading.Thread(target=lambda: os._exit(len(os.read(0, 1))), daemon=True).start()
while True:
    client, _ = listener.accept()
    server = socket.socket(socket.AF_UNIX)
    server.connect(upstream)
    threading.Thread(target=pump, args=(client, server, True), daemon=True).start()
    threading.Thread(target=pump, args=(server, client, False), daemon=True).start()
"""
