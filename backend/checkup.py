"""`berth doctor`: the checks of `backend.doctor`, host by host, as they come."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from backend.config import Config
from backend.doctor import Check, run_doctor
from backend.listoutput import colour
from backend.text import printable

_WORDS = {True: "ok", False: "FAIL", None: "-"}
_COLOURS = {True: "32", False: "31", None: "2"}
_NOT_TRIED = "not tried"
REACHING = frozenset({"resolve", "connect", "host key", "login"})
"""Steps without which a host is not reached at all."""


async def show(config: Config, names: Sequence[str], *, json: bool) -> int:
    """Print every check; the exit code: 0, 3 where a host is not reached, 1 where something else fails.

    All hosts are checked side by side, but what is printed of one stands together, in the order of the
    configuration. Raises `NoSuchTarget` for a host that is not configured.
    """
    chosen = [host.name for host in config.hosts] if not names else list(dict.fromkeys(names))
    for name in chosen:
        config.host(name)
    printer = _Printer(max(map(len, chosen), default=0))
    done: list[Check] = []
    queues: dict[str, asyncio.Queue[Check | None]] = {name: asyncio.Queue() for name in chosen}
    tasks = [asyncio.create_task(_check(config, name, queue)) for name, queue in queues.items()]
    try:
        for queue in queues.values():
            while (check := await queue.get()) is not None:
                done.append(check)
                if not json:
                    printer.show(check)
            printer.flush()
        await asyncio.gather(*tasks)
    finally:  # also when nobody reads what is printed
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if json:
        sys.stdout.buffer.write(msgspec.json.encode(done) + b"\n")
        sys.stdout.buffer.flush()
    failed = {check.step for check in done if check.ok is False}
    if failed & REACHING:
        return 3
    return 1 if failed else 0


async def _check(config: Config, name: str, queue: asyncio.Queue[Check | None]) -> None:
    try:
        async for check in run_doctor(config, [name]):
            queue.put_nowait(check)
    finally:
        queue.put_nowait(None)


def _place(see: str) -> str:
    """Where the section is on this machine: in a checkout `docs/`, else where it was installed."""
    page, _, anchor = see.partition("#")
    installed = Path(sys.prefix, "share", "doc", "berth", Path(page).name)
    return f"{installed}#{anchor}" if installed.is_file() else see


class _Printer:
    """Aligned lines on a terminal, tab-separated ones in a pipe."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._terminal = sys.stdout.isatty()
        self._colour = colour()
        self._skipped: list[str] = []

    def show(self, check: Check) -> None:
        """Host, step, verdict and message; on a terminal the way out stands below a failure."""
        host, step, message, hint = map(printable, (check.host, check.step, check.message, check.hint))
        word = _WORDS[check.ok]
        if not self._terminal:
            print("\t".join((host, step, word, message, hint, check.see)).rstrip(), flush=True)
            return
        if check.ok is None and check.message == _NOT_TRIED:
            self._skipped.append(step)
            return
        verdict = f"\x1b[{_COLOURS[check.ok]}m{word:<4}\x1b[0m" if self._colour else f"{word:<4}"
        print(f"{host:<{self._width}}  {step:<10}  {verdict}  {message}".rstrip(), flush=True)
        for line in (hint if check.ok is not True else "", f"More: {_place(check.see)}" if check.see else ""):
            if line:
                print(f"{'':<{self._width + 20}}{line}", flush=True)

    def flush(self) -> None:
        """The end of a host: what was not tried there, in one line."""
        if self._skipped:
            print(f"{'':<{self._width + 20}}Not tried: {', '.join(self._skipped)}.", flush=True)
            self._skipped.clear()
