"""Help for a terminal: of berth, of a verb. It is as wide as the terminal, and plain text in a pipe."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence

from backend.manual import Chapter, Entry, Page

_WIDEST = 100
"""Lines longer than this are hard to read."""
_NARROWEST = 30
_ROOM = 30
"""Cells that the meaning of an example needs, to stand beside it."""
_LEFT = 26
"""Cells for names; one that is longer has a line of its own."""


def width() -> int:
    """Cells of a line of help."""
    return max(_NARROWEST, min(_WIDEST, shutil.get_terminal_size().columns))


def verb(page: Page, examples: Sequence[tuple[str, str]], cells: int) -> str:
    """The help of one verb."""
    parts = [f"usage: {page.usage}", *_paragraphs(page.about, cells)]
    if page.verbs:
        parts.append(_section("Verbs", _rows([Entry(*each) for each in page.verbs], cells)))
    if page.arguments:
        parts.append(_section("Arguments", _rows(page.arguments, cells)))
    if page.options:
        parts.append(_section("Options", _rows(page.options, cells)))
    if examples:
        parts.append(_section("Examples", commands(examples, cells)))
    also = "Everywhere: --config DIR, --read-only, --help."
    more = f"More: {page.usage.split(' VERB')[0].split(' [VERB]')[0]} VERB --help." if page.verbs else ""
    parts.append("\n".join(_wrap(f"{more} {also}".strip(), cells)))
    return "\n\n".join(parts) + "\n"


def root(
    page: Page, found: Sequence[Chapter], examples: Sequence[tuple[str, str]], end: str, cells: int
) -> str:
    """The help of berth itself: all verbs by what people do."""
    wide = max((len(name) for chapter in found for name, _ in chapter.verbs), default=0)
    parts = [f"usage: {page.usage}", *_paragraphs(page.about, cells)]
    for chapter in found:
        entries = [Entry(*each) for each in chapter.verbs]
        parts.append(_section(chapter.title, _rows(entries, cells, wide)))
    options = [Entry("--config DIR", "folder of the configuration")]
    options += [Entry("--read-only", "offer nothing that changes anything"), *page.options]
    parts.append(_section("Options", _rows([*options, Entry("-h, --help", "show this help")], cells)))
    parts.append(_section("Examples", commands(examples, cells)))
    parts += _paragraphs(end, cells)
    return "\n\n".join(parts) + "\n"


def commands(examples: Sequence[tuple[str, str]], cells: int) -> Iterator[str]:
    """Commands with what they are for: beside them where there is room, else below."""
    wide = max(len(command) for command, _ in examples) + 2
    beside = cells - wide - 2 >= _ROOM
    for command, what in examples:
        lines = _wrap(what, cells - (wide + 2 if beside else 6))
        if beside:
            yield f"  {command:<{wide}}{lines.pop(0)}"
        else:
            yield f"  {command}"  # never wrapped: it is there to be copied
        yield from (f"{'':<{wide + 2 if beside else 6}}{line}" for line in lines)


def _section(title: str, lines: Iterator[str]) -> str:
    return "\n".join([_bold(f"{title}:"), *lines])


def _bold(text: str) -> str:
    from backend.listoutput import colour

    return f"\x1b[1m{text}\x1b[0m" if sys.stdout is not None and sys.stdout.isatty() and colour() else text


def _rows(entries: Sequence[Entry], cells: int, wide: int = 0) -> Iterator[str]:
    """Names and what they mean in two columns."""
    wide = wide or min(_LEFT, max(len(entry.names) for entry in entries))
    wide = min(wide, cells // 2)
    for names, about in entries:
        lines = _wrap(about, cells - wide - 4) or [""]
        if len(names) > wide:
            yield f"  {names}"
        else:
            yield f"  {names:<{wide}}  {lines.pop(0)}".rstrip()
        yield from (f"{'':<{wide + 4}}{line}" for line in lines)


def _paragraphs(text: str, cells: int) -> Iterator[str]:
    for paragraph in text.split("\n\n"):
        lines = paragraph.split("\n")
        if any(line.startswith(" ") for line in lines):
            yield paragraph.rstrip()
        elif paragraph.strip():
            yield "\n".join(_wrap(" ".join(lines), cells))


def _wrap(text: str, cells: int) -> list[str]:
    return textwrap.wrap(text, max(10, cells), break_long_words=False, break_on_hyphens=False)
