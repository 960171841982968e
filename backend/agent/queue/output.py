"""What a container wrote, read from its engine over the unix socket, blocking."""

from __future__ import annotations

import http.client
import socket
import struct
from typing import Iterator, Optional

_PIECE = 65536


class EngineHttp(http.client.HTTPConnection):
    """HTTP over the engine's unix socket, blocking."""

    def __init__(self, path: str, timeout: Optional[float] = 30.0) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Open the connection."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def container_output(
    socket_path: str, container: str, tty: bool, follow: bool, tail: int = 0
) -> Iterator[bytes]:
    """The output of a container, stdout and stderr as they came; empty pieces while nothing comes.

    Raises LookupError for a container that is not there, OSError and http.client.HTTPException.
    """
    connection = EngineHttp(socket_path, timeout=1.0 if follow else 30.0)
    try:
        query = f"stdout=1&stderr=1&follow={int(follow)}&tail={tail or 'all'}"
        connection.request("GET", f"/containers/{container}/logs?{query}")
        response = _patient(connection)
        if response.status == 404:
            raise LookupError(container)
        if response.status != 200:
            raise OSError(response.read(2000).decode("utf-8", "replace"))
        pieces = _pieces(response)
        if tty:
            yield from pieces
        else:
            yield from demultiplexed(pieces)
    finally:
        connection.close()


def _patient(connection: EngineHttp) -> http.client.HTTPResponse:
    """The answer's head. An engine may send it only with the first line of output."""
    connection.sock.settimeout(None)
    return connection.getresponse()


def _pieces(response: http.client.HTTPResponse) -> Iterator[bytes]:
    while True:
        piece = response.read1(_PIECE)
        if not piece:
            return
        yield piece


def demultiplexed(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Take off the 8-byte heads (stream, three zeros, big-endian length) of an engine's log stream."""
    left = 0
    head = b""
    for piece in pieces:
        out = []
        at = 0
        while at < len(piece):
            if left:
                part = piece[at : at + left]
                out.append(part)
                left -= len(part)
                at += len(part)
            else:
                need = 8 - len(head)
                head += piece[at : at + need]
                at += need
                if len(head) == 8:
                    left = struct.unpack(">I", head[4:])[0]
                    head = b""
        if out:
            yield b"".join(out)
