"""What a list writes: rows to standard output, complaints to standard error, once or when they changed."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from backend.text import printable

if TYPE_CHECKING:
    from backend.tables import Col


class Output:
    """Writes rows to standard output and complaints to standard error, the same ones never twice in a row."""

    def __init__(self, columns: Callable[[], Sequence[Col]], empty: str, *, json: bool, watch: bool) -> None:
        """`empty`: what a person is told who sees no rows. `watch`: it goes on."""
        self._columns = columns
        self._empty = empty
        self._as_json = json
        self._watch = watch
        self._encoder = msgspec.json.Encoder()
        self._terminal = sys.stdout.isatty()
        self._frames = self._terminal and watch and not json
        self._last: bytes | None = None
        self._said: list[str] = []

    def write(self, rows: list[Any], complaints: list[str]) -> None:
        """One output, if it differs from the last one."""
        data = self._json(rows) if self._as_json else self._text(rows)
        if self._frames:
            data = self._frame(data, complaints)
        elif complaints != self._said:
            for line in complaints:
                if line not in self._said:
                    say(line)
            self._said = complaints
        if data == self._last:
            return
        self._last = data
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        if not rows and self._terminal and not self._as_json and not self._frames:
            say(self._empty)

    def _json(self, rows: list[Any]) -> bytes:
        data = self._encoder.encode(rows)
        if self._terminal and not self._watch:
            data = msgspec.json.format(data, indent=2)
        return data + b"\n"

    def _text(self, rows: list[Any]) -> bytes:
        from backend.tables import lines, table

        columns = self._columns()
        if not self._terminal:
            return lines(rows, columns).encode(errors="replace")
        if not rows:
            return b""
        width = shutil.get_terminal_size().columns
        return table(rows, columns, width, colour=colour()).encode(errors="replace")

    def _frame(self, data: bytes, complaints: list[str]) -> bytes:
        """The whole screen: as much of the table as it takes, and below it what is wrong."""
        from rich.cells import cell_len, set_cell_size

        size = shutil.get_terminal_size()
        body = data.decode().splitlines() or [self._empty]
        notes = [printable(line) for line in complaints]
        notes = [set_cell_size(note, min(size.columns, cell_len(note))) for note in notes]
        room = max(1, size.lines - 1 - len(notes))
        if len(body) > room:
            body = [*body[: room - 1], f"… {len(body) - room + 1} more"]
        return ("\x1b[2J\x1b[H" + "\n".join([*body, *notes]) + "\n").encode(errors="replace")


def colour() -> bool:
    """Whether standard output may be coloured (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def say(message: str) -> None:
    """One line to the person: standard error."""
    print(f"berth: {printable(message.strip())}", file=sys.stderr, flush=True)
