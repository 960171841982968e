"""What a job writes, from its turn in the queue to its end: `agent queue follow`.

JSON lines on stdout:
    {"job": {...}}       at once, and whenever its state, its reason or its place changed
    {"out": BASE64}      a piece of its output, in order, nothing twice and nothing left out
    {"note": TEXT}       something that people should know (the output is not to be had, and why)

Output comes from the engine while the container is there, and from the log that the keeper saved afterwards;
both hold the same bytes, so that the one goes on where the other broke off. It ends with the job, or at once
where `follow` is false.
"""

from __future__ import annotations

import base64
import collections
import errno
import http.client
import json
import os
import socket
import stat
import struct
import time
from typing import Any, Callable, Deque, Dict, Iterator, Optional

from .jobs import ACTIVE, ENDED, Job, job_json

_EVERY = 0.2
"""Seconds between two looks at the database."""
_PIECE = 65536
_PATIENCE = 10.0
"""Seconds that the output of an ended job may take to come to its place."""
_TAIL_BYTES = 8 * 1024 * 1024
"""How far back the last lines are looked for."""

Write = Callable[[Dict[str, Any]], None]


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


class Follower:
    """Writes what happens to one job."""

    def __init__(
        self, get: Callable[[int], Optional[Job]], socket_path: str, number: int, write: Write, tail: int = 0
    ) -> None:
        """`get` reads a job from the store. `tail`: only the last lines of the output so far; 0 is all."""
        self._get = get
        self._socket = socket_path
        self._number = number
        self._write = write
        self._tail = tail
        self._said: Optional[Dict[str, Any]] = None
        self._sent = 0
        """Bytes of the present attempt's output that were written, or passed over."""

    def run(self, *, to_the_end: bool, output: bool = True) -> None:
        """Write until the job has ended, all of its attempts one after another, or what there is now."""
        shown = 0
        while True:
            job = self._look()
            if job is None:
                self._write({"note": "it is gone from the queue"})
                return
            there = job.container or job.state in ENDED
            if output and there and shown < job.attempt:
                shown, self._sent = job.attempt, 0
                self._attempt(job, to_the_end)
                self._tail = 0
                continue
            if job.state in ENDED or not to_the_end:
                return
            time.sleep(_EVERY)

    def _look(self) -> Optional[Job]:
        job = self._get(self._number)
        if job is not None:
            now = job_json(job)
            if now != self._said:
                self._said = now
                self._write({"job": now})
        return job

    def _attempt(self, job: Job, to_the_end: bool) -> None:
        """One attempt's output, to its end."""
        if job.spec.outfile:
            self._file(job.spec.outfile, to_the_end)
            return
        if job.state in ACTIVE:
            self._from_container(job, to_the_end)
            if not to_the_end:
                return
        attempt = job.attempt
        while job.state in ACTIVE and job.attempt == attempt:
            time.sleep(_EVERY)
            seen = self._look()
            if seen is None:
                return
            job = seen
        if job.attempt == attempt:
            self._saved(job)

    def _from_container(self, job: Job, live: bool) -> bool:
        """Whether it was there and told all. Goes on behind what was sent before."""
        passed = 0
        tail = 0 if self._sent else self._tail
        try:
            for piece in container_output(self._socket, job.container, job.spec.tty, live, tail):
                new = piece[max(0, self._sent - passed) :] if not tail else piece
                passed += len(piece)
                self._send(new)
        except (LookupError, OSError, http.client.HTTPException):
            return False
        return True

    def _saved(self, job: Job) -> None:
        """The rest of an ended job's output, wherever it is by now."""
        end = time.monotonic() + _PATIENCE
        while not job.log:
            if not job.container:  # it never ran, or wrote nothing: nothing comes any more
                return
            if self._from_container(job, live=False) or time.monotonic() > end:
                return
            time.sleep(_EVERY)
            seen = self._look()
            if seen is None or seen.state not in ENDED:
                return
            job = seen
        if self._tail and self._sent:
            return
        try:
            with _opened(job.log) as file:
                file.seek(_tail_start(file, self._tail) if self._tail else self._sent)
                self._rest(file)
        except OSError as error:
            self._write({"note": f"its output cannot be read: {job.log}: {error.strerror}"})

    def _file(self, path: str, to_the_end: bool) -> None:
        """A file that the job itself writes, as it grows."""
        first = True
        while True:
            job = self._look()
            ended = job is None or job.state not in ACTIVE
            try:
                with _opened(path) as file:
                    if first and self._tail:
                        self._sent = _tail_start(file, self._tail)
                    first = False
                    file.seek(self._sent)
                    self._rest(file)
            except OSError:
                pass  # not there yet; where it never comes, the end of the job says so
            if ended or not to_the_end:
                return
            time.sleep(_EVERY)

    def _rest(self, file: Any) -> None:
        while True:
            piece = file.read(_PIECE)
            if not piece:
                return
            self._send(piece)

    def _send(self, piece: bytes) -> None:
        self._sent += len(piece)
        if piece:
            self._write({"out": base64.b64encode(piece).decode("ascii")})


def _opened(path: str) -> Any:
    """The file, for reading. Raises OSError for all but files: a pipe of somebody's would be waited for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file")
    return os.fdopen(descriptor, "rb")


def _tail_start(file: Any, lines: int) -> int:
    """Where the last lines begin."""
    size = file.seek(0, os.SEEK_END)
    begin = max(0, size - _TAIL_BYTES)
    file.seek(begin)
    starts: Deque[int] = collections.deque([begin], maxlen=lines)
    for line in file:
        begin += len(line)
        if begin < size:
            starts.append(begin)
    return starts[0]


def to_stdout(line: Dict[str, Any]) -> None:
    """One JSON line on stdout, at once. Raises BrokenPipeError when nobody reads any more."""
    data = json.dumps(line).encode("ascii") + b"\n"
    while data:
        data = data[os.write(1, data) :]
