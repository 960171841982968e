"""What some tmux panes show, captured a few times a second for as long as somebody looks.

A watch is a lease: whoever looks asks again every few seconds, so nothing is captured for nobody.
All panes of one server are captured by one client. Only rows that changed are sent; while the last line of a
pane still waits to be written, the next one replaces it and says all, so a slow line never lags behind.
"""

from __future__ import annotations

import binascii
import os
from functools import partial
from typing import Any, Tuple

from ..emit import Outbox
from ..loop import Loop, Timer
from .tmux import Client, sockets

LEASE = 10.0
"""Seconds that panes are captured for after they were asked for."""
_EVERY = 0.5
_ROWS = 500
_LINE = 16384
_SHAPE = "#{pane_width} #{pane_height} #{cursor_x} #{cursor_y} #{cursor_flag}"

Key = Tuple[str, str]
"""Socket and pane."""


class PaneWatch:
    """Captures the panes that were asked for last."""

    def __init__(self, loop: Loop, outbox: Outbox) -> None:
        self._loop = loop
        self._outbox = outbox
        self._shown: dict[Key, dict[str, Any] | None] = {}
        """What was sent of each watched pane: a whole message; None: nothing yet."""
        self._gone: set[Key] = set()
        self._running: dict[str, Client] = {}
        self._owners: dict[str, int] = {}
        self._left = 0
        self._numbers = 0
        self._timer: Timer | None = None

    def watch(self, panes: list[tuple[str, str, bool]]) -> None:
        """Capture these from now on, and no others."""
        before = self._shown
        self._shown = {}
        for path, pane, fresh in panes:
            self._shown[path, pane] = None if fresh else before.get((path, pane))
        self._gone.clear()
        self._owners = sockets() if panes else {}
        self._left = int(LEASE / _EVERY)
        if panes and self._timer is None:
            self._tick()

    def stop(self) -> None:
        """End clients that still run."""
        self._shown = {}
        for client in list(self._running.values()):
            client.kill()

    def _tick(self) -> None:
        self._timer = None
        self._left -= 1
        if not self._shown or self._left < 0:
            self._shown = {}
            return
        self._timer = self._loop.later(_EVERY, self._tick)
        by_path: dict[str, list[str]] = {}
        for path, pane in self._shown:
            if path not in self._owners:
                self._lost(path, [pane])
            elif (path, pane) not in self._gone:
                by_path.setdefault(path, []).append(pane)
        for path, names in by_path.items():
            if path not in self._running:
                self._capture(path, names)

    def _capture(self, path: str, panes: list[str]) -> None:
        word = binascii.hexlify(os.urandom(8)).decode("ascii")
        words: list[str] = []
        for place, pane in enumerate(panes):
            # no pane's id in it: tmux hands the text to strftime, which takes `%4` for something else
            words += ["display-message", "-p", "-t", pane, f"{word}>{place} {_SHAPE}", ";"]
            words += ["capture-pane", "-p", "-e", "-t", pane, ";"]
        words += ["display-message", "-p", f"{word}."]
        client = Client(self._loop, path, self._owners[path], words, partial(self._answer, path, word, panes))
        client.start()
        self._running[path] = client

    def _answer(self, path: str, word: str, panes: list[str], text: str, whole: bool) -> None:
        self._running.pop(path, None)
        found = parse(text, word, panes)
        for pane, data in found.items():
            if (path, pane) in self._shown:
                self._send(path, pane, data)
        if not whole:
            # the first that did not come is the one that stopped tmux; if none came, so did the server
            missing = [pane for pane in panes if pane not in found]
            self._lost(path, missing[:1])

    def _lost(self, path: str, panes: list[str]) -> None:
        for pane in panes:
            if (path, pane) in self._shown and (path, pane) not in self._gone:
                self._gone.add((path, pane))
                self._shown[path, pane] = None
                self._put({"socket": path, "pane": pane, "gone": True})

    def _send(self, path: str, pane: str, data: dict[str, Any]) -> None:
        """Send what changed, if anything did."""
        last = self._shown[path, pane]
        whole = {"socket": path, "pane": pane, **data}
        lines = whole["lines"]
        if last is not None:
            known = last["lines"]
            if all(whole[name] == last[name] for name in ("width", "height", "cursor", "lines")):
                return
            if not self._outbox.waits(("pane", path, pane)):
                changed = {row: text for row, text in lines.items() if known.get(row, "") != text}
                changed.update({row: "" for row in known if row not in lines})
                self._put({**whole, "lines": changed, "base": last["number"]})
                self._shown[path, pane] = {**whole, "number": self._numbers}
                return
        self._put(whole)
        self._shown[path, pane] = {**whole, "number": self._numbers}

    def _put(self, message: dict[str, Any]) -> None:
        self._numbers += 1
        message["number"] = self._numbers
        self._outbox.message("pane", message, key=("pane", message["socket"], message["pane"]))


def parse(text: str, word: str, panes: list[str]) -> dict[str, dict[str, Any]]:
    """Pane to what it shows, of the output of `_capture`; one that is not whole is left out."""
    out: dict[str, dict[str, Any]] = {}
    records = text.split(word)
    for record, after in zip(records, records[1:]):
        if record[:1] != ">" or after[:1] not in (">", "."):
            continue
        head, _, body = record[1:].partition("\n")
        fields = head.split(" ")
        if len(fields) != 6 or not all(field.isdigit() and field.isascii() for field in fields):
            continue
        place, width, height, column, row, visible = (int(field[:9]) for field in fields)
        if place >= len(panes):
            continue
        rows = body.split("\n")[:-1][:_ROWS]
        out[panes[place]] = {
            "width": width,
            "height": height,
            "cursor": [column, row] if visible else None,
            "lines": {number: line[:_LINE] for number, line in enumerate(rows) if line},
        }
    return out
