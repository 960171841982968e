"""The container engine as the keeper needs it: its events, and requests that wait as long as it takes.

There are no time-outs here. An engine that hangs answers when it goes on, one that died closes its sockets;
a request that was given up, but still carried out, is what starts a container twice. Only the event stream
says whether the engine is there: with its end all requests under way end, and the state of the containers
has to be read anew.
"""

from __future__ import annotations

import json
import os
import socket
from typing import Any, Callable, Dict, Optional

from .. import discovery
from ..http_parse import LineSplitter, ResponseParser
from ..http_unix import Connection, Reply
from ..loop import Loop, Timer
from .tasks import Answer, Wait

_BACKOFF = (0.05, 1.0)
"""Seconds between two attempts to reach an engine that is not there."""
_AGAIN = 0.2
"""Seconds until a request is tried again that got no connection."""
_ACTIONS = "create start kill die died destroy remove oom".split()
_FILTERS = "".join(
    char if char.isalnum() else f"%{ord(char):02X}"
    for char in json.dumps({"type": ["container"], "event": _ACTIONS}, separators=(",", ":"))
)
_READ = 256 * 1024


class LostError(Exception):
    """The engine went away before it answered."""


class EngineLink:
    """`on_up` and `on_event` are called from the loop; `on_down` with a reason, once for each loss."""

    def __init__(self, loop: Loop, path: str = "") -> None:
        """`path`: the engine's socket; empty looks for it."""
        self._loop = loop
        self._wanted = path
        self.path = path
        """The socket in use."""
        self.up = False
        self.podman = False
        """Whether it is Podman, as far as was asked."""
        self.why = ""
        """Why it is not there, once that is known."""
        self.count = 0
        """Requests sent so far."""
        self._events: Optional[Connection] = None
        self._retry: Optional[Timer] = None
        self._backoff = _BACKOFF[0]
        self._pending: Dict[Connection, Answer] = {}
        self._life = 0
        """Counts how often the engine came up: requests of an earlier life are not sent to a later one."""
        self.on_up: Callable[[], Any] = lambda: None
        self.on_down: Callable[[str], Any] = lambda why: None
        self.on_event: Callable[[str, str, Dict[str, str]], Any] = lambda action, container, about: None

    def start(self) -> None:
        """Look for the engine, now and whenever it is gone."""
        self._retry = None
        finding = discovery.find("auto", self._wanted)
        if finding.state != "connecting":
            self._again(finding.error)
            return
        self.path = finding.path
        lines = LineSplitter(self._line)
        parser = ResponseParser(on_head=self._opened, on_data=lines.feed)
        try:
            self._events = Connection(self._loop, finding.path, lambda error: self._lost(str(error)))
            self._events.request(f"/events?filters={_FILTERS}", parser, lambda parser: self._lost("closed"))
        except OSError as error:
            self._lost(error.strerror or str(error))

    def close(self) -> None:
        """Close everything; nobody is told."""
        self.up = False
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if self._events is not None:
            self._events.close()
            self._events = None
        for connection in list(self._pending):
            connection.close()
        self._pending.clear()

    def pid(self) -> int:
        """The engine's process; 0 where that cannot be told."""
        pid = self._events.pid if self._events is not None else 0
        if pid > 1:
            return pid
        try:  # an init system opened the socket in its place
            with open(os.path.join(os.path.dirname(self.path), "docker.pid"), "rb") as file:
                return int(file.read(20))
        except (OSError, ValueError):
            return 0

    def ask(self, method: str, target: str, body: Any = None) -> Wait:
        """A request; its Reply has `error` set where the engine went away meanwhile, and only then."""
        data = None if body is None else json.dumps(body).encode("ascii")
        return Wait(lambda answer: self._send(method, target, data, answer, self._life))

    # -- requests

    def _send(self, method: str, target: str, data: Optional[bytes], answer: Answer, life: int) -> None:
        if not self.up or life != self._life:
            self._loop.later(0, lambda: answer(Reply(error=LostError("the engine is not there"))))
            return

        def answered(parser: ResponseParser) -> None:
            if self._pending.pop(connection, None) is not None:
                connection.close()
                answer(Reply(parser.status, parser.body))

        def broken(error: Exception) -> None:
            """Nobody can tell what became of the request: look at everything anew."""
            if connection in self._pending:
                self._lost(f"it broke off a request: {error}")

        self.count += 1
        try:
            connection = Connection(self._loop, self.path, broken)
        except OSError:
            # its backlog is full, or it takes no more connections because it is about to end
            self._loop.later(_AGAIN, lambda: self._send(method, target, data, answer, life))
            return
        self._pending[connection] = answer
        try:
            connection.request(target, ResponseParser(), answered, method, data)
        except OSError as error:
            failure = error
            self._loop.later(0, lambda: broken(failure))

    # -- events

    def _opened(self, status: int) -> None:
        if status != 200:
            raise OSError(0, f"it answered {status} to /events")
        self.up = True
        self._life += 1
        self._backoff = _BACKOFF[0]
        self.on_up()

    def _line(self, line: bytes) -> None:
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            return
        actor = event.get("Actor") if isinstance(event, dict) else None
        if not isinstance(actor, dict):
            return
        about = actor.get("Attributes")
        about = about if isinstance(about, dict) else {}
        action = {"died": "die", "remove": "destroy"}.get(event.get("Action"), event.get("Action"))
        self.on_event(str(action), str(actor.get("ID") or ""), about)

    def _lost(self, why: str) -> None:
        was_up = self.up
        pending = list(self._pending.values())
        self.close()
        self._again(why)
        if was_up:
            self.on_down(why)
        for answer in pending:
            answer(Reply(error=LostError(why)))

    def _again(self, why: str) -> None:
        self.why = why
        self._retry = self._loop.later(self._backoff, self.start)
        self._backoff = min(_BACKOFF[1], self._backoff * 2)


def words(reply: Reply) -> str:
    """What the engine said about a request that failed, in one line."""
    if reply.error is not None:
        return str(reply.error)
    try:
        data = json.loads(reply.body)
        text = data.get("message") or data.get("cause") or ""
    except (ValueError, AttributeError, RecursionError):
        text = reply.body[:500].decode("utf-8", "replace")
    return " ".join(str(text).split())[:500] or f"the engine answered {reply.status}"


def stream(path: str, target: str, on_data: Callable[[bytes], Any]) -> int:
    """Read a long answer piece by piece, blocking: for threads. The status; 200 is a whole answer.

    Raises OSError, ResponseError.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    def take(data: bytes) -> None:
        if parser.status == 200:
            on_data(data)

    parser = ResponseParser(on_data=take)
    try:
        sock.connect(path)
        sock.sendall(f"GET {target} HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n\r\n".encode("ascii"))
        while not parser.done:
            data = sock.recv(_READ)
            if not data:
                parser.end()
                break
            parser.feed(data)
        return parser.status
    finally:
        sock.close()
