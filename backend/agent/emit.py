"""Lines out: a section is sent when it changed, and the newest line wins while the reader is slow."""

from __future__ import annotations

import json
import os
import select
import time
from typing import Any, Callable

from .loop import Loop

_CHUNK = 4096
"""A descriptor that polls as writable takes this much (PIPE_BUF) without blocking, even a blocking one.

That way the streams keep their mode: they may be a terminal that a shell shares."""
_FAULTS = 32
"""Different faults that are sent in a minute; what is beyond them is left out."""
_FAULT_PAUSE = 60.0
_WAITING = 200
"""Answers and faults that may wait for a slow reader. Sections need no limit: each replaces its older one."""

_encode = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode


def to_json(data: Any) -> str:
    """Compact ASCII JSON; bytes that were no text (lone surrogates) become U+FFFD."""
    text = _encode(data)
    return _encode(_scrub(data)) if "\\ud" in text else text


def _scrub(data: Any) -> Any:
    if isinstance(data, str):
        return data.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(data, dict):
        return {_scrub(key): _scrub(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_scrub(value) for value in data]
    return data


class Outbox:
    """What still has to be written to `fd`."""

    def __init__(self, fd: int = 1) -> None:
        self._fd = fd
        self._loop: Loop | None = None
        self._sent: dict[str, str] = {}
        self._waiting: dict[Any, bytes] = {}
        self._partial = b""
        self._faults: dict[tuple[str, str], float] = {}
        self.closed = False
        self.on_closed: Callable[[], Any] | None = None
        """Called once when nobody reads any more."""

    def attach(self, loop: Loop) -> None:
        """Write through `loop` from now on."""
        self._loop = loop

    def section(self, name: str, data: Any) -> bool:
        """Send `data` as section `name` if it differs from what was sent last; whether it did."""
        text = to_json(data)
        if self._sent.get(name) == text:
            return False
        self._sent[name] = text
        self._put(name, name, text)
        return True

    def message(self, name: str, data: Any, key: Any = None) -> None:
        """Send a line in any case. One that still waits under the same `key` is replaced."""
        self._put(key if key is not None else name, name, to_json(data))

    def waits(self, key: Any) -> bool:
        """Whether a line of that key was not written yet."""
        return key in self._waiting

    def fault(self, where: str, error: BaseException | str) -> None:
        """Send a fault line; the same one at most once a minute."""
        message = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
        entry = (where[:200], message[:1000])
        now = time.monotonic()
        for old in [old for old, sent in self._faults.items() if now - sent >= _FAULT_PAUSE]:
            del self._faults[old]
        if entry in self._faults or len(self._faults) >= _FAULTS:
            return
        self._faults[entry] = now
        self.message("fault", {"where": entry[0], "message": entry[1]}, key=("fault", *entry))

    def again(self) -> None:
        """Forget what was sent: every section is sent again when it comes next."""
        self._sent.clear()

    def flush(self, seconds: float) -> None:
        """Write what waits, for at most `seconds`."""
        end = time.monotonic() + seconds
        while not self.closed and (self._partial or self._waiting):
            left = end - time.monotonic()
            if left <= 0 or not select.select([], [self._fd], [], left)[1]:
                return
            self._write()

    def _put(self, key: Any, name: str, text: str) -> None:
        if self.closed:
            return
        if name in ("pong", "fault") and key not in self._waiting and len(self._waiting) >= _WAITING:
            return
        line = f'{{"s":"{name}","t":{time.time():.3f},"d":{text}}}\n'
        self._waiting[key] = line.encode("ascii")
        if self._loop is not None:
            self._loop.watch(self._fd, write=self._write)

    def _write(self) -> None:
        if not self._partial and self._waiting:
            # everything up to about one chunk at once: small lines share a system call
            out = bytearray()
            while self._waiting and len(out) < _CHUNK:
                out += self._waiting.pop(next(iter(self._waiting)))
            self._partial = bytes(out)
        try:
            if self._partial:
                done = os.write(self._fd, self._partial[:_CHUNK])
                self._partial = self._partial[done:]
        except BlockingIOError:
            return
        except OSError:
            self.closed = True
            self._partial = b""
            self._waiting.clear()
        if self._loop is not None and not self._partial and not self._waiting:
            self._loop.watch(self._fd)
        if self.closed and self.on_closed is not None:
            self.on_closed()
