"""Coroutines on the agent's own loop: what has several steps reads from top to bottom, without asyncio.

    async def work(task_loop):
        await sleep(loop, 1.0)
        value = await Wait(lambda answer: ask_somebody(done=answer))

`Wait` hands `answer` to whatever will call it once, from the loop. A task that is cancelled gets
GeneratorExit where it waits; an answer that comes later is dropped.
"""

from __future__ import annotations

from typing import Any, Callable, Coroutine, Generator, Optional

from ..loop import Loop

Answer = Callable[[Any], None]


class Wait:
    """Something that is answered later: `start(answer)` is called when it is awaited."""

    def __init__(self, start: Callable[[Answer], Any]) -> None:
        self._start = start

    def __await__(self) -> Generator[Wait, Any, Any]:
        return (yield self)

    def start(self, answer: Answer) -> None:
        """Begin; the driver of the task calls it."""
        self._start(answer)


def sleep(loop: Loop, seconds: float) -> Wait:
    """Wait that long."""
    return Wait(lambda answer: loop.later(seconds, lambda: answer(None)))


class Task:
    """Runs a coroutine until its end. What it raises goes to `on_error`."""

    def __init__(
        self, coroutine: Coroutine[Wait, Any, Any], on_error: Callable[[BaseException], Any]
    ) -> None:
        self._coroutine: Optional[Coroutine[Wait, Any, Any]] = coroutine
        self._on_error = on_error
        self._turn = 0
        self._running = False
        self._step(None)

    @property
    def done(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self._coroutine is None

    def cancel(self) -> None:
        """End it where it waits."""
        coroutine, self._coroutine = self._coroutine, None
        self._turn += 1
        if coroutine is not None and not self._running:
            coroutine.close()

    def _step(self, value: Any) -> None:
        coroutine = self._coroutine
        if coroutine is None:
            return
        self._turn += 1
        turn = self._turn
        try:
            self._running = True
            try:
                wait = coroutine.send(value)
            finally:
                self._running = False
            if self._coroutine is None:  # it cancelled itself
                coroutine.close()
                return
            wait.start(lambda answer: self._step(answer) if self._turn == turn else None)
        except StopIteration:
            self._coroutine = None
        except Exception as error:
            self._coroutine = None
            coroutine.close()
            self._on_error(error)
