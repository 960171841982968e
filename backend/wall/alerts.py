"""Watched sessions: which went silent, wrote something that was waited for, or ended. Pure: told the time.

Silence is measured by when activity was seen here, never by a host's clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple

from backend.logs.pattern import Pattern
from backend.model import FleetState, HostSnapshot, SessionRow, TmuxSession
from backend.wall.images import Image, PaneKey

SILENCE = 60.0
"""Seconds without output that are worth an alert, unless another number was chosen."""
MISSING = 8.0
"""Seconds a session has to be missing from its host's list before it has ended: one list may be cut short."""


class SessionKey(NamedTuple):
    """One tmux session of the fleet."""

    host: str
    socket: str
    id: str


def session_key(row: SessionRow) -> SessionKey:
    """Which session a row is."""
    return SessionKey(row.host, row.socket, row.id)


Kind = Literal["silent", "match", "ended"]


class Alert(NamedTuple):
    """Something a person wanted to be told."""

    kind: Kind
    session: SessionKey
    name: str
    text: str
    """What happened, with host text in it."""


@dataclass
class Watch:
    """One watched session."""

    session: SessionKey
    name: str
    silence: float | None = SILENCE
    """Seconds; None: silence is nothing to tell."""
    pattern: Pattern | None = None
    alert: Alert | None = None
    """The latest, until it is active again or somebody looked."""
    panes: tuple[PaneKey, ...] = ()
    _activity: datetime | None = None
    _active: float = 0.0
    _missing: float | None = None
    _told_silent: bool = False
    _told_ended: bool = False
    _matched: dict[PaneKey, frozenset[str]] = field(default_factory=dict)


class Alarms:
    """All watched sessions."""

    def __init__(self) -> None:
        self.watches: dict[SessionKey, Watch] = {}

    def watch(
        self, row: SessionRow, now: float, *, silence: float | None = SILENCE, pattern: Pattern | None = None
    ) -> Watch:
        """Watch a session from now on."""
        key = session_key(row)
        watch = Watch(key, row.name, silence, pattern, _activity=row.activity_at, _active=now)
        watch.panes = tuple(PaneKey(row.host, row.socket, pane.id) for pane in row.panes)
        self.watches[key] = watch
        return watch

    def unwatch(self, key: SessionKey) -> None:
        """Do not watch it any more."""
        self.watches.pop(key, None)

    def seen(self, key: SessionKey) -> None:
        """Somebody looked: its mark goes."""
        if (watch := self.watches.get(key)) is not None:
            watch.alert = None

    def to_capture(self) -> list[PaneKey]:
        """The panes whose text has to be known: those that a pattern waits for."""
        return [pane for watch in self.watches.values() if watch.pattern for pane in watch.panes]

    def check(self, state: FleetState, now: float) -> list[Alert]:
        """What is new, by what hosts say. A host that is away says nothing, so nothing is silent there."""
        found = []
        for watch in list(self.watches.values()):
            host = state.hosts.get(watch.session.host)
            if host is None or host.stale:
                watch._active = max(watch._active, now) if watch._active else now
                watch._missing = None
            elif (alert := _judge(watch, _session(host, watch.session), now)) is not None:
                watch.alert = alert
                found.append(alert)
        return found

    def look(self, key: PaneKey, image: Image) -> list[Alert]:
        """What is new, by what a pane shows: a row that matches and was not there before."""
        found = []
        for watch in self.watches.values():
            if watch.pattern is None or key not in watch.panes:
                continue
            rows = frozenset(row for row in image.plain if watch.pattern(row))
            fresh = rows - watch._matched.get(key, rows if image.gone else frozenset())
            first = key not in watch._matched
            watch._matched[key] = rows
            if fresh and not first:
                row = next(iter(sorted(fresh))).strip()
                watch.alert = Alert("match", watch.session, watch.name, f"wrote: {row[:200]}")
                found.append(watch.alert)
        return found


def _session(host: HostSnapshot, key: SessionKey) -> TmuxSession | None:
    return next((each for each in host.sessions if (each.socket, each.id) == key[1:]), None)


def _judge(watch: Watch, session: TmuxSession | None, now: float) -> Alert | None:
    """What is new about a session whose host is up."""
    if session is None:
        watch._missing = now if watch._missing is None else watch._missing
        if watch._told_ended or now - watch._missing < MISSING:
            return None
        watch._told_ended = True
        return Alert("ended", watch.session, watch.name, "ended")
    watch._missing = None
    watch.name = session.name
    watch.panes = tuple(PaneKey(watch.session.host, session.socket, pane.id) for pane in session.panes)
    dead = bool(session.panes) and all(pane.dead for pane in session.panes)
    if dead and not watch._told_ended:
        watch._told_ended = True
        return Alert("ended", watch.session, session.name, "what ran in it has ended")
    watch._told_ended = dead
    if session.activity_at != watch._activity:
        watch._activity, watch._active, watch._told_silent = session.activity_at, now, False
        if watch.alert is not None and watch.alert.kind == "silent":
            watch.alert = None
    quiet = now - watch._active
    if dead or watch.silence is None or watch._told_silent or quiet < watch.silence:
        return None
    watch._told_silent = True
    return Alert("silent", watch.session, session.name, f"has written nothing for {watch.silence:.0f} s")
