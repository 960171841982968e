"""The manual page berth(1), made from the command line itself. `berth man | man -l -` shows it."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from backend.examples import EXAMPLES, GENERAL
from backend.manual import Chapter, Page, chapters, pages

if TYPE_CHECKING:
    from backend.parsing import Parser

_FILES = (
    ("hosts.yaml", "which hosts there are, and how to reach them"),
    ("contexts/NAME.yaml", "one context each: a host, an image, a container, and how to run it"),
    ("settings.yaml", "how the dashboard looks and behaves"),
    ("sync.yaml", "what goes from here to hosts and back"),
)
_VARIABLES = (
    ("BERTH_CONFIG_DIR", "folder of the configuration, as --config"),
    ("BERTH_STATE_DIR", "folder of the state: activity, history, what was seen last"),
    ("BERTH_CACHE_DIR", "folder of what can be made again"),
    ("NO_COLOR", "no colours in lists"),
)
_CODES = (
    ("0", "done"),
    ("1", "failed"),
    ("2", "wrong usage, or a mistake in the configuration"),
    ("3", "a host cannot be reached"),
    ("4", "no such target"),
    ("5", "refused: read-only, or not confirmed"),
    ("130", "cancelled"),
)


def roff(parser: argparse.ArgumentParser) -> str:
    """The page as man(7) wants it; the same for the same berth, wherever it is made."""
    return "\n".join(_lines(parser)) + "\n"


def _lines(parser: argparse.ArgumentParser) -> Iterator[str]:
    every = list(pages(parser))
    first, verbs = every[0], every[1:]
    yield '.TH BERTH 1 "" berth'
    yield ".SH NAME"
    yield "berth \\- hosts, GPUs and containers of many servers on one screen"
    yield ".SH SYNOPSIS"
    yield ".B berth"
    yield _text("[VERB] [options]")
    yield ".SH DESCRIPTION"
    yield from _paragraphs(first.about)
    yield ".SH OPTIONS"
    yield from _entries([("--config DIR", "folder of the configuration")])
    yield from _entries([("--read-only", "offer nothing that changes anything")])
    yield from _entries(first.options)
    for chapter in chapters(_groups(parser)):
        yield from _chapter(chapter, verbs)
    yield ".SH FILES"
    yield _text("In the folder that `berth --help` names:")
    yield from _entries(_FILES)
    yield ".SH ENVIRONMENT"
    yield from _entries(_VARIABLES)
    yield ".SH EXIT STATUS"
    yield from _entries(_CODES)
    yield ".SH EXAMPLES"
    yield from _examples(GENERAL, first=True)


def _groups(parser: argparse.ArgumentParser) -> list[tuple[str, str, str]]:
    found: Parser = parser  # type: ignore[assignment]
    return found.groups


def _chapter(chapter: Chapter, verbs: Sequence[Page]) -> Iterator[str]:
    yield f".SH {_word(chapter.title.upper())}"
    names = [name for name, _ in chapter.verbs]
    for page in sorted(verbs, key=lambda each: names.index(each.words[0]) if each.words[0] in names else -1):
        if page.words[0] in names:
            yield from _verb(page)


def _verb(page: Page) -> Iterator[str]:
    yield f".SS {_word(page.usage)}"
    yield from _paragraphs(page.about)
    if page.verbs:
        yield _text(f"Verbs: {', '.join(name for name, _ in page.verbs)}.")
    yield from _entries(page.arguments)
    yield from _entries(page.options)
    yield from _examples(EXAMPLES.get(" ".join(page.words), ()))


def _entries(entries: Sequence[tuple[str, str]]) -> Iterator[str]:
    for names, about in entries:
        yield ".TP"
        yield f".B {_word(names)}"
        yield _text(about or "-")


def _examples(examples: Sequence[tuple[str, str]], *, first: bool = False) -> Iterator[str]:
    """`first`: nothing stands before them in the section."""
    for place, (command, what) in enumerate(examples):
        if place or not first:
            yield ".PP"
        yield f"{_text(what[:1].upper() + what[1:])}:"
        yield ".PP"
        yield ".nf"
        yield f"    {_escaped(command)}"
        yield ".fi"


def _paragraphs(text: str) -> Iterator[str]:
    for place, paragraph in enumerate(part for part in text.split("\n\n") if part.strip()):
        if place:
            yield ".PP"
        lines = paragraph.split("\n")
        if any(line.startswith(" ") for line in lines):
            yield from (".nf", *(f"\\&{_escaped(line)}" for line in lines), ".fi")
        else:
            yield _text(" ".join(lines))


def _word(text: str) -> str:
    """As the one argument of a macro."""
    return '"' + _escaped(text).replace('"', "\\(dq") + '"'


def _text(text: str) -> str:
    """As lines of their own: a dot or a quote at the beginning of one is no request."""
    lines = textwrap.wrap(_escaped(text), 78, break_long_words=False, break_on_hyphens=False)
    return "\n".join(f"\\&{line}" if line[:1] in (".", "'") else line for line in lines)


def _escaped(text: str) -> str:
    plain = text.replace("\\", "\\e").replace("-", "\\-").replace("`", "\\(ga").replace("'", "\\(aq")
    return "".join(each if each.isascii() else f"\\[u{ord(each):04X}]" for each in plain)
