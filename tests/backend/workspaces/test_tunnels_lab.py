"""Tunnels by the real program: a kernel of a real Jupyter Server, lost networks, containers that go away."""

from __future__ import annotations

import base64
import json
import os
import socket
import struct
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.backend.workspaces.conftest import SLOW, Held, Repository
from tests.lab import jupyter
from tests.lab.machine import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

HELLO = """\
import socket
server = socket.create_server(("127.0.0.1", 8000))
while True:
    with server.accept()[0] as peer:
        peer.recv(65536)
        peer.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\nhello")
"""
CONTEXT = """\
host: h1
image: debian:python3
container: train
services:
  web: {command: [python3, -m, http.server, "{port}", --bind, "{address}"], port: 8070, path: /etc/, ready: /}
tunnels: [jupyter, web]
"""


def fetch(url: str, data: bytes | None = None) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data), timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


class WebSocket:
    """As much of RFC 6455 as a kernel needs."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname and parts.port
        self.peer = socket.create_connection((parts.hostname, parts.port), 60)
        key = base64.b64encode(os.urandom(16)).decode()
        self.peer.sendall(
            f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        self.file = self.peer.makefile("rb")
        assert b" 101 " in self.file.readline()
        while self.file.readline() != b"\r\n":
            pass

    def send(self, text: str) -> None:
        data, mask = text.encode(), os.urandom(4)
        head = struct.pack(">BBH", 0x81, 0x80 | 126, len(data)) + mask
        self.peer.sendall(head + bytes(byte ^ mask[at % 4] for at, byte in enumerate(data)))

    def receive(self) -> str:
        while True:
            head, length = self.file.read(2)
            if length > 125:
                size = 2 if length == 126 else 8
                length = int.from_bytes(self.file.read(size), "big")
            data = self.file.read(length)
            if head & 0xF == 1:
                return data.decode()


def run_cell(url: str, code: str) -> str:
    """What a cell prints, in a new kernel, through the tunnel's websocket."""
    front, _, token = url.partition("?")
    status, said = fetch(f"{front}api/kernels?{token}", b"{}")
    assert status == 201, said
    kernel = json.loads(said)["id"]
    channel = WebSocket(f"{front}api/kernels/{kernel}/channels?{token}")
    header = {"msg_id": "1", "msg_type": "execute_request", "username": "", "session": "s", "version": "5.3"}
    content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
    message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
    channel.send(json.dumps(message))
    while True:
        answer = json.loads(channel.receive())
        if answer["msg_type"] == "stream":
            return str(answer["content"]["text"])
        assert answer["msg_type"] != "error", answer


@pytest.fixture
def train(repository: Repository) -> Iterator[Repository]:
    """A context whose container has Jupyter, and no published port."""
    h1 = repository.lab.host("h1")
    h1.load_debian("python3", name="debian:python3")
    h1.docker(
        "run", "-d", "--name", "train", "-e", f"PYTHONPATH={jupyter.PLACE}", "debian:python3", "sleep", "1d"
    )
    jupyter.install(h1, "train", "server")
    (repository.config / "contexts").mkdir(exist_ok=True)
    (repository.config / "contexts" / "train.yaml").write_text(CONTEXT)
    yield repository
    h1.heal()


def listed(repository: Repository) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(repository.berth("tunnels", "--json").stdout)
    return rows


def states(repository: Repository) -> set[str]:
    return {row["state"] for row in listed(repository)}


def test_a_kernel_runs_through_a_tunnel_that_outlives_a_partition_and_ends_with_its_container(train, hold):
    h1 = train.lab.host("h1")
    held: Held = hold("tunnel", "train", "--json")

    def array() -> str:
        assert held.process.poll() is None, held.said
        return next((line for line in held.lines if line.startswith("[")), "")

    rows = {row["service"]: row for row in json.loads(wait_for(array, "both to be open", seconds=SLOW))}
    url, page = rows["jupyter"]["url"], rows["web"]["url"]
    code = "import os; print('I am', 6 * 7, os.environ['PYTHONPATH'])"
    assert run_cell(url, code) == "I am 42 /opt/site\n"
    token = url.rpartition("=")[2]
    assert fetch(url.partition("?")[0] + "api/status")[0] == 403
    assert fetch(page)[0] == 200
    listens = h1.docker("exec", "train", "cat", "/proc/net/tcp")
    for port in (8888, 8070):  # neither is open to other containers
        assert f" 0100007F:{port:04X} 00000000:0000 0A" in listens
        assert f" 00000000:{port:04X} " not in listens
    assert token not in h1.run(["ps", "-eo", "args"]).stdout

    seen = listed(train)
    assert {row["service"] for row in seen} == {"jupyter", "web"} and token not in json.dumps(seen)
    assert all(row["context"] == "train" and row["received"] > 100 for row in seen)
    again = hold("tunnel", "train", "jupyter")
    assert token in again.url() and "jupyter runs already in train" in again.said
    known = {row["id"] for row in seen}
    (other,) = [row["id"] for row in listed(train) if row["id"] not in known]
    train.berth("tunnel", "stop", other)
    assert again.ended() == 0

    h1.partition()
    wait_for(lambda: states(train) == {"reconnecting"}, "the loss to be seen", seconds=SLOW)
    h1.heal()
    assert fetch(page)[0] == 200  # who asks meanwhile waits for it
    wait_for(lambda: states(train) == {"up"}, "both to be back", seconds=SLOW)
    assert fetch(url)[0] == 200

    h1.docker("rm", "-f", "train")
    assert held.ended() in (1, 4)  # it may be seen stopped before it is gone
    assert "train on h1" in held.said and "berth up train" in held.said
    assert listed(train) == []
    assert token not in (train.state / "activity.jsonl").read_text()


def test_podman_reaches_the_loopback_of_a_container_and_what_is_missing_is_said(repository, hold):
    p1 = repository.lab.host("p1")
    p1.docker("run", "-d", "--name", "loop", "debian:lab", "python3", "-c", HELLO)
    held = hold("tunnel", "p1/loop", "8000")
    url = held.url()
    assert fetch(url) == (200, b"hello")
    said = repository.berth("tunnel", "p1/loop", "jupyter", code=1).stderr
    assert "program of jupyter is not in loop on p1" in said and "pip install jupyterlab" in said
    p1.docker("restart", "-t", "1", "loop")
    wait_for(lambda: "8000 is open again" in held.said, "the way to be found again", seconds=SLOW)
    assert fetch(url) == (200, b"hello")
    p1.docker("rm", "-f", "loop")
    assert held.ended() in (1, 4) and "loop on p1" in held.said
