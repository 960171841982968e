"""The containers of the host as last known, and the section that tells of them."""

from __future__ import annotations

from typing import Any, Callable

from .containers import Entry
from .emit import Outbox
from .grants import HostGpus
from .loop import Loop, Timer
from .owner import Owners

_PAUSE = 0.1
"""While details still come, seconds between two lines."""
_REQUIRED = ("id", "name", "image", "state")


class Roster:
    """All containers by id. They stay when the engine goes away, until it is back and lists anew."""

    def __init__(self, loop: Loop, outbox: Outbox, owners: Owners) -> None:
        self._loop = loop
        self._outbox = outbox
        self._owners = owners
        self._gpus = HostGpus()
        self._due: Timer | None = None
        self._listed = False
        self.entries: dict[str, Entry] = {}
        self.on_change: Callable[[], Any] = lambda: None
        """Called before each line, when entries differ from the last time."""

    def running(self) -> list[Entry]:
        """Those that have processes."""
        return [entry for entry in self.entries.values() if entry.running and entry.pid]

    def replace(self, listed: list[Entry]) -> list[str]:
        """Take a whole list; ids that still need an inspect, running ones first.

        What was inspected before stays until it is inspected again, unless the list contradicts it.
        """
        fresh: dict[str, Entry] = {}
        for entry in listed:
            key = entry.wire["id"]
            known = self.entries.get(key)
            if known is not None and known.wire["state"] == entry.wire["state"]:
                entry = known
            fresh[key] = entry
        self.entries = fresh
        self._listed = True
        self.emit()
        return sorted(fresh, key=lambda key: not fresh[key].running)

    def update(self, entry: Entry) -> None:
        """Take a container's details."""
        entry.wire["owner"] = self._owners.owner(entry.wire)
        self._resolve(entry)
        self.entries[entry.wire["id"]] = entry
        self._soon()

    def remove(self, key: str) -> None:
        """A container is gone."""
        if self.entries.pop(key, None) is not None:
            self._soon()

    def gpus_known(self, gpus: HostGpus) -> None:
        """The host's GPUs were found, or others than before: resolve every request again."""
        self._gpus = gpus
        before = [entry.wire.get("gpus") for entry in self.entries.values()]
        for entry in self.entries.values():
            self._resolve(entry)
        if before != [entry.wire.get("gpus") for entry in self.entries.values()]:
            self._soon()

    def emit(self) -> None:
        """Send the section if it changed. Nothing is sent before the engine's first list."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        if not self._listed:
            return
        self.on_change()
        self._outbox.section("containers", [_compact(entry.wire) for entry in self.entries.values()])

    @property
    def complete(self) -> bool:
        """Whether every container has its details."""
        return self._listed and all(entry.wire.get("complete", True) for entry in self.entries.values())

    def _resolve(self, entry: Entry) -> None:
        entry.wire["gpus"] = entry.grant.resolve(self._gpus) if entry.grant else []

    def _soon(self) -> None:
        """Tell of it: at once where everything is known, even if a line was put off before."""
        complete = self.complete
        if self._due is not None and complete:
            self._due.cancel()
            self._due = None
        if self._due is None:
            self._due = self._loop.later(0.0 if complete else _PAUSE, self.emit)


def _compact(wire: dict[str, Any]) -> dict[str, Any]:
    """Without what is at its default: None, empty, zero counts, complete."""
    out = {key: value for key, value in wire.items() if value or key in _REQUIRED}
    if wire.get("exit_code") == 0:
        out["exit_code"] = 0
    if wire.get("complete") is False:
        out["complete"] = False
    return out
