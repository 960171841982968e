"""Asks agents for the panes that somebody looks at, and hands on what they show.

Asking is a lease that agents forget after some seconds: `renew` has to be called every `RENEW`. That is also
how a host that comes back, or an agent that was started again, is asked anew without anybody noticing it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from backend.wall.images import Album, PaneKey
from backend.wire import PaneChange

RENEW = 3.0
"""Seconds between two renewals; agents forget after 10."""
MOST = 64
"""Panes of one host at most; agents refuse more."""

Changed = Callable[[PaneKey], None]


class Source(Protocol):
    """What is needed of `backend.fleet.Fleet`."""

    on_pane: Callable[[str, PaneChange], None]

    def watch_panes(self, name: str, panes: Sequence[tuple[str, str, bool]]) -> None:
        """Have these panes of a host captured, and no others."""


class Feed:
    """All panes that are looked at, by whoever looks."""

    def __init__(self, source: Source) -> None:
        self.album = Album()
        self._source = source
        self._wanted: dict[str, tuple[PaneKey, ...]] = {}
        self._changed: dict[str, Changed] = {}
        self._asked: set[str] = set()
        source.on_pane = self._take

    def want(self, who: str, panes: Iterable[PaneKey], changed: Changed | None = None) -> None:
        """From now on `who` looks at these panes; `changed` is called with each that looks different."""
        panes = tuple(dict.fromkeys(panes))
        if changed is not None:
            self._changed[who] = changed
        if panes == self._wanted.get(who, ()):
            return
        self._wanted[who] = panes
        self.album.forget(self._all())
        self.renew()

    def leave(self, who: str) -> None:
        """`who` does not look any more: nothing is captured for it."""
        self._changed.pop(who, None)
        self.want(who, ())
        self._wanted.pop(who, None)

    def renew(self) -> None:
        """Ask for all that is wanted; to be called every `RENEW` seconds."""
        by_host: dict[str, list[tuple[str, str, bool]]] = {host: [] for host in self._asked}
        for key in dict.fromkeys(key for keys in self._wanted.values() for key in keys):
            by_host.setdefault(key.host, []).append((key.socket, key.pane, self.album.needs_whole(key)))
        for host, panes in by_host.items():
            self._source.watch_panes(host, panes[:MOST])
        self._asked = {host for host, panes in by_host.items() if panes}

    def _all(self) -> set[PaneKey]:
        return {key for keys in self._wanted.values() for key in keys}

    def _take(self, host: str, change: PaneChange) -> None:
        key = self.album.take(host, change)
        if key is None:
            return
        wanted = False
        for who, keys in self._wanted.items():
            if key in keys:
                wanted = True
                if who in self._changed:
                    self._changed[who](key)
        if not wanted:  # it was on its way while nobody looked any more
            self.album.forget(self._all())
