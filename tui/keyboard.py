"""Keys take effect one after the other, however fast they are typed.

A key travels: from the app to the widget that has the focus, up its parents, and what it does there may move
the focus by further messages. Keys typed meanwhile would still go where the focus was: `/job` typed in
one go would ask for a filter, and then do what `j`, `o` and `b` do to the row. So each key waits for the one
before it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from textual import events
from textual.app import App, ScreenStackError
from textual.dom import DOMNode

ROUNDS = 3
"""How many messages one after another a key's effect may take: submitted, entered, focus."""
PATIENCE = 0.5
"""Seconds until the next key goes its way, whatever became of the one before it."""
REPEATED = frozenset({"up", "down", "left", "right", "pageup", "pagedown", "j", "k", "backspace", "delete"})
"""Keys that are held down: the same one again need not wait."""


class Keyboard:
    """The keys of an app. All methods run in the app's own message loop."""

    def __init__(self, app: App[Any], handle: Callable[[events.Event], Awaitable[None]]) -> None:
        """`handle` sends a key on its way."""
        self._app, self._handle = app, handle
        self._kept: deque[events.Key] = deque()
        self._busy = False
        self._last = ""
        self._turn = 0
        self._timer: asyncio.TimerHandle | None = None
        self._elsewhere: Callable[[events.Key], None] | None = None

    def divert(self, elsewhere: Callable[[events.Key], None] | None) -> None:
        """Give all keys to `elsewhere` from now on, those that wait first; None: they go their way again."""
        self._elsewhere = elsewhere
        while elsewhere is not None and self._kept:
            elsewhere(self._kept.popleft())

    async def press(self, key: events.Key) -> None:
        """Handle a key, now or when the ones before it have taken effect."""
        if self._elsewhere is not None:
            self._elsewhere(key)
            return
        again = key.key == self._last and key.key in REPEATED and not self._kept
        if self._busy and not again:
            self._kept.append(key)
        else:
            await self._send(key)

    async def _send(self, key: events.Key) -> None:
        self._busy, self._last = True, key.key
        self._turn += 1
        turn, target = self._turn, self._target()
        await self._handle(key)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(
            PATIENCE, self._app.call_later, self._settled, turn
        )
        self._follow(target, ROUNDS, turn)

    def _target(self) -> DOMNode:
        try:
            return self._app.focused or self._app.screen
        except ScreenStackError:
            return self._app

    def _follow(self, node: DOMNode | None, rounds: int, turn: int) -> None:
        """Go the way that the key went, behind it: queues keep their order."""
        if node is None or not node.call_later(self._passed, node, rounds, turn):
            self._app.call_later(self._passed, self._app, rounds, turn)

    async def _passed(self, node: DOMNode, rounds: int, turn: int) -> None:
        if turn != self._turn:
            return
        if node is not self._app:
            self._follow(node.parent, rounds, turn)
        elif rounds > 1:
            self._follow(self._target(), rounds - 1, turn)
        else:
            await self._settled(turn)

    async def _settled(self, turn: int) -> None:
        if turn != self._turn or not self._busy:
            return
        self._busy = False
        if self._kept:
            await self._send(self._kept.popleft())

    def stop(self) -> None:
        """No key takes effect any more."""
        self._kept.clear()
        if self._timer is not None:
            self._timer.cancel()
