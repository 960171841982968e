"""A queue's folder, beside an engine that knows images and nothing else."""

from __future__ import annotations

import json
import os
import shutil
import socketserver
import tempfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from backend.agent.queue import api, place
from backend.agent.queue.desk import Caller
from backend.agent.queue.jobs import Job, Request, Spec
from backend.agent.queue.machine import Cpu, Gpu, Machine
from backend.agent.queue.place import Place
from backend.agent.queue.plan import Start
from backend.agent.queue.store import Store
from tests.lab import Host, HostSpec, Lab, parts
from tests.lab.agent import kept_agent

from .onhost import Queue

IMAGE = "sha256:" + "ab" * 32
ANN, BOB, ROOT = Caller("ann", 4001, 4001), Caller("bob", 4002, 4002), Caller("root", 0, 0)


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        known = self.path == "/images/train:latest/json"
        body = json.dumps({"Id": IMAGE} if known else {"message": "No such image"}).encode()
        self.send_response(200 if known else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *_: Any) -> None:
        pass


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 128  # as an engine's: many ask at the same moment


@pytest.fixture
def base(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a short path: that of a socket has to be."""
    path = Path(tempfile.mkdtemp(prefix="bq-", dir="/tmp"))
    path.chmod(0o755)
    monkeypatch.setenv(place.ENVIRONMENT, str(path / "queue"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def engine(base: Path) -> Iterator[str]:
    """The socket of an engine that has one image, `train:latest`."""
    server = _Server(str(base / "engine.sock"), _Answers)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield str(base / "engine.sock")
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def folder(engine: str) -> Iterator[Place]:
    with place.find(engine) as found:
        yield found


@pytest.fixture
def store(folder: Place) -> Iterator[Store]:
    with Store.open(folder) as found:
        yield found


@pytest.fixture
def ask(folder: Place) -> Callable[..., dict[str, Any]]:
    """`ask("cancel", {"ids": [1]}, BOB)`: on a machine with two GPUs and four CPUs; no keeper is started."""

    def call(verb: str, body: Any = None, who: Caller = ANN) -> dict[str, Any]:
        answer = api.handle(verb, body, folder, who=who, machine=lambda ours: MACHINE, ensure=lambda _: None)
        return json.loads(api.dump(answer))

    return call


GPUS = (Gpu("GPU-0", 0), Gpu("GPU-1", 1, busy="python (pid 9) of eve"))
MACHINE = Machine(tuple(Cpu(n) for n in range(4)), GPUS, 8 * 1024**3)


def job(owner: str = "ann", **fields: Any) -> Job:
    """A job as `submit` of the store takes it."""
    spec = fields.pop("spec", Spec(IMAGE, "train:latest", ("sh", "-c", "true")))
    request = fields.pop("request", Request())
    return Job(0, owner, 4001, fields.pop("name", "work"), spec, request, **fields)


def start(number: int, **fields: Any) -> Start:
    """Its booking, as a plan has it."""
    return Start(number, **{"gpus": (), "cpus": (number % 64,), "memory": 0, **fields})


def run(store: Store, number: int) -> int:
    """Book and start it; its attempt."""
    (booked,) = store.book([start(number)], 10.0)
    store.started(number, booked.attempt, "c" * 64, 11.0)
    return booked.attempt


def body(**fields: Any) -> dict[str, Any]:
    """A job as the verb `submit` takes it."""
    spec = {"image": "train:latest", "command": ["true"], **fields.pop("spec", {})}
    return {"spec": spec, **fields}


def submit(ask: Callable[..., dict[str, Any]], *bodies: dict[str, Any], who: Caller = ANN) -> list[int]:
    """Queue these by the verb; their numbers."""
    ids: list[int] = ask("submit", {"jobs": list(bodies) or [body()]}, who)["ids"]
    return ids


needs_root = pytest.mark.skipif(os.getuid() != 0, reason="becomes other users: needs root")


@pytest.fixture(scope="module")
def lab_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """With Docker, four GPUs and the agent."""
    parts.require()
    spec = HostSpec("keeper", gpus="nvidia:4", sshd=False)
    with Lab(tmp_path_factory.mktemp("keeper") / "lab", [spec]) as lab:
        host = lab.host("keeper")
        host.put("/opt/agent.pyz", kept_agent(), mode=0o755)
        yield host


@pytest.fixture
def queue(lab_host: Host) -> Iterator[Queue]:
    """Empty at the end, whatever the test left."""
    host = lab_host
    found = Queue(host)
    yield found
    host.run(["/etc/lab/service", "docker", "thaw"], check=False)
    if not host.engine_answers():
        host.start_engine()
    left = [job["id"] for job in found.ask("list", {"which": "unfinished"})["jobs"]]
    if left:
        found.ask("cancel", {"ids": left})
    found.idle()
    assert found.containers() == []
