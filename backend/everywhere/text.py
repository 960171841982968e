"""Outputs of many hosts as text: folded blocks, and who ended how. The same for a terminal and for a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from backend.everywhere.fold import Block, blocks, several
from backend.everywhere.run import HostRun
from backend.text import printable

_LINE = 100_000
"""Characters of one line that are shown."""
_BOLD, _DIFFERENT, _BAD, _PLAIN = "\x1b[1m", "\x1b[33m", "\x1b[31m", "\x1b[0m"


def took(seconds: float | None) -> str:
    """How long something took: short times matter here."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} m {rest} s" if minutes else f"{rest} s"


def plain_line(line: str, *, terminal: bool) -> str:
    """A line of output: harmless on a terminal, as it is (but for NUL) elsewhere."""
    return printable(line, _LINE) if terminal else line.replace("\0", "")


def heading(block: Block) -> str:
    """Who, how it ended, and how long it took: the longest of them."""
    seconds = [run.seconds for run in block.runs if run.seconds is not None]
    words = [several([printable(host, 60) for host in block.hosts])]
    if len(block.runs) > 1:
        words[0] += f" ({len(block.runs)})"
    words.append(block.first.verdict)
    if seconds:
        words.append(took(max(seconds)))
    return " · ".join(words)


class Page:
    """All blocks under their headings. `width` 0: no terminal, nothing is cleaned or cut."""

    def __init__(self, runs: Sequence[HostRun], *, width: int = 0, colour: bool = False) -> None:
        self._blocks = blocks(runs)
        self._width, self._colour = width, colour

    def lines(self) -> Iterator[str]:
        """The lines, without their ends."""
        for number, block in enumerate(self._blocks):
            if number:
                yield ""
            yield self._heading(block)
            if block.first.error:
                yield self._styled(printable(f"{block.first.error} {block.first.hint}".strip()), _BAD)
            if block.dropped:
                yield f"({block.dropped:,} earlier lines are not kept)"
            marked = any(each.differs or each.lacks for each in self._blocks)
            for at, line in enumerate(block.lines):
                yield self._line(line, differs=at in block.differs, marked=marked)
            if block.lacks:
                yield self._styled(f"~ ({block.lacks:,} lines of the others are not here)", _DIFFERENT)

    def _heading(self, block: Block) -> str:
        text = f"── {heading(block)} "
        if self._width:
            text = text[: self._width].ljust(min(self._width, 100), "─")
        return self._styled(text.rstrip(), _BOLD if block.first.ok or not block.first.over else _BAD)

    def _line(self, line: str, *, differs: bool, marked: bool) -> str:
        text = plain_line(line, terminal=self._width > 0)
        if differs:
            return self._styled(f"~ {text}", _DIFFERENT)
        return f"  {text}" if marked else text

    def _styled(self, text: str, style: str) -> str:
        return f"{style}{text}{_PLAIN}" if self._colour else text


def summary(runs: Sequence[HostRun]) -> list[str]:
    """Who ended how: one line where all went well, else a table with a line per host."""
    if all(run.ok for run in runs):
        longest = max((run.took or 0.0 for run in runs), default=0.0)
        hosts = "1 host" if len(runs) == 1 else f"{len(runs)} hosts"
        return [f"berth: {hosts}, exit code 0, {took(longest)}"]
    wide = max(4, *(len(run.host) for run in runs))
    found = [f"{'HOST':<{wide}}  {'EXIT':<11}  TIME"]
    for run in runs:
        how = str(run.code) if run.state == "done" else run.verdict
        said = printable(f"{run.error} {run.hint}".strip(), 300)
        found.append(f"{printable(run.host, 100):<{wide}}  {how:<11}  {took(run.took):<8}  {said}".rstrip())
    return found
