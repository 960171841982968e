"""Running containers that are not this queue's: which GPUs each asked for, and whose it is.

One inspect for each that starts, and only while jobs wait for GPUs; nothing for those that end.
"""

from __future__ import annotations

import json
from typing import AbstractSet, Any, Callable, Dict, List, Set

from .. import containers
from ..containers import Entry
from ..owner import Owners
from .enginelink import EngineLink
from .images import get
from .tasks import Task

_RUNNING = ("running", "paused", "restarting")
_TIMEOUT = 5.0
_MOST = 200
"""Containers that are looked at for one question."""


def running(socket: str, ours: AbstractSet[str]) -> List[Entry]:
    """Those that run now, for who asks once. What the engine does not tell is left out. Blocks."""

    def ask(target: str) -> Any:
        reply = get(socket, target, _TIMEOUT)
        try:
            return json.loads(reply.body) if reply.error is None and reply.status == 200 else None
        except ValueError:
            return None

    listed = ask("/containers/json") or []
    keys = [str(entry.get("Id")) for entry in listed if isinstance(entry, dict) and entry.get("Id")]
    found = []
    owners = Owners()
    for key in [key for key in keys if key not in ours][:_MOST]:
        entry = containers.inspected(ask(f"/containers/{key}/json"))
        if entry is not None and entry.running:
            entry.wire["owner"] = owners.owner(entry.wire)
            found.append(entry)
    return found


class Others:
    """Keeps `entries` true: containers by id, in the form that the agent's roster has them in."""

    def __init__(self, engine: EngineLink, fault: Callable[[str, BaseException], Any]) -> None:
        self._engine = engine
        self._fault = fault
        self._owners = Owners()
        self._unseen: Set[str] = set()
        self.entries: Dict[str, Entry] = {}
        self.on_change: Callable[[], Any] = lambda: None

    def replace(self, listed: List[Any], ours: Set[str]) -> None:
        """Take the engine's list; those in `ours` are the queue's."""
        running = {
            entry["Id"]
            for entry in listed
            if isinstance(entry, dict) and str(entry.get("State")).lower() in _RUNNING and entry.get("Id")
        }
        running -= ours
        self.entries = {key: entry for key, entry in self.entries.items() if key in running}
        self._unseen = running - set(self.entries)

    def event(self, action: str, key: str) -> bool:
        """An event of a container that is not ours; whether it may have taken or freed GPUs."""
        if action == "start":
            self._unseen.add(key)
            return True
        if action in ("die", "destroy"):
            self._unseen.discard(key)
            entry = self.entries.pop(key, None)
            return entry is not None and entry.grant is not None
        return False

    @property
    def unseen(self) -> bool:
        """Whether there are some of which nothing is known."""
        return bool(self._unseen)

    def look(self) -> None:
        """Ask for what is not known; `on_change` follows when all of it came."""
        for key in list(self._unseen):
            Task(self._inspect(key), lambda error: self._fault("container", error))

    async def _inspect(self, key: str) -> None:
        reply = await self._engine.ask("GET", f"/containers/{key}/json")
        if reply.error is not None or key not in self._unseen:
            return
        self._unseen.discard(key)
        if reply.status == 200:
            entry = containers.inspected(json.loads(reply.body))
            if entry is not None and entry.running:
                entry.wire["owner"] = self._owners.owner(entry.wire)
                self.entries[key] = entry
        if not self._unseen:
            self.on_change()
