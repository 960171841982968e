"""Jobs that started, ended or failed, told to the person: toasts, the terminal, tmux, a command of theirs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Literal

from backend.errors import BerthError
from backend.model import FleetState, JobRow
from backend.queues.news import News, sentence, summary
from backend.queues.telling import Command, in_tmux, terminal_codes
from backend.text import printable

if TYPE_CHECKING:
    from backend.config import Config
    from tui.app import BerthApp

_ONE_BY_ONE = 3
"""Toasts for so many jobs at once; more are one toast."""
_BAD = ("failed", "timeout")


class JobNotices:
    """Tells what settings.yaml's `notify` wants to be told."""

    def __init__(self, app: BerthApp, config: Config) -> None:
        self._app = app
        self._toasts = config.settings.notifications
        self._wanted = config.settings.notify
        self._news = News()
        self._command = Command(self._wanted.command)
        self._failed = False
        self._tasks: set[asyncio.Task[None]] = set()

    def feed(self, state: FleetState) -> None:
        """There is a new state of the fleet."""
        if self._wanted.jobs == "none":
            return
        rows = self._news.feed(state, self._wanted)
        if not rows:
            return
        ways = self._wanted.ways
        if "toast" in ways and self._toasts:
            self._toast(rows)
        if "terminal" in ways:
            self._app.write_terminal(terminal_codes(f"berth: {summary(rows)}", os.environ))
        if "tmux" in ways:
            self._start(in_tmux(f"berth: {summary(rows)}"))
        if self._wanted.command:
            for row in rows:
                self._start(self._run(row))

    def _toast(self, rows: Sequence[JobRow]) -> None:
        if len(rows) > _ONE_BY_ONE:
            bad = any(row.state in _BAD for row in rows)
            self._say(summary(rows), "Jobs", "warning" if bad else "information")
            return
        for row in rows:
            title = "Job started" if row.state == "running" else f"Job {row.state}"
            self._say(sentence(row), title, "warning" if row.state in _BAD else "information")

    def _say(self, text: str, title: str, severity: Literal["information", "warning", "error"]) -> None:
        self._app.notify(printable(text, 300), title=title, severity=severity, markup=False, timeout=8)

    async def _run(self, row: JobRow) -> None:
        try:
            await self._command.tell(row)
        except BerthError as error:
            if not self._failed:  # once: it will not get better by being said for each job
                self._failed = True
                self._say(f"{error} See `notify` in settings.yaml.", "Notify", "warning")

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """End what still runs."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
