"""A job's output on standard output: `berth job logs`, and the foreground of `berth run`."""

from __future__ import annotations

import json as json_
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from backend.logs.writing import Writer
from backend.queues.choose import queue_of
from backend.text import printable

if TYPE_CHECKING:
    from backend.access import StandaloneAccess
    from backend.model import JobRow

_LINE = 65536
"""Bytes of a line without an end that are kept together."""


class Lines:
    """Pieces of bytes -> lines of text, each once, when it is complete."""

    def __init__(self, take: Callable[[str], None]) -> None:
        self._take = take
        self._rest = b""
        self.count = 0

    def feed(self, piece: bytes) -> None:
        """More of the output."""
        *whole, self._rest = (self._rest + piece).split(b"\n")
        for line in whole:
            self._line(line)
        if len(self._rest) > _LINE:
            self.end()

    def end(self) -> None:
        """What is left is a line too."""
        if self._rest:
            self._line(self._rest)
            self._rest = b""

    def _line(self, line: bytes) -> None:
        self.count += 1
        # of a progress bar that was written over and over, the last state is what a line is
        self._take(line.rstrip(b"\r").rpartition(b"\r")[2].decode(errors="replace"))


async def logs(
    access: StandaloneAccess,
    rows: Sequence[JobRow],
    *,
    follow: bool = False,
    tail: int = 0,
    json: bool = False,
) -> int:
    """Write the output of a job to standard output, byte for byte, or as one JSON object per line."""
    (job,) = rows
    writer = Writer(sys.stdout.fileno())
    form = Lines(lambda line: pending.append(_as_json(job, line)))
    pending: list[bytes] = []
    async with queue_of(access.config, access, job.host) as queue:
        async for piece in queue.follow(job.id, to_the_end=follow, tail=tail):
            if isinstance(piece, str):
                print(f"berth: {printable(piece)}", file=sys.stderr, flush=True)
            elif isinstance(piece, bytes):
                if json:
                    form.feed(piece)
                    piece = b"".join(pending)
                    pending.clear()
                await writer.write(piece)
    form.end()
    await writer.write(b"".join(pending))
    await writer.flush()
    return 0


def _as_json(job: JobRow, line: str) -> bytes:
    found = {"host": job.host, "job": job.id, "text": printable(line, _LINE)}
    return json_.dumps(found, ensure_ascii=False).encode() + b"\n"
