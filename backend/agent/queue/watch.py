"""The queue for a dashboard: section `jobs` whenever the database changed, and answers to its questions.

Where there is no queue this costs two lookups of a name now and then. Where there is one, nothing is read
before the file's times say that something was written (or an error may have passed), and then in a thread: a
database can be slow.
"""

from __future__ import annotations

import json
import os
import threading
import time
from typing import Any, Dict, List, Optional, Tuple

from ..background import Worker
from ..emit import Outbox
from ..loop import Loop, Timer
from . import place as places
from .errors import QueueError

EVERY = 0.5
"""Seconds between two looks at the file's times."""
_KEEPER_EVERY = (2.0, 60.0)
"""Seconds between two looks for a keeper, while jobs are unfinished: at first, and where none stays."""
_AGAIN = (1.0, 60.0)
"""Seconds until it is read again after an error: at first, and where that stays."""
_FRESH = 0.1
"""Seconds. A file that was written so lately may be written again without another time."""
_WAITING = 300
_ENDED = (100, 86400.0)
"""Jobs, and for how many seconds after their end."""
_SHOWN = 300
_ARGUMENTS = 40
_SPEC = frozenset("image image_name command workdir tty idle_limit outfile project script".split())
"""What of a spec is shown in lists. The environment may hold secrets; who needs it asks for the one job."""
_ASKING = 4
"""Questions that are answered at a time."""

_Key = Tuple[Any, ...]


class QueueWatch:
    """Follows the queue of this host for as long as the agent runs."""

    def __init__(self, loop: Loop, outbox: Outbox, engine: str = "auto", socket: str = "") -> None:
        self._loop = loop
        self._outbox = outbox
        self._engine = engine
        self._socket = socket
        self._worker = Worker(loop, "queue")
        self._timer: Optional[Timer] = None
        self._key: Optional[_Key] = None
        self._sent = False
        self._asking = 0
        self._keeper_at = 0.0
        self._keeper_wait = _KEEPER_EVERY[0]
        self._unfinished = False
        self._again_wait = 0.0
        self._again_at: Optional[float] = None
        """When it is read anew though nothing was written: an error may pass by itself."""
        self.done = False
        """Whether the first report went out, or there is nothing to report."""

    def tick(self) -> None:
        """Look now, and again each half second."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.later(EVERY, self.tick)
        folder = places.wanted(self._socket, self._engine) if places.any_exists() else ""
        if not folder or not os.path.lexists(folder):
            if self._sent:
                self._outbox.section("jobs", {})
                self._sent = False
            self._key, self._unfinished, self.done = None, False, True
            return
        key = _key(folder)
        due = self._unfinished and time.monotonic() >= self._keeper_at
        if self._again_at is not None and time.monotonic() >= self._again_at:
            self._key = None
        if (key != self._key or key is None or due) and not self._worker.busy:
            self._worker.run(lambda: self._read(due), lambda report, error: self._have(key, report, error))

    def again(self) -> None:
        """Read and send it again, whether it changed or not."""
        self._key = None

    def ask(self, number: int, verb: str, body: Any) -> None:
        """Answer by section `reply`, from a thread of its own."""
        if self._asking >= _ASKING:
            error = {"kind": "failed", "message": "too many questions at once.", "hint": "Try again."}
            self._reply(number, {"error": error})
            return
        self._asking += 1
        threading.Thread(target=self._answer, args=(number, verb, body), name="ask", daemon=True).start()

    def _answer(self, number: int, verb: str, body: Any) -> None:
        """In a thread."""
        from . import entry

        words = ["--engine", self._engine] if self._engine in ("docker", "podman") else []
        options = entry.Options([verb or "?", *words, *(["--socket", self._socket] if self._socket else [])])
        _, text = entry.answer(verb, json.dumps(body).encode(), options)
        answer = json.loads(text)

        def done() -> None:
            self._asking -= 1
            self._reply(number, answer)
            self.tick()  # what was asked for shows at once

        self._loop.post(done)

    def _reply(self, number: int, answer: Dict[str, Any]) -> None:
        self._outbox.message("reply", {"id": number, **answer}, key=("reply", number))

    def _read(self, look_for_keeper: bool) -> Dict[str, Any]:
        """In the thread: the section's data."""
        try:
            with places.find(self._socket, self._engine, create=False) as place:
                return report(place)
        except QueueError as error:
            return {
                "error": error.message,
                "hint": error.hint,
                "folder": places.wanted(self._socket, self._engine),
            }

    def _have(self, key: Optional[_Key], found: Any, error: Optional[BaseException]) -> None:
        self.done = True
        self._key = key
        told = error is None and "jobs" in found
        self._again_wait = 0.0 if told else min(max(self._again_wait * 2, _AGAIN[0]), _AGAIN[1])
        self._again_at = None if told else time.monotonic() + self._again_wait
        if error is not None:
            self._outbox.fault("queue", error)
            return
        self._unfinished = bool(found.get("waiting") or found.get("active"))
        started = found.pop("started", False)
        self._keeper_wait = min(self._keeper_wait * 2, _KEEPER_EVERY[1]) if started else _KEEPER_EVERY[0]
        self._keeper_at = time.monotonic() + self._keeper_wait
        self._outbox.section("jobs", found)
        self._sent = True

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()


def report(place: places.Place, now: Optional[float] = None) -> Dict[str, Any]:
    """What section `jobs` holds; starts a keeper where one is missing (then it has `started`)."""
    from . import lock
    from .store import Store

    now = time.time() if now is None else now
    with Store.open(place, create=False) as store:
        with store.together():
            texts = [*store.active(), *store.waiting(_WAITING), *store.over(_ENDED[0], since=now - _ENDED[1])]
            counts = store.counts()
            limits = store.limits()
        notice = store.notice
    waiting = counts.get("queued", 0) + counts.get("held", 0)
    active = counts.get("starting", 0) + counts.get("running", 0)
    data: Dict[str, Any] = {
        "jobs": [_short(text) for text in texts],
        "waiting": waiting,
        "active": active,
        "keeper": False,
        "paused": limits.paused,
        "draining": limits.draining,
        "folder": place.path,
    }
    if notice:
        data["notice"] = notice
    try:
        if waiting or active:
            data["started"] = lock.ensure(place)
            data["keeper"] = True
        else:
            data["keeper"] = lock.held(place)
    except OSError as error:
        data["error"], data["hint"] = (
            f"nobody keeps the queue moving: {error}",
            "Start it: berth queue resume",
        )
    return data


def _short(text: str) -> Dict[str, Any]:
    """A job as lists show it."""
    job: Dict[str, Any] = json.loads(text)
    spec = {key: value for key, value in job["spec"].items() if key in _SPEC}
    if "command" in spec:
        spec["command"] = [_cut(word) for word in spec["command"][:_ARGUMENTS]]
    job["spec"] = spec
    return job


def _cut(word: str) -> str:
    return word if len(word) <= _SHOWN else word[: _SHOWN - 1] + "…"


def _key(folder: str) -> Optional[_Key]:
    """Changes whenever the database is written; None where that cannot be told for sure."""
    found: List[Any] = []
    newest = 0.0
    for name in ("", "-wal"):
        try:
            status = os.stat(f"{folder}/{places.DATABASE}{name}", follow_symlinks=False)
        except OSError:
            found.append(None)
            continue
        if name and not status.st_size:  # whoever reads makes an empty one, and removes it
            found.append(None)
            continue
        found.append((status.st_ino, status.st_size, status.st_mtime_ns))
        newest = max(newest, status.st_mtime)
    return None if 0 <= time.time() - newest < _FRESH else tuple(found)
