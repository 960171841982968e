"""Looks at panes and sessions for as long as the dashboard runs: the feed of the wall, and alerts.

It is made when somebody first opens the wall or watches a session; until then nothing of it runs.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakKeyDictionary

from backend.logs.pattern import Pattern
from backend.model import FleetState, SessionRow
from backend.text import printable
from backend.wall import Alarms, Alert, Feed, PaneKey, SessionKey, Watch, session_key
from backend.wall.feed import RENEW

if TYPE_CHECKING:
    from tui.app import BerthApp

_TITLES = {"silent": "Gone silent", "match": "Found what you wait for", "ended": "Session ended"}
_CHECK = 1.0
"""Seconds between two looks at what is silent."""
WHO = "alerts"


class Watchman:
    """One for the whole app."""

    _of: ClassVar[WeakKeyDictionary[Any, Watchman]] = WeakKeyDictionary()

    def __init__(self, app: BerthApp, fleet: Any) -> None:
        self._app = app
        self._fleet = fleet
        self.feed = Feed(fleet)
        self.alarms = Alarms()
        self.changed: list[Callable[[], None]] = []
        """Called when the state, a watch or an alert is another one."""
        self._watched: frozenset[tuple[SessionKey, str]] = frozenset()

    @classmethod
    def of(cls, app: BerthApp, *, make: bool = True) -> Watchman | None:
        """The app's; None where there is no fleet yet, or, with `make` off, where nobody needed one."""
        found = cls._of.get(app)
        fleet = app.fleet
        if found is None and make and fleet is not None and hasattr(fleet, "watch_panes"):
            found = cls._of[app] = cls(app, fleet)
            app.run_worker(found.run(), group="watchman", name="watchman", exit_on_error=False)
        return found

    @property
    def state(self) -> FleetState:
        """What is known of all hosts."""
        state: FleetState = self._fleet.state
        return state

    async def run(self) -> None:
        """Follow the fleet until the app ends. What goes wrong once must not end it."""
        renewed = time.monotonic()
        while True:
            await asyncio.sleep(_CHECK)
            now = time.monotonic()
            try:
                self._check(now)
                if now - renewed >= RENEW:
                    renewed = now
                    self.feed.renew()
            except Exception as error:
                self._app.report(error)

    def _check(self, now: float) -> None:
        self._tell(self.alarms.check(self.state, now))
        self._capture()
        self._say()

    # -------------------------------------------------------------------------------------------- watches

    def watch(self, row: SessionRow, *, silence: float | None, pattern: Pattern | None) -> Watch:
        """Watch a session from now on."""
        watch = self.alarms.watch(row, time.monotonic(), silence=silence, pattern=pattern)
        self._capture()
        self._say()
        return watch

    def unwatch(self, key: SessionKey) -> None:
        """Do not watch it any more."""
        self.alarms.unwatch(key)
        self._capture()
        self._say()

    def seen(self, key: SessionKey) -> None:
        """Somebody looked at it."""
        self.alarms.seen(key)
        self._say()

    def of_row(self, row: SessionRow) -> Watch | None:
        """How a session is watched."""
        return self.alarms.watches.get(session_key(row))

    def _capture(self) -> None:
        self.feed.want(WHO, self.alarms.to_capture(), self._look)

    def _look(self, key: PaneKey) -> None:
        image = self.feed.album[key]
        if image is not None:
            self._tell(self.alarms.look(key, image))

    def _say(self) -> None:
        for changed in list(self.changed):
            changed()

    def _tell(self, alerts: list[Alert]) -> None:
        """A toast and a bell for each."""
        for alert in alerts:
            text = printable(f"{alert.session.host}/{alert.name} {alert.text}", 300)
            severity: Any = "information" if alert.kind == "match" else "warning"
            self._app.notify(text, title=_TITLES[alert.kind], severity=severity, markup=False, timeout=15)
        if alerts:
            self._app.bell()
            self._say()


def panes_of(rows: list[SessionRow]) -> Iterator[tuple[SessionRow, PaneKey, int]]:
    """Each pane of some sessions, and its place in its session's list."""
    for row in rows:
        for place, pane in enumerate(row.panes):
            yield row, PaneKey(row.host, row.socket, pane.id), place
