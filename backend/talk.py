"""What a verb says and asks: results on stdout, talk and questions on stderr, a record in the log."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from backend.actions.context import Access, ActionContext
from backend.actions.runner import PER_HOST, Result, host_of, label, run_one
from backend.actions.runs import Run
from backend.activity import ActivityLog
from backend.errors import Refused, UsageError, exit_code_for
from backend.text import printable, size

if TYPE_CHECKING:
    from backend.actions.registry import Action, Param
    from backend.config import Config

_LISTED = 20
"""Targets that are named one by one in a question."""
_LINE = 100_000
"""Characters of one line of output that are shown."""
_CANCELLED = 130


class Talk:
    """One verb on some targets, towards the person who called it."""

    def __init__(self, action: Action, *, json: bool, yes: bool) -> None:
        self._action = action
        self._json = json
        self._yes = yes
        self._many = False
        self._said_progress = False
        self._unread = False
        """Whether nobody reads the output any more: `| head`."""
        self._asking = asyncio.Lock()
        self._outputs: dict[int, list[str]] = {}
        self._data: dict[int, Any] = {}

    # --------------------------------------------------------------------------------- asking

    async def agree(self, targets: Sequence[Any]) -> None:
        """Ask before a dangerous action. Raises `Refused` where the answer is not yes."""
        if not self._action.danger or self._yes or not targets:
            return
        questions = [self._action.question(target) for target in targets]
        if len(questions) > 1:
            for question in questions[:_LISTED]:
                self._err(printable(question))
            if len(questions) > _LISTED:
                self._err(f"and {len(questions) - _LISTED} more")
            questions = [f"Do this {len(targets)} times?"]
        if not await self.confirm(questions[0]):
            raise Refused(f"{self._action.title}: not done.", hint="It was not confirmed.")

    async def confirm(self, question: str) -> bool:
        """A question in the terminal; no is the default. Raises `Refused` without a terminal."""
        if self._yes:
            return True
        if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
            raise Refused(
                f"{printable(question)} There is nobody to ask.", hint="Say --yes if the answer is yes."
            )
        async with self._asking:
            self._end_progress()
            print(f"{printable(question)} [y/N] ", end="", file=sys.stderr, flush=True)
            answer = await _line_of(sys.stdin.fileno())
        return answer.strip().lower() in ("y", "yes")

    @asynccontextmanager
    async def lend_terminal(self) -> AsyncIterator[None]:
        """The terminal as it is: nothing of ours is on it."""
        if not (sys.stdin and sys.stdin.isatty() and sys.stdout.isatty()):
            raise UsageError(f"{self._action.title} needs a terminal.")
        self._end_progress()
        yield

    def secret(self, param: Param) -> str:
        """A secret, typed unseen, or the first line of stdin."""
        if sys.stdin.isatty():
            from getpass import getpass

            return getpass(f"{param.option.help}: ", sys.stderr)
        value = sys.stdin.readline().rstrip("\n")
        if not value and param.required:
            raise UsageError(f"{param.option.help}: nothing was given on standard input.")
        return value

    # -------------------------------------------------------------------------------- running

    async def perform(
        self, config: Config, access: Access, targets: Sequence[Any], options: Mapping[str, Any]
    ) -> list[Result]:
        """Run it on all targets side by side, each written down in the activity log at its end.

        Raises `BrokenPipeError` where nobody reads what it prints.
        """
        self._many = len(targets) > 1
        gates: dict[str | None, asyncio.Semaphore] = {}
        log = ActivityLog()

        async def one(target: Any) -> Result:
            run = _Spoken(self, self._action, target, options)
            ctx = ActionContext(
                config, access, run, assume_yes=self._yes, notes=run.notes, secrets=run.secrets
            )
            async with gates.setdefault(host_of(target), asyncio.Semaphore(PER_HOST)):
                try:
                    result = await run_one(self._action, target, options, ctx)
                    run.state = "done" if result.ok else "failed"
                except asyncio.CancelledError:
                    result = Result(target, message="cancelled", cancelled=True)
                    run.state = "cancelled"
                    raise
                finally:
                    if run.state != "running":
                        run.result = result
                        run.ended_at = datetime.now(UTC)
                        if self._action.changes:
                            log.append(run.row())
            self._data[id(result)] = ctx.data
            self._outputs[id(result)] = run.lines if ctx.data is None or ctx.beside else []
            return result

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(target)) for target in targets]
        if self._unread:
            raise BrokenPipeError
        self._end_progress()
        return [task.result() for task in tasks]

    def said(self, run: _Spoken, line: str) -> None:
        """A line of output of one target."""
        self._end_progress()
        if self._json:
            run.lines.append(line)
            return
        front = f"{label(run.target)}: " if self._many else ""
        if not self._action.prints:
            self._err(printable(front + line, _LINE))
        else:
            text = printable(front + line, _LINE) if sys.stdout.isatty() else front + line.replace("\0", "")
            try:
                print(text, flush=True)
            except BrokenPipeError:
                self._unread = True
                raise asyncio.CancelledError from None  # no failure of the action, and no reason to go on

    def moved(self, run: _Spoken, done: int, total: int | None) -> None:
        """One target got further; shown on a terminal, in one line that is written over."""
        if self._many or not sys.stderr.isatty():
            return
        share = f" of {size(total)} ({done * 100 // total} %)" if total else ""
        print(f"\r\x1b[K{size(done)}{share}", end="", file=sys.stderr, flush=True)
        self._said_progress = True

    def _end_progress(self) -> None:
        if self._said_progress:
            self._said_progress = False
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    # -------------------------------------------------------------------------------- results

    def close(self, results: Sequence[Result]) -> int:
        """Say how it ended; the exit code, the worst of all."""
        if self._json:
            found = json.dumps([self._as_json(result) for result in results], ensure_ascii=False)
            sys.stdout.flush()
            sys.stdout.buffer.write(found.encode("utf-8", "replace") + b"\n")  # JSON is UTF-8 in any locale
            sys.stdout.buffer.flush()
        else:
            for result in results:
                self._result(result, alone=len(results) == 1)
        return max((_code(result) for result in results), default=0)

    def fail(self, result: Result) -> int:
        """Say what is wrong with a target that is left out; its exit code."""
        self._err(f"berth: {printable(str(result.error))}")
        return _code(result)

    def _result(self, result: Result, *, alone: bool) -> None:
        if result.error is not None:
            front = "" if alone else f"{label(result.target)}: "
            self._err(f"berth: {printable(front + str(result.error))}")
        elif self._action.prints:
            # Beside the output, not among it. What changed, or had not to, is said in any case; but a command
            # of the person's own speaks for itself.
            changes = self._action.changes and not any(each.option.many for each in self._action.params)
            if changes or (sys.stdout.isatty() and sys.stderr.isatty()):
                self._err(printable(result.message))
        else:
            print(printable(result.message), flush=True)

    def _as_json(self, result: Result) -> dict[str, Any]:
        found = {
            "target": label(result.target),
            "ok": result.ok,
            "message": result.message,
            "error": None if result.error is None else str(result.error),
        }
        if (data := self._data.get(id(result))) is not None:
            found["data"] = data
        lines = self._outputs.get(id(result))
        return found | ({"output": lines} if lines else {})

    def _err(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)


class _Spoken(Run):
    """A run whose words go to the terminal."""

    def __init__(self, talk: Talk, action: Action, target: Any, options: Mapping[str, Any]) -> None:
        super().__init__(action, target, options, talk)
        self._talk = talk
        self.lines: list[str] = []

    def report(self, line: str) -> None:
        """One line of output."""
        super().report(line)
        self._talk.said(self, line)

    def progress(self, done: int, total: int | None) -> None:
        """How far it is."""
        super().progress(done, total)
        self._talk.moved(self, done, total)


def _code(result: Result) -> int:
    if result.cancelled:
        return _CANCELLED
    return 0 if result.error is None else exit_code_for(result.error)


async def _line_of(descriptor: int) -> str:
    """One line from a terminal, without a thread that would outlive a Ctrl+C."""
    loop = asyncio.get_running_loop()
    ready = loop.create_future()

    def read() -> None:
        if not ready.done():
            ready.set_result(os.read(descriptor, 4096))

    loop.add_reader(descriptor, read)
    try:
        return bytes(await ready).decode(errors="replace")
    finally:
        loop.remove_reader(descriptor)
