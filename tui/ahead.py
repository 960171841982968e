"""What is typed while a terminal is being opened: it is meant for the shell, and never acts on rows."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from textual import events
from textual.timer import Timer

from backend.text import printable

if TYPE_CHECKING:
    from textual.app import App

    from tui.keyboard import Keyboard

PATIENCE = 0.7
"""Seconds after which it is said what is waited for."""
GIVE_UP = frozenset({"escape", "ctrl+c"})
_SENT = {"enter": "\r", "tab": "\t", "backspace": "\x7f", "delete": "\x1b[3~"} | {
    way: f"\x1b[{letter}" for way, letter in zip(("up", "down", "right", "left"), "ABCD", strict=True)
}
"""What terminals send for keys that are no characters."""


class Ahead:
    """`with Ahead(app, keyboard, "enter h1/web") as ahead:` around what opens a terminal.

    Escape gives up: the task that waits is cancelled.
    """

    def __init__(self, app: App[Any], keyboard: Keyboard, what: str) -> None:
        self._app, self._keyboard, self._what = app, keyboard, what
        self._typed: list[str] = []
        self._task: asyncio.Task[Any] | None = None
        self._timer: Timer | None = None

    def __enter__(self) -> Self:
        self._task = asyncio.current_task()
        self._timer = self._app.set_timer(PATIENCE, self._say)
        self._keyboard.divert(self._key)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened()
        self._keyboard.divert(None)

    async def take(self) -> bytes:
        """What was typed so far, as a terminal sends it. From now on nobody waits."""
        self._opened()
        handled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        await asyncio.sleep(0)  # keys that were read come in, those before us first
        self._app.call_later(_settle, handled)
        await asyncio.wait([handled], timeout=0.5)
        typed = "".join(self._typed)
        self._typed.clear()
        return typed.encode()

    def _opened(self) -> None:
        self._task = None
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        for toast in [each for each in self._app._notifications if each.title == self._title]:
            self._app._unnotify(toast)

    def _key(self, key: events.Key) -> None:
        if self._task is not None and key.key in GIVE_UP:
            self._task.cancel()
            self._app.notify(self._name, title="Given up", markup=False, timeout=3)
        else:
            self._typed.append(_sent(key))

    @property
    def _title(self) -> str:
        return f"Opening: {self._name}"

    @property
    def _name(self) -> str:
        return printable(self._what, 80)

    def _say(self) -> None:
        self._app.notify("esc gives up", title=self._title, markup=False, timeout=10)


def _sent(key: events.Key) -> str:
    """What a terminal sends for a key; nothing for those that few programs know."""
    held, _, letter = key.key.rpartition("ctrl+")
    if not held and key.key.startswith("ctrl+") and len(letter) == 1:
        return chr(ord(letter) & 0x1F)
    return key.character or _SENT.get(key.key, "")


def _settle(handled: asyncio.Future[None]) -> None:
    if not handled.done():
        handled.set_result(None)
