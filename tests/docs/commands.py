"""`berth ...` as pages write it, held against the real command line without doing anything."""

from __future__ import annotations

import argparse
import contextlib
import functools
import io
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from backend.actions import load
from backend.arguments import is_fixed, parser, words
from backend.cli import spelled
from backend.verbs import split

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```|((?:^    .*\n?)+)", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`(?:sudo )?berth ([^`\n]+(?:\n[^`\n]+)?)`")
_SYNOPSIS = re.compile(r"\[[A-Z-]|\.\.\.|[a-z]\|[a-z]| KIND\b")
_OWN = "do"
"""What people declare in settings.yaml comes below this verb: here are none."""


class NotBerth(Exception):
    """The real command line refuses it."""


@functools.cache
def the_parser(separated: bool, actions: bool) -> argparse.ArgumentParser:
    return parser(separated=separated, actions=actions)


def check(line: str) -> None:
    """Parse a whole command line that begins with `berth`. Raises `NotBerth`."""
    if _SYNOPSIS.search(line):
        return mention(line.removeprefix("berth").strip())
    argv = _words(line)[1:]
    if not words(argv) or words(argv)[0] == _OWN:
        return
    if words(argv)[0] == "help":
        return path_of(words(argv)[1:])
    if {"-h", "--help"} & set(argv):
        return path_of([each for each in words(argv) if not each.startswith("-")])
    said = io.StringIO()
    fixed = is_fixed(argv)
    try:
        rest = None
        if not fixed:
            argv, rest = split(argv := spelled(argv), words(argv), load())
        with contextlib.redirect_stderr(said):
            the_parser(rest is not None, not fixed).parse_args(argv)
    except SystemExit:
        raise NotBerth(said.getvalue().strip()) from None


def _words(line: str) -> list[str]:
    """The words of a command line up to a pipe or another operator of the shell."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    found: list[str] = []
    for word in lexer:
        if word and set(word) <= set("|&;<>"):
            break
        found.append(word)
    return found


def path_of(path: list[str]) -> None:
    """Whether words name a verb."""
    found: argparse.ArgumentParser | None = the_parser(False, True)
    for word in path:
        below = verbs_of(found) if found is not None else {}
        found = below.get(word)
        if found is None:
            raise NotBerth(f"{' '.join(path)!r} is no verb")


def verbs_of(of: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The verbs below one."""
    nested = [each for each in of._actions if isinstance(each, argparse._SubParsersAction)]
    return dict(nested[0].choices) if nested else {}


def mention(text: str) -> None:
    """Check what is named in a sentence: `context new|edit|rm`, `images build --base`. Raises `NotBerth`."""
    given = text.replace("\\|", "|").replace("\n", " ").split(" -- ")[0].removeprefix("--config DIR").strip()
    ways = [the_parser(False, True)]
    listed = given.partition(" | ")[0].split()
    if listed[:1] == [_OWN]:
        return
    for word in spelled(listed) if "=" in given else listed:
        if word.startswith("-"):
            _option(ways, word)
            continue
        names = re.split(r"[|,/]", word.strip("[]()"))
        below = [verbs_of(way) for way in ways]
        if not any(below) or any(not re.fullmatch(r"[a-z][a-z-]*", name) for name in names):
            if ways == [the_parser(False, True)]:
                raise NotBerth(f"{word!r} is no verb")
            continue
        if ways == [the_parser(False, True)] or any(name in each for each in below for name in names):
            unknown = [name for name in names if not any(name in each for each in below)]
            if unknown:
                raise NotBerth(f"{unknown[0]!r} is no verb in {given!r}")
            ways = [each[name] for each in below for name in names if name in each]


def _option(ways: list[argparse.ArgumentParser], word: str) -> None:
    for name in re.split(r"[|,/]", word.strip("[].,;:")):
        flag = name.partition("=")[0]
        if flag.startswith("-") and not any(flag in way._option_string_actions for way in ways):
            raise NotBerth(f"{flag} is no option of {' or '.join(way.prog for way in ways)}")


def blocks(page: str) -> Iterator[str]:
    """Command lines of a page's blocks of code, those that go on behind a backslash in one."""
    for match in _BLOCK.finditer(page):
        text = match[2] if match[2] is not None and match[1] in ("", "sh", "bash") else match[3] or ""
        for line in text.replace("\\\n", " ").splitlines():
            if line.strip().startswith("berth ") or line.strip() == "berth":
                yield from _commands(line.strip())


def _commands(line: str) -> Iterator[str]:
    """Of `berth a && berth b`, and of what a comment by two spaces or `#` follows."""
    bare = re.split(r"\s{2,}|\s#\s", line)[0]
    yield from (part.strip() for part in re.split(r"\s&&\s", bare) if part.strip().startswith("berth"))


def inline(page: str) -> Iterator[str]:
    """What stands behind `berth` in a page's sentences and tables."""
    without = _BLOCK.sub("", page)
    yield from (match[1] for match in _INLINE.finditer(without))
