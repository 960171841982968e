"""`berth each`: lines as they come, or folded once all have ended; then who ended how; then one exit code."""

from __future__ import annotations

import asyncio
import json as json_
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from backend.activity import OUTPUT_LINES, ActivityLog, ActivityRow
from backend.everywhere.run import CANCELLED, Everywhere, HostRun, worst
from backend.everywhere.text import Page, plain_line, summary
from backend.everywhere.wish import Wish, choose
from backend.text import printable

if TYPE_CHECKING:
    from backend.access import StandaloneAccess

_LIVE_KEEP = 0
"""Characters that are kept of what was printed as it came."""


async def run(
    access: StandaloneAccess,
    rows: Sequence[object],
    *,
    json: bool,
    command: Sequence[str] = (),
    host: Sequence[str] = (),
    tag: Sequence[str] = (),
    only: str = "",
    local: bool = False,
    parallel: int = 0,
    timeout: float | None = None,
    show: str | None = None,
) -> int:
    """Run a command on all hosts that are meant; the exit code of all together."""
    _ = rows
    chosen, left_out = choose(access.config, hosts=host, tags=tag, only=only)
    wish = Wish(
        command=tuple(command),
        hosts=chosen,
        local=local,
        parallel=parallel,
        timeout=timeout,
        left_out=left_out,
    )
    folded = show == "folded" or (show is None and sys.stdout.isatty())
    return await follow(access, wish, json=json, folded=folded)


async def follow(access: StandaloneAccess, wish: Wish, *, json: bool, folded: bool) -> int:
    """Run a wish in a shell. A cancel ends it everywhere and shows what has come until then."""
    front: _Front = _AsData() if json else _Folded() if folded else _Live(wish)
    if wish.left_out and not json:
        _err(f"berth: left out, as they are read-only: {', '.join(wish.left_out)}")
    everywhere = Everywhere(access.config, access, wish, heard=front.heard, keep=front.keep)
    front.runs = everywhere.runs
    started_at = datetime.now(UTC)
    try:
        code = await everywhere.run()
    except asyncio.CancelledError:
        record(wish, everywhere.runs, started_at)
        await front.close()
        raise
    record(wish, everywhere.runs, started_at)
    await front.close()
    return code


def record(wish: Wish, runs: Sequence[HostRun], started_at: datetime) -> None:
    """Put it into the activity log, as everything that is done is there."""
    code = worst(runs)
    lines = [f"{run.host}: {line}" for run in runs for line in run.output.lines]
    ActivityLog().append(
        ActivityRow(
            id=f"{started_at:%Y%m%dT%H%M%S%f}-{os.getpid()}-each",
            action="each",
            title="everywhere",
            target="fleet",
            host=None,
            state="cancelled" if code == CANCELLED else "failed" if code else "done",
            started_at=started_at,
            ended_at=datetime.now(UTC),
            message=f"{wish.shown}: {', '.join(f'{run.host} {run.verdict}' for run in runs[:20])}",
            output=tuple(lines[-OUTPUT_LINES:]),
            options={"host": list(wish.hosts), "local": wish.local},
            notes={"command": wish.shown},
        )
    )


class _Front:
    """What is shown, and when."""

    keep = 1024 * 1024
    runs: Sequence[HostRun] = ()

    async def heard(self, run: HostRun, lines: list[str]) -> None:
        """Lines have come, or something else has changed."""

    async def close(self) -> None:
        """All have ended."""


class _AsData(_Front):
    """One JSON array at the end."""

    async def close(self) -> None:
        found = json_.dumps([as_json(run) for run in self.runs], ensure_ascii=False)
        sys.stdout.flush()
        sys.stdout.buffer.write(found.encode("utf-8", "replace") + b"\n")
        sys.stdout.buffer.flush()


class _Folded(_Front):
    """Blocks at the end; how far it is, in one line of a terminal until then."""

    def __init__(self) -> None:
        self._line = sys.stderr.isatty()

    async def heard(self, run: HostRun, lines: list[str]) -> None:
        if not self._line or lines:
            return
        waited = [each.host for each in self.runs if not each.over]
        done = len(self.runs) - len(waited)
        text = f"{done} of {len(self.runs)} done" + (f", waiting for {', '.join(waited[:5])}" * bool(waited))
        width = max(1, shutil.get_terminal_size().columns - 1)
        print(f"\r\x1b[K{printable(text)[:width]}", end="", file=sys.stderr, flush=True)

    async def close(self) -> None:
        if self._line:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
        colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
        for line in Page(self.runs, width=width, colour=colour).lines():
            print(line)
        sys.stdout.flush()
        for line in summary(self.runs):
            _err(line)


class _Live(_Front):
    """Each line as it comes, behind the name of its host."""

    keep = _LIVE_KEEP

    def __init__(self, wish: Wish) -> None:
        from backend.logs.writing import Writer

        self._terminal = sys.stdout.isatty()
        self._wide = max((len(host) for host in wish.hosts), default=0) if self._terminal else 0
        sys.stdout.flush()
        self._writer = Writer(sys.stdout.fileno())

    async def heard(self, run: HostRun, lines: list[str]) -> None:
        front = f"{printable(run.host)}:".ljust(self._wide + 1) + " "
        text = "".join(f"{front}{plain_line(line, terminal=self._terminal)}\n" for line in lines)
        if text:
            await self._writer.write(text.encode("utf-8", "replace"))

    async def close(self) -> None:
        await self._writer.flush()
        for line in summary(self.runs):
            _err(line)


def as_json(run: HostRun) -> Mapping[str, Any]:
    """What is known of one host."""
    return {
        "host": run.host,
        "state": run.state,
        "exit_code": run.code,
        "seconds": None if run.took is None else round(run.took, 3),
        "output": list(run.output.lines),
        "dropped_lines": run.output.dropped,
        "error": run.error or None,
        "hint": run.hint or None,
    }


def _err(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
