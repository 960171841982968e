"""Docker or Podman: one open event stream, one inspect per container that changed, and nothing else.

States follow model.EngineState. In steady state no request is made, so a hung engine is found passively:

* its process is stopped (`T` in /proc/PID/stat; the pid is the socket's peer, or beside it in docker.pid),
* a container's cgroup came or went and no event told of it for 3 s; only then one `/_ping` is sent,
* any request that is made anyway goes unanswered.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any, Callable
from urllib.parse import quote

from . import containers, discovery
from .emit import Outbox
from .http_parse import LineSplitter, ResponseParser
from .http_unix import Client, Connection, NoAnswerError, Reply
from .imagewatch import EVENTS, ImageWatch, is_image_event
from .loop import Loop, Timer
from .roster import Roster

_TIMEOUT = 5.0
_BACKOFF = (0.2, 5.0)
_DEBOUNCE = 0.05
_RESTLESS = 0.5
"""Seconds between two looks at one container that changes all the time (a crash loop)."""
_LOYAL = 60.0
"""Seconds for which an engine that went away is waited for before others are looked at."""
_SILENCE = 3.0
"""Seconds in which an event must follow a change that was seen in the cgroups."""

# Docker's words and Podman's. The engine drops the rest: health checks alone would be several exec_* each
_ACTIONS = (
    "create start restart stop die died kill oom pause unpause rename update destroy remove cleanup init "
    "health_status connect disconnect checkpoint restore commit"
).split()
_TYPES = ("container", "network", "image")
_FILTERS = quote(json.dumps({"type": _TYPES, "event": [*_ACTIONS, *EVENTS]}, separators=(",", ":")))

_HUNG_HINT = "Look at its log (journalctl -u {unit}), or restart it: sudo systemctl restart {unit}"


class EngineWatch:
    """Keeps the roster true, and says in section `engine` how the engine is."""

    def __init__(self, loop: Loop, outbox: Outbox, roster: Roster, kind: str, socket: str = "") -> None:
        self._loop = loop
        self._outbox = outbox
        self._roster = roster
        self._wanted = (kind, socket)
        self._about: dict[str, Any] = {"state": "connecting"}
        self._client: Client | None = None
        self._events: Connection | None = None
        self._event_timer: Timer | None = None
        self._retry: Timer | None = None
        self._backoff = _BACKOFF[0]
        self._timeout = _TIMEOUT
        self._frozen = False
        self._due: dict[str, Timer] = {}
        self._looked: dict[str, float] = {}
        self._suspect_since: float | None = None
        self._suspects: list[str] = []
        self._home = ("", 0.0)
        self.images = ImageWatch(loop, outbox)
        self.on_root: Callable[[str], Any] = lambda folder: None
        """Told where the engine keeps its data, once it is known."""

    @property
    def state(self) -> str:
        """A value of EngineState."""
        return str(self._about["state"])

    @property
    def settled(self) -> bool:
        """Whether all is known that can be known now."""
        return (
            self.state == "off" or (self.state == "up" and self._roster.complete) or self._retry is not None
        )

    def start(self) -> None:
        """Look for the engine."""
        if self._wanted[0] == "none":
            self._tell("off")
            return
        self._outbox.section("engine", self._about)
        self._attempt()

    def refresh(self) -> None:
        """List everything again."""
        self._outbox.section("engine", self._about)
        if self._client is not None and self._events is not None:
            self._client.get("/containers/json?all=1", self._on_list, self._timeout)
        elif self._retry is not None:
            self._retry.cancel()
            self._attempt()

    def stop(self) -> None:
        """Close all connections."""
        self._close()

    # -- connecting

    def _attempt(self) -> None:
        self._retry = None
        finding = self._find()
        if finding.state != "connecting":
            self._again(finding.state, finding.error, finding.hint, finding.path)
            return
        self._about["socket"] = finding.path
        try:
            self._events = Connection(self._loop, finding.path, self._events_lost)
            self._client = Client(self._loop, finding.path)
            lines = LineSplitter(self._on_event_line)
            parser = ResponseParser(on_head=self._events_open, on_data=lines.feed)
            self._event_timer = self._loop.later(self._timeout, self._events_late)
            self._events.request(f"/events?filters={_FILTERS}", parser, lambda parser: None)
        except OSError as error:
            self._events_lost(error)

    def _find(self) -> discovery.Finding:
        """The engine of before, for a while: another one beside it must not slip in while it restarts."""
        path, seen = self._home
        if path and not self._wanted[1] and time.monotonic() - seen < _LOYAL:
            return discovery.gone(path)
        return discovery.find(*self._wanted)

    def _events_open(self, status: int) -> None:
        if self._event_timer is not None:
            self._event_timer.cancel()
        if status != 200:
            raise OSError(0, f"it answered {status} to /events")
        if self._client is not None:
            self._client.get("/version", self._on_version, self._timeout)
            self._client.get("/containers/json?all=1", self._on_list, self._timeout)
            self._client.get("/info", self._on_info, self._timeout)

    def _events_late(self) -> None:
        self._lost(NoAnswerError("no answer"))

    def _events_lost(self, error: Exception) -> None:
        self._lost(error)

    def _lost(self, error: Exception) -> None:
        """Close, say why, and try again later."""
        path = self._about.get("socket", "")
        unit = "podman" if "podman" in path else "docker"
        if isinstance(error, NoAnswerError):
            # a slow engine gets more time at each attempt, or it would never be up again
            self._timeout = min(30.0, self._timeout * 2)
            self._again(
                "hung", f"{path} takes connections but does not answer.", _HUNG_HINT.format(unit=unit)
            )
        else:
            reason = getattr(error, "strerror", None) or str(error)
            finding = self._find()
            if finding.state == "connecting":
                self._again("down", f"{path}: {reason}.", "")
            else:
                self._again(finding.state, finding.error, finding.hint, finding.path)

    def _again(self, state: str, error: str, hint: str, path: str = "") -> None:
        self._close()
        self._tell(state, error, hint, path)
        self._retry = self._loop.later(self._backoff, self._attempt)
        self._backoff = min(_BACKOFF[1], self._backoff * 2)

    def _close(self) -> None:
        if self.state in ("up", "hung") and self._about.get("kind"):
            self._home = (self._about["socket"], time.monotonic())
        for timer in (*self._due.values(), self._event_timer, self._retry):
            if timer is not None:
                timer.cancel()
        self._due.clear()
        self._retry = self._event_timer = None
        self._suspect_since = None
        self._frozen = False
        self.images.engine_gone()
        for connection in (self._client, self._events):
            if connection is not None:
                connection.close()
        self._client = self._events = None

    def _tell(self, state: str, error: str = "", hint: str = "", path: str = "") -> None:
        self._about.update(state=state, error=error, hint=hint)
        if path:
            self._about["socket"] = path
        self._outbox.section("engine", {key: value for key, value in self._about.items() if value})

    # -- answers

    def _json(self, reply: Reply, what: str) -> Any:
        """The decoded answer, or None: then the engine is lost, or a fault was sent."""
        if reply.error is not None:
            self._lost(reply.error)
            return None
        try:
            if reply.status == 200:
                return json.loads(reply.body)
            self._outbox.fault("engine", f"{what} answered {reply.status}: {reply.body[:200]!r}")
        except (ValueError, RecursionError):
            self._outbox.fault("engine", f"{what} answered no JSON")
        return None

    def _on_version(self, reply: Reply) -> None:
        data = self._json(reply, "/version")
        if isinstance(data, dict):
            parts = data.get("Components")
            names = (
                [part.get("Name") for part in parts if isinstance(part, dict)]
                if isinstance(parts, list)
                else []
            )
            podman = any("podman" in str(name).lower() for name in names)
            self._about["kind"] = "podman" if podman else "docker"
            self._about["version"] = str(data.get("Version") or "")[:100]

    def _on_list(self, reply: Reply) -> None:
        data = self._json(reply, "/containers/json")
        if not isinstance(data, list):
            if self._client is not None:
                self._again("down", "The engine cannot list its containers.", "Look at the engine's log.")
            return
        self._backoff, self._timeout = _BACKOFF[0], _TIMEOUT
        self._tell("up")
        self.images.engine_up(self._about["socket"], self._about.get("kind") == "podman")
        entries = [entry for entry in map(containers.listed, data) if entry is not None]
        for key in self._roster.replace(entries):
            self._look(key)

    def _on_info(self, reply: Reply) -> None:
        data = self._json(reply, "/info")
        if isinstance(data, dict) and isinstance(data.get("DockerRootDir"), str):
            self._about["root_dir"] = data["DockerRootDir"][:4096]
            self._tell(self.state)
            self.on_root(self._about["root_dir"])

    # -- events

    def _on_event_line(self, line: bytes) -> None:
        if self._suspect_since is not None:
            self._suspect_since = time.monotonic()  # it is alive: wait anew for the event that is missing
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            self._outbox.fault("engine", "an event is no JSON")
            return
        if is_image_event(event):
            self.images.changed()
            return
        key = event_container(event)
        if key:
            self._look_soon(key)

    def _look_soon(self, key: str) -> None:
        if key in self._due:
            return
        recent = time.monotonic() - self._looked.get(key, 0.0) < _RESTLESS
        self._due[key] = self._loop.later(_RESTLESS if recent else _DEBOUNCE, lambda: self._look(key))

    def _look(self, key: str) -> None:
        """Inspect one container."""
        self._due.pop(key, None)
        if self._client is None:
            return
        if len(self._looked) > 4096:
            self._looked.clear()
        self._looked[key] = time.monotonic()
        target = f"/containers/{quote(key, safe='')}/json"
        self._client.get(target, lambda reply: self._on_inspect(key, reply), self._timeout)

    def _on_inspect(self, key: str, reply: Reply) -> None:
        # Podman says 500 when the container goes away while it looks
        gone = reply.status == 404 or (reply.status == 500 and b"no such container" in reply.body.lower())
        if reply.error is None and gone:
            self._roster.remove(key)
            return
        data = self._json(reply, "inspect")
        if data is None:
            return
        entry = containers.inspected(data)
        if entry is None:
            self._outbox.fault("engine", "a container's details make no sense")
        else:
            self._roster.update(entry)

    # -- is it still alive?

    def tick(self, contradictions: list[str]) -> None:
        """Look after the engine without a request.

        `contradictions` are containers whose cgroup says otherwise than the roster.
        """
        if self._events is None or self.state not in ("up", "hung"):
            return
        pid = self._events.pid
        if pid <= 1:
            pid = _pid_file(self._about.get("socket", ""))
        stopped = _process_state(pid) in ("T", "t")
        if stopped and not self._frozen:
            self._tell(
                "hung", f"The engine's process {pid} is stopped.", f"Continue it: sudo kill -CONT {pid}"
            )
        elif self._frozen and not stopped and self.state == "hung":
            self._tell("up")
        self._frozen = stopped
        if stopped or self.state != "up" or self._client is None:
            return
        now = time.monotonic()
        if not contradictions or set(contradictions) != set(self._suspects):
            self._suspect_since = now if contradictions else None
            self._suspects = contradictions
        elif self._suspect_since is not None and now - self._suspect_since > _SILENCE:
            self._suspect_since = None
            self._client.get("/_ping", self._on_ping, self._timeout)

    def _on_ping(self, reply: Reply) -> None:
        if reply.error is not None:
            self._lost(reply.error)
            return
        for key in self._suspects:
            if key in self._roster.entries:
                self._look(key)


def event_container(event: Any) -> str:
    """The id of the container that an event is about; empty for any other."""
    if not isinstance(event, dict):
        return ""
    actor: Any = event.get("Actor")
    actor = actor if isinstance(actor, dict) else {}
    if event.get("Type") == "network":
        attributes = actor.get("Attributes")
        key = attributes.get("container") if isinstance(attributes, dict) else None
    elif str(event.get("Action")).startswith("exec_"):
        return ""
    else:
        key = actor.get("ID") or event.get("id")
    return key if isinstance(key, str) and len(key) == 64 and key.isalnum() and key.isascii() else ""


def _process_state(pid: int) -> str:
    if pid <= 1:
        return ""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read(512).rpartition(b")")[2].split()[0].decode("ascii", "replace")
    except (OSError, IndexError):
        return ""


def _pid_file(socket: str) -> int:
    """The engine's own pid file, for a socket that an init system opened in its place."""
    try:
        with open(os.path.join(os.path.dirname(socket), "docker.pid"), "rb") as file:
            return int(file.read(20))
    except (OSError, ValueError):
        return 0
