"""HTTP over a unix socket, driven by the loop: one request at a time on a connection that stays open."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections import deque
from typing import Any, Callable, Deque

from .http_parse import ResponseError, ResponseParser
from .loop import Loop, Timer

_IDLE = 5.0
"""Seconds an unused connection is kept."""
_READ = 256 * 1024


class NoAnswerError(Exception):
    """The engine took the connection, or at least the socket is there, but no answer came."""


class Reply:
    """What became of a request: a status with a body, or an error."""

    __slots__ = ("body", "error", "status")

    def __init__(self, status: int = 0, body: bytes = b"", error: Exception | None = None) -> None:
        self.status = status
        self.body = body
        self.error = error


def connect(path: str) -> socket.socket:
    """A non-blocking socket connected to `path`. Raises OSError; EAGAIN is a full backlog."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.connect(path)
    except BaseException:
        sock.close()
        raise
    return sock


def listener_pid(sock: socket.socket) -> int:
    """The process that listens at the other end; 0 where the system does not tell."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return 0
    try:
        return int(struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, option, 12))[0])
    except OSError:
        return 0


class Connection:
    """One connection. `on_end(error)` is called once, for any end that `close()` did not ask for."""

    def __init__(self, loop: Loop, path: str, on_end: Callable[[Exception], Any]) -> None:
        self._loop = loop
        self._on_end = on_end
        self._sock: socket.socket | None = connect(path)
        self._parser: ResponseParser | None = None
        self._on_done: Callable[[ResponseParser], Any] | None = None
        self._unsent = b""
        self.pid = listener_pid(self._sock)
        loop.watch(self._sock.fileno(), read=self._read)

    def request(
        self,
        target: str,
        parser: ResponseParser,
        done: Callable[[ResponseParser], Any],
        method: str = "GET",
        body: bytes | None = None,
    ) -> None:
        """Send a request, its body is JSON; `done(parser)` once the response is whole. Raises OSError."""
        if self._sock is None:
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
        self._parser, self._on_done = parser, done
        head = f"{method} {target} HTTP/1.1\r\nHost: engine\r\nUser-Agent: berth-agent\r\nAccept: */*\r\n"
        if body is not None:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        data = head.encode("ascii") + b"\r\n" + (body or b"")
        self._unsent = data[self._sock.send(data) :]  # a fresh socket buffer holds far more than a GET
        if self._unsent:
            self._loop.watch(self._sock.fileno(), read=self._read, write=self._write)

    def close(self) -> None:
        """Close it silently."""
        sock, self._sock = self._sock, None
        if sock is not None:
            self._loop.watch(sock.fileno())
            sock.close()

    def _write(self) -> None:
        """The rest of a long request."""
        if self._sock is None:
            return
        try:
            self._unsent = self._unsent[self._sock.send(self._unsent) :]
        except BlockingIOError:
            return
        except OSError as error:
            self._end(error)
            return
        if not self._unsent:
            self._loop.watch(self._sock.fileno(), read=self._read)

    def _read(self) -> None:
        if self._sock is None:
            return
        try:
            data = self._sock.recv(_READ)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(error)
            return
        try:
            if not data:
                if self._parser is None:
                    raise ConnectionResetError(errno.ECONNRESET, "the engine closed the connection")
                self._parser.end()
            elif self._parser is None:
                raise ResponseError("data without a request")
            else:
                self._parser.feed(data)
        except (ResponseError, OSError) as error:
            self._end(error)
            return
        if self._parser is not None and self._parser.done:
            parser, self._parser = self._parser, None
            if not parser.keep_alive or not data:
                self.close()
            if self._on_done is not None:
                self._on_done(parser)

    def _end(self, error: Exception) -> None:
        self.close()
        self._on_end(error)


class _Request:
    __slots__ = ("done", "fresh", "target", "timeout")

    def __init__(self, target: str, timeout: float, done: Callable[[Reply], Any]) -> None:
        self.target = target
        self.timeout = timeout
        self.done = done
        self.fresh = False


class Client:
    """Requests one after another over one kept connection; each gets exactly one Reply."""

    def __init__(self, loop: Loop, path: str) -> None:
        self._loop = loop
        self._path = path
        self._queue: Deque[_Request] = deque()
        self._current: _Request | None = None
        self._parser: ResponseParser | None = None
        self._connection: Connection | None = None
        self._timer: Timer | None = None
        self.count = 0
        """Requests sent so far."""

    def get(self, target: str, done: Callable[[Reply], Any], timeout: float = 5.0) -> None:
        """Ask for `target`; `done(reply)` follows from the loop."""
        self._queue.append(_Request(target, timeout, done))
        if self._current is None:
            self._next()

    def close(self) -> None:
        """Forget all requests (their `done` is never called) and close."""
        self._queue.clear()
        self._current = None
        self._drop()

    def _drop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _next(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if not self._queue:
            self._timer = self._loop.later(_IDLE, self._drop)
            return
        self._current = self._queue.popleft()
        self._send(self._current)

    def _send(self, request: _Request) -> None:
        self.count += 1
        parser = self._parser = ResponseParser()
        self._timer = self._loop.later(request.timeout, self._timeout)
        try:
            if self._connection is None:
                request.fresh = True
                self._connection = Connection(self._loop, self._path, self._lost)
            self._connection.request(request.target, parser, self._answered)
        except OSError as error:
            failure = error
            # not from here: the caller of get() would meet its own answer
            self._loop.later(0, lambda: self._lost(failure) if self._current is request else None)

    def _answered(self, parser: ResponseParser) -> None:
        if not parser.keep_alive:
            self._connection = None
        self._reply(Reply(parser.status, parser.body))

    def _lost(self, error: Exception) -> None:
        request = self._current
        self._drop()
        if request is None:
            return
        if not request.fresh and self._parser is not None and not self._parser.started:
            self._send(request)  # a kept connection may be closed by the peer at any time
            return
        if isinstance(error, OSError) and error.errno == errno.EAGAIN:
            error = NoAnswerError("its socket's queue is full")
        self._reply(Reply(error=error))

    def _timeout(self) -> None:
        self._drop()
        self._reply(Reply(error=NoAnswerError("no answer")))

    def _reply(self, reply: Reply) -> None:
        request, self._current = self._current, None
        if request is None:
            return
        try:
            request.done(reply)
        finally:
            if self._current is None:
                self._next()
