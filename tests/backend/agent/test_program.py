"""The agent as a program: the zipapp, its streams, its end."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pynvml
import pytest

from backend.agent import PROTOCOL
from backend.agent.emit import Outbox
from backend.bundle import agent_zipapp
from backend.model import EngineState
from tests.backend.agent.running import RunningAgent
from tests.lab import nvidia
from tests.lab.gpus import Gpus

OLD = ("python3.8", "python3.9", "python3.13")


def find_python(name: str) -> str | None:
    found = shutil.which(name)
    pyenv = sorted(Path.home().glob(f".pyenv/versions/{name[6:]}.*/bin/{name}"))
    return str(pyenv[0]) if pyenv else found


def test_the_bundle_is_the_same_each_time_and_complete():
    data, digest = agent_zipapp()
    agent_zipapp.cache_clear()
    assert agent_zipapp() == (data, digest)
    assert digest == hashlib.sha256(data).hexdigest()[:16]
    names = zipfile.ZipFile(io.BytesIO(data)).namelist()
    assert {"__main__.py", "agent/main.py", "agent/probe/nvidia.py", "pynvml.py"} <= set(names)
    assert zipfile.ZipFile(io.BytesIO(data)).read("pynvml.py") == Path(pynvml.__file__).read_bytes()
    assert not [name for name in names if "__pycache__" in name or name.startswith("/")]


def test_first_line_is_hello(start):
    agent: RunningAgent = start("--engine", "none")
    hello = agent.wait("hello")
    assert (hello.protocol, hello.hostname, hello.pid) == (PROTOCOL, socket.gethostname(), agent.process.pid)
    assert hello.cpus == os.cpu_count()
    host = agent.wait("host", lambda host: host.cpu_percent is not None and host.net_rx is not None)
    assert 0 < host.mem_used < host.mem_total
    assert agent.wait("engine").state is EngineState.OFF
    assert agent.wait("disk")[0].mount == "/"
    assert agent.wait("gpus") is not None
    assert agent.end() == 0
    assert agent.faults == []


@pytest.mark.parametrize("name", OLD)
def test_runs_on_other_pythons(start, name):
    python = find_python(name)
    if python is None:
        pytest.skip(f"no {name} here")
    agent = start("--engine", "none", python=python)
    assert agent.wait("hello").python.startswith(name[6:])
    agent.wait("host", lambda host: host.cpu_percent is not None)
    agent.send({"cmd": "stop"})
    assert agent.process.wait(30) == 0
    assert agent.process.stderr.read() == b""
    assert agent.faults == []


def test_commands_and_garbage(start):
    agent = start("--engine", "none", "--interval", "60")
    agent.wait("disk")
    for line in (b"\xff\xfe", b"[]", b'{"cmd": "rm"}', b"x" * 200_000):
        agent.send(line)
    agent.send({"cmd": "ping", "id": 41})
    assert agent.wait("pong") == {"id": 41}
    assert {fault["message"] for fault in agent.faults} == {
        "not JSON",
        "not an object",
        "unknown command",
        "a line is too long",
    }
    hosts = agent.counts["host"]
    agent.send({"cmd": "interval", "seconds": 0.5})
    agent.wait("host", lambda host: agent.counts["host"] > hosts + 2)
    hellos, disks = agent.counts["hello"], agent.counts["disk"]
    agent.send({"cmd": "refresh"})
    agent.wait("disk", lambda value: agent.counts["disk"] > disks)
    assert agent.counts["hello"] == hellos + 1


def test_pings_are_all_answered(start):
    agent = start("--engine", "none")
    agent.send(b"\n".join(b'{"cmd": "ping", "id": %d}' % number for number in range(50)))
    agent.wait("pong", lambda pong: pong["id"] == 49)
    assert agent.counts["pong"] == 50


def test_a_reader_that_sleeps_gets_the_newest_and_one_that_leaves_ends_it(zipapp):
    read, write = os.pipe()
    argv = [sys.executable, str(zipapp), "--engine", "none", "--interval", "0.5"]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    try:
        first = os.read(read, 20)  # half a line; the pipe fills up behind it, and the agent lives on
        assert first.startswith(b'{"s":"hello"')
        process.stdin.write(b"".join(b'{"cmd":"ping","id":%d}\n' % number for number in range(20000)))
        process.stdin.flush()
        with os.fdopen(os.dup(read), "rb") as lines:
            lines.readline()
            sections = [json.loads(lines.readline())["s"] for _ in range(100)]
        assert "engine" in sections
        assert process.poll() is None
        os.close(read)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.communicate()


def test_sections_survive_a_flood_of_answers_and_faults():
    read, write = os.pipe()
    outbox = Outbox(write)
    for number in range(5000):
        outbox.message("pong", {"id": number}, key=("pong", number))
        outbox.fault("probe", f"failure {number}")
    outbox.section("host", {"load1": 1.0})
    outbox.section("host", {"load1": 2.0})
    assert not outbox.section("host", {"load1": 2.0})
    outbox.flush(5)
    os.close(write)
    with os.fdopen(read, "rb") as file:
        lines = [json.loads(line) for line in file]
    assert lines[-1]["s"] == "host" and lines[-1]["d"] == {"load1": 2.0}
    assert [line["s"] for line in lines].count("host") == 1
    assert len(lines) <= 201
    assert 0 < [line["s"] for line in lines].count("fault") <= 32


def test_once_prints_every_section_and_ends(zipapp):
    argv = [sys.executable, str(zipapp), "--once", "--engine", "none"]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=True)
    sections = {json.loads(line)["s"] for line in done.stdout.splitlines()}
    assert sections == {"hello", "engine", "host", "usage", "disk", "gpus", "processes", "tmux"}
    assert done.stderr == b""


@pytest.mark.parametrize("words", [["--interval"], ["--interval", "soon"], ["--engine", "lxc"], ["--what"]])
def test_wrong_words_are_explained(zipapp, words):
    done = subprocess.run([sys.executable, str(zipapp), *words], capture_output=True, timeout=60, check=False)
    assert done.returncode == 2
    assert b"usage:" in done.stderr and b"Traceback" not in done.stderr


def test_no_engine_says_what_to_do(start, tmp_path):
    agent = start("--socket", str(tmp_path / "none.sock"))
    engine = agent.wait("engine", lambda engine: engine.state is EngineState.MISSING)
    assert "does not exist" in engine.error and engine.hint


def test_engine_that_talks_nonsense(start, tmp_path):
    path = str(tmp_path / "odd.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        agent = start("--socket", path, "--interval", "0.5")
        connection, _ = listener.accept()
        probe, _ = listener.accept() if not connection.recv(10, socket.MSG_PEEK) else (connection, None)
        probe.sendall(b"220 mail.example ESMTP\r\n\r\n")
        engine = agent.wait("engine", lambda engine: engine.state is EngineState.DOWN)
        assert "not an HTTP response" in engine.error
        agent.wait_more("host", 1)
        probe.close()
        connection.close()


def test_dead_socket_says_that_nothing_listens(start, tmp_path):
    path = str(tmp_path / "dead.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
    agent = start("--socket", path)
    engine = agent.wait("engine", lambda engine: engine.state is EngineState.DOWN)
    assert "nothing listens" in engine.error and "systemctl" in engine.hint


def test_it_ends_with_the_tmux_clients_it_waits_for(start, tmp_path):
    """A tmux server that never answers: the client is ended with the agent, at once."""
    folder = tmp_path / f"tmux-{os.getuid()}"
    folder.mkdir(mode=0o700)
    program = tmp_path / "bin/tmux"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n: > {tmp_path}/client-$$; exec sleep 600\n")
    program.chmod(0o755)
    tmp_path.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "default"))
        listener.listen()
        path = f"{program.parent}:{os.environ['PATH']}"
        agent = start("--engine", "none", "--interval", "0.5", TMUX_TMPDIR=str(tmp_path), PATH=path)
        agent.wait("host", lambda host: list(tmp_path.glob("client-*")))
        agent.process.send_signal(signal.SIGHUP)
        assert agent.process.wait(30) == 0
        assert agent.process.stderr.read() == b""
        clients = [path.name.partition("-")[2] for path in tmp_path.glob("client-*")]
        assert clients and not [pid for pid in clients if Path("/proc", pid).exists()]


def test_pynvml_is_never_compiled_in_the_agent_itself(tmp_path):
    """That would leave its heap 14 MB larger for good; here no bytecode lies beside the source."""
    gpus = Gpus(tmp_path, "nvidia:2", "host")
    nvidia.write(gpus)
    program = (
        "import json\n"
        "from backend.agent.probe import nvml_load\n"
        "nvml = nvml_load.load()\n"
        "nvml.nvmlInit()\n"
        "print(json.dumps([nvml.nvmlDeviceGetCount(), hasattr(nvml, '__cached__')]))\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **nvidia.environment(tmp_path), "PYTHONPYCACHEPREFIX": str(tmp_path / "none")},
        capture_output=True,
        check=False,
    )
    assert json.loads(found.stdout or b"null") == [2, False], found.stderr  # __cached__: imported as usual
