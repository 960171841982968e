"""Output of a command is read whole, however its bytes arrive beside the answer's head."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backend.engine import execs
from backend.engine.lane import Lane

HEAD = (
    b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n"
    b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
)

Engine = Callable[..., Lane]


def frame(stream: int, data: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An engine that answers one request with these pieces, each sent on its own."""
    threads: list[threading.Thread] = []
    path = str(tmp_path / "engine.sock")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()

    def serve(pieces: tuple[bytes, ...]) -> None:
        peer, _ = listener.accept()
        with peer:
            asked = b""
            while not asked.endswith(b"}"):
                asked += peer.recv(65536)
            for piece in pieces:
                peer.sendall(piece)

    def start(*pieces: bytes) -> Lane:
        threads.append(threading.Thread(target=serve, args=(pieces,), daemon=True))
        threads[-1].start()
        return Lane(path, version="1.40", connect_timeout=5)

    yield start
    for thread in threads:
        thread.join(10)
    listener.close()


def test_output_that_comes_with_the_head_is_not_lost(engine: Engine) -> None:
    lane = engine(HEAD + frame(1, b"out\n") + frame(2, b"err\n"))
    assert list(execs._frames(lane, "x")) == [(1, b"out\n"), (2, b"err\n")]


def test_output_in_pieces_is_put_together(engine: Engine) -> None:
    whole = HEAD + frame(1, b"a" * 100_000) + frame(2, b"b") + frame(1, b"")
    lane = engine(*(whole[at : at + 777] for at in range(0, len(whole), 777)))
    found = list(execs._frames(lane, "x"))
    assert b"".join(data for stream, data in found if stream == 1) == b"a" * 100_000
    assert found[-1] == (2, b"b")


@pytest.mark.parametrize("rest", [b"", b"\x01\0\0", frame(1, b"cut")[:-1]])
def test_output_that_breaks_off_ends(engine: Engine, rest: bytes) -> None:
    found = list(execs._frames(engine(HEAD + frame(1, b"x") + rest), "x"))
    assert found[0] == (1, b"x") and b"".join(data for _, data in found) in (b"x", b"xcu")
