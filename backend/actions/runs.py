"""Actions as things one can watch: started, reported on, cancelled, tried again, remembered."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from backend.actions.context import Access, ActionContext
from backend.actions.runner import PER_HOST, Result, host_of, label, run_one
from backend.activity import OUTPUT_LINES, ActivityLog, ActivityRow, RunState
from backend.errors import NotConfirmed

if TYPE_CHECKING:
    from backend.actions.registry import Action
    from backend.config import Config


class Person(Protocol):
    """Who sits in front of it, as the front end reaches them."""

    async def confirm(self, question: str) -> bool:
        """Ask a question; no is the answer that does nothing."""

    def lend_terminal(self) -> AbstractAsyncContextManager[None]:
        """Their terminal, for a program of theirs."""


_count = itertools.count()


class Run:
    """One action on one target. It is the action's voice, and outlives the view it was started from."""

    def __init__(self, action: Action, target: Any, options: Mapping[str, Any], ask: Person) -> None:
        self.action = action
        self.target = target
        self.options = dict(options)
        self.state: RunState = "running"
        self.started_at = datetime.now(UTC)
        self.ended_at: datetime | None = None
        self.id = f"{self.started_at:%Y%m%dT%H%M%S%f}-{os.getpid()}-{next(_count)}"
        self.result: Result | None = None
        self.output: list[str] = []
        self.done: int | None = None
        self.total: int | None = None
        self.notes: dict[str, str] = {}
        self.secrets: set[str] = set()
        """What its output shows while it runs, and the log never."""
        self.changed: Callable[[Run], None] = lambda run: None
        self._ask = ask
        self.task: asyncio.Task[Result] | None = None

    def report(self, line: str) -> None:
        """One line of output."""
        self.output.append(line)
        del self.output[:-OUTPUT_LINES]
        self.changed(self)

    def progress(self, done: int, total: int | None) -> None:
        """How far it is."""
        self.done, self.total = done, total
        self.changed(self)

    async def confirm(self, question: str) -> bool:
        """Ask in the middle of it."""
        return await self._ask.confirm(question)

    def lend_terminal(self) -> AbstractAsyncContextManager[None]:
        """The person's terminal, for an editor."""
        return self._ask.lend_terminal()

    def cancel(self) -> None:
        """End it; its clean-up still runs."""
        if self.task is not None:
            self.task.cancel()

    def row(self) -> ActivityRow:
        """What lists show of it."""
        error = self.result.error if self.result else None
        secret = {param.name for param in self.action.params if param.option.secret}
        masked = {param.name for param in self.action.params if param.option.masked}
        return ActivityRow(
            id=self.id,
            action=self.action.name,
            title=self.action.title,
            target=label(self.target),
            host=host_of(self.target),
            state=self.state,
            started_at=self.started_at,
            ended_at=self.ended_at,
            message=self._kept(error.message if error else self.result.message if self.result else ""),
            hint=error.hint if error else self.result.hint if self.result else "",
            output=tuple(map(self._kept, self.output)),
            options={
                name: _names_only(value) if name in masked else value
                for name, value in self.options.items()
                if name not in secret
            },
            notes=self.notes,
            done=self.done,
            total=self.total,
        )

    def _kept(self, line: str) -> str:
        """A line of output as it is kept once the action has ended."""
        for secret in self.secrets if self.ended_at else ():
            line = line.replace(secret, "...")
        return line


def _names_only(value: Any) -> Any:
    """`TOKEN=...` of `TOKEN=hunter2`."""
    return [word.partition("=")[0] + "=..." for word in value] if isinstance(value, list | tuple) else "..."


class Runs:
    """All runs of this process, newest first, and the log of those that ended."""

    def __init__(self, config: Config, access: Access, log: ActivityLog | None = None) -> None:
        self.config = config
        self._access = access
        self.log = log or ActivityLog()
        self.runs: list[Run] = []
        self._gates: dict[str | None, asyncio.Semaphore] = {}

    def start(
        self,
        action: Action,
        target: Any,
        options: Mapping[str, Any],
        *,
        ask: Person,
        changed: Callable[[Run], None] = lambda run: None,
        assume_yes: bool = False,
    ) -> Run:
        """Start an action on one target; `changed` is called with every report and at the end."""
        run = Run(action, target, options, ask)
        run.changed = changed
        ctx = ActionContext(
            config=self.config,
            access=self._access,
            voice=run,
            assume_yes=assume_yes,
            notes=run.notes,
            secrets=run.secrets,
        )
        run.task = asyncio.create_task(self._run(run, ctx), name=f"{action.name} {label(target)}")
        self.runs.insert(0, run)
        changed(run)
        return run

    def retry(self, run: Run) -> Run:
        """The same again. Raises nothing: what no longer applies says so as the new run's result."""
        return self.start(run.action, run.target, run.options, ask=run._ask, changed=run.changed)

    async def close(self) -> None:
        """Cancel what still runs, wait for its clean-up."""
        tasks = [run.task for run in self.runs if run.task and not run.task.done()]
        for task in tasks:
            if not task.cancelling():  # a second cancel would end its clean-up
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, run: Run, ctx: ActionContext) -> Result:
        gate = self._gates.setdefault(host_of(run.target), asyncio.Semaphore(PER_HOST))
        try:
            async with gate:
                result = await run_one(run.action, run.target, run.options, ctx)
        except asyncio.CancelledError:
            result = Result(run.target, message="cancelled", cancelled=True)
        if isinstance(result.error, NotConfirmed):  # the person's own no is no failure
            result = Result(run.target, message=result.error.message, hint=result.error.hint, cancelled=True)
        run.result = result
        run.ended_at = datetime.now(UTC)
        run.state = "cancelled" if result.cancelled else "done" if result.ok else "failed"
        if run.action.changes or not result.ok:
            self.log.append(run.row())
        run.changed(run)
        return result
