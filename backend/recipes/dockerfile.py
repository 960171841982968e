"""A Dockerfile as instructions, each word with its place: `text -> Dockerfile`, pure.

Made for this job. The libraries that Python has were looked at first: dockerfile-parse knows neither
here-documents nor columns, and takes what is not a Dockerfile without a word; the binding of BuildKit's own
parser (asottile's `dockerfile`) is archived and has to be compiled. What stands here follows BuildKit's front
end: directives, escape character, continued lines with comments and empty lines between them, flags,
here-documents of RUN, COPY and ADD.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from difflib import get_close_matches

from msgspec import Struct

LIMIT = 1 << 20
"""Characters of a file; more is no Dockerfile."""
INSTRUCTIONS = frozenset(
    (
        *("ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL"),
        *("MAINTAINER", "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"),
    )
)
_SIMPLE = INSTRUCTIONS - {"FROM", "ARG"}
_PLACED = frozenset({"FROM", "ARG ", "ARG\t"})
_DIRECTIVE = re.compile(r"#[ \t]*([A-Za-z][A-Za-z0-9]*)[ \t]*=[ \t]*(.+?)[ \t]*\Z")
_DIRECTIVES = ("syntax", "escape", "check")
_NAME = re.compile(r"\S+")
_LINE_END = re.compile("\n")
_FLAG = re.compile(r"\s*--(\S*)")
_HEREDOC = re.compile(r"\d*<<(-?)([^<]+)")
_STAGE = re.compile(r"[a-z][a-z0-9_.-]*")
_BLANK = " \t\r\v\f"


class DockerfileError(ValueError):
    """Not a Dockerfile: where, why, and what to do."""

    def __init__(self, text: str, *, line: int, column: int = 0, hint: str = "") -> None:
        super().__init__(f"{line}:{column}: {text}")
        self.text, self.line, self.column, self.hint = text, line, column, hint


class Word(Struct, frozen=True, gc=False):
    """Part of an instruction, at its place in the file."""

    text: str
    line: int
    """From 1."""
    column: int
    """From 1."""
    start: int
    """Offset of its first character in the file."""
    end: int
    """Offset behind its last one."""

    @property
    def whole(self) -> bool:
        """Whether it stands in the file as it is, not cut by a continued line."""
        return self.end - self.start == len(self.text)


class Instruction(Struct, frozen=True):
    """One instruction, its lines joined."""

    name: str
    """Upper case."""
    text: str
    """What stands behind the name, continued lines joined."""
    line: int
    column: int
    flags: tuple[Word, ...] = ()
    """`--from=builder`, without the two dashes: `from=builder`."""
    words: tuple[Word, ...] = ()
    """Of FROM and ARG."""
    heredocs: int = 0
    """How many here-documents follow it."""


class Dockerfile(Struct, frozen=True):
    """A whole file."""

    text: str
    instructions: tuple[Instruction, ...]
    escape: str = "\\"
    syntax: str = ""


def parse(text: str) -> Dockerfile:
    """Raises `DockerfileError` for the first thing that no builder would take."""
    if len(text) > LIMIT:
        raise DockerfileError(f"larger than {LIMIT} characters, this is no Dockerfile.", line=1)
    if "\0" in text:
        raise DockerfileError(
            "holds NUL characters, this is no text.", line=text.count("\n", 0, text.index("\0")) + 1
        )
    return _Parser(text).parse()


def split_words(text: str, escape: str) -> Iterator[tuple[int, int]]:
    """Start and end of the words of a line; quotes and escaped spaces keep one together."""
    if "'" not in text and '"' not in text and escape not in text:
        yield from (match.span() for match in _NAME.finditer(text))
        return
    at, length = 0, len(text)
    while at < length:
        if text[at].isspace():
            at += 1
            continue
        start, quote = at, ""
        while at < length and (quote or not text[at].isspace()):
            char = text[at]
            if char == escape and quote != "'":
                at += 1
            elif quote:
                quote = "" if char == quote else quote
            elif char in "'\"":
                quote = char
            at += 1
        yield start, min(at, length)


class _Parser:
    """Lines to instructions."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.skip = 1 if text.startswith("\ufeff") else 0
        self.lines = text[self.skip :].split("\n")
        self.starts = [self.skip, *(match.end() for match in _LINE_END.finditer(text))]
        """Offset of each line."""
        self.escape = "\\"
        self.syntax = ""
        self.pieces: list[tuple[int, int]] = []
        """Of the instruction that is read: offset in the joined text, offset in the file."""

    def parse(self) -> Dockerfile:
        """All of it."""
        number = self.directives()
        found: list[Instruction] = []
        while number < len(self.lines):
            line = self.lines[number]
            bare = line.strip(_BLANK)
            if not bare or bare[0] == "#":
                number += 1
                continue
            if bare[:4].upper() not in _PLACED and (plain := self.plain(number, line, bare, found)):
                number = plain
                continue
            number = self.instruction(number, found)
        self.check(found)
        return Dockerfile(self.text, tuple(found), self.escape, self.syntax)

    def plain(self, number: int, line: str, bare: str, found: list[Instruction]) -> int:
        """Read an instruction in which no word's place matters, as most are; 0 where one may, and nothing is.

        Number of the line behind it.
        """
        escape, lines = self.escape, self.lines
        first, text = number, bare
        number += 1
        if bare[-1] == escape and bare[-2:-1] != escape:
            parts = [bare[:-1]]
            while number < len(lines):
                ended = lines[number].rstrip(_BLANK)
                number += 1
                if not ended or ended.lstrip(_BLANK)[0] == "#":
                    continue
                if ended[-1] != escape or ended[-2:-1] == escape:
                    parts.append(ended)
                    break
                parts.append(ended[:-1])
            text = "".join(parts).rstrip()
        name, _, rest = text.partition(" ")
        rest = rest.lstrip()
        if name not in _SIMPLE or not rest or rest.startswith("--") or "<<" in rest:
            return 0
        if not bare.startswith(name):  # cut by a line end
            return 0
        found.append(Instruction(name, rest, first + 1, line.index(name) + 1))
        return number

    def directives(self) -> int:
        """Number of the first line that is none."""
        seen: set[str] = set()
        for number, line in enumerate(self.lines):
            match = _DIRECTIVE.match(line.strip(_BLANK))
            if match is None or (key := match[1].lower()) not in _DIRECTIVES:
                return number
            if key in seen:
                raise DockerfileError(
                    f"the directive {key} stands here for the second time.", line=number + 1, column=1
                )
            seen.add(key)
            if key == "escape":
                if match[2] not in ("\\", "`"):
                    raise DockerfileError(
                        f"{match[2]!r:.40} cannot be the escape character.",
                        line=number + 1,
                        column=line.find(match[2]) + 1,
                        hint="It is \\ or `.",
                    )
                self.escape = match[2]
            elif key == "syntax":
                self.syntax = match[2]
        return len(self.lines)

    def instruction(self, number: int, found: list[Instruction]) -> int:
        """Read the instruction that begins in this line; number of the line behind it."""
        first, escape = number, self.escape
        joined: list[str] = []
        self.pieces = []
        length = 0
        while number < len(self.lines):
            line = self.lines[number]
            bare = line.strip(_BLANK)
            number += 1
            if joined and (not bare or bare.startswith("#")):
                continue
            start = 0 if joined else len(line) - len(line.lstrip(_BLANK))
            content = line[start:] if start else line
            ended = content.rstrip(_BLANK)
            goes_on = ended[-1:] == escape and ended[-2:-1] != escape
            content = ended[:-1] if goes_on else content.rstrip("\r")
            self.pieces.append((length, self.starts[number - 1] + start))
            joined.append(content)
            length += len(content)
            if not goes_on:
                break
        text = "".join(joined)
        match = _NAME.match(text)
        if match is None:  # nothing but an escape character
            return number
        name = match[0].upper()
        if name not in INSTRUCTIONS:
            raise self.unknown(match[0], first)
        rest = text[match.end() :]
        if not rest.strip():
            raise self.fail(f"{name} has no arguments.", first, 0)
        made, number = self.made(name, rest.rstrip(), match.end(), first, number)
        found.append(made)
        return number

    def made(self, name: str, rest: str, at: int, first: int, number: int) -> tuple[Instruction, int]:
        """The instruction, and the number of the line behind it. `at`: where `rest` begins."""
        flags: list[Word] = []
        begin = 0
        if "--" in rest and name in ("FROM", "COPY", "ADD", "RUN", "HEALTHCHECK"):
            while match := _FLAG.match(rest, begin):
                begin = match.end()
                flags.append(self.word(rest, match.start(1), begin, at))
        words: tuple[Word, ...] = ()
        if name in ("FROM", "ARG"):
            words = tuple(
                self.word(rest, begin + start, begin + end, at)
                for start, end in split_words(rest[begin:], self.escape)
            )
        ends = self.heredocs(rest) if "<<" in rest and name in ("RUN", "COPY", "ADD", "ONBUILD") else []
        for end, chomp in ends:
            number = self.behind(number, end, chomp, first)
        column = self.pieces[0][1] - self.starts[first] + 1
        return Instruction(name, rest.strip(), first + 1, column, tuple(flags), words, len(ends)), number

    def heredocs(self, rest: str) -> list[tuple[str, bool]]:
        """What ends each, and whether leading tabs do not count."""
        if rest.lstrip().upper().startswith(("RUN", "COPY", "ADD")):  # behind ONBUILD
            rest = rest.lstrip().partition(" ")[2]
        found = []
        for start, end in split_words(rest, self.escape):
            match = _HEREDOC.fullmatch(rest[start:end])
            if match and (name := re.sub(r"""(["'])(.*?)\1""", r"\2", match[2])):
                found.append((name, bool(match[1])))
        return found

    def behind(self, number: int, end: str, chomp: bool, first: int) -> int:
        """Number of the line behind a here-document."""
        for at in range(number, len(self.lines)):
            line = self.lines[at].rstrip("\r")
            if (line.lstrip("\t") if chomp else line) == end:
                return at + 1
        raise self.fail(
            f"the here-document {end!r:.60} does not end.", first, 0, hint=f"A line {end:.60} is missing."
        )

    def check(self, found: list[Instruction]) -> None:
        """What is wrong with the whole."""
        started = False
        for each in found:
            if each.name == "FROM":
                started = True
                self.check_from(each)
            elif not started and each.name != "ARG":
                raise DockerfileError(
                    f"{each.name} stands before the first FROM.",
                    line=each.line,
                    column=each.column,
                    hint="A Dockerfile begins with FROM; only ARG may stand before it.",
                )
        if not started:
            raise DockerfileError("there is no FROM.", line=1, hint="Its first line says: FROM ubuntu:22.04")

    def check_from(self, each: Instruction) -> None:
        words = each.words
        if not words:
            raise DockerfileError("FROM names no image.", line=each.line, column=each.column)
        if len(words) not in (1, 3) or (len(words) == 3 and words[1].text.upper() != "AS"):
            odd = words[1] if len(words) < 3 or words[1].text.upper() != "AS" else words[-1]
            raise DockerfileError(
                f"FROM takes one image, and a name behind AS; {odd.text!r:.60} is neither.",
                line=odd.line,
                column=odd.column,
                hint="Write: FROM image AS name",
            )
        if len(words) == 3 and not _STAGE.fullmatch(words[2].text.lower()):
            raise DockerfileError(
                f"{words[2].text!r:.60} cannot be the name of a stage.",
                line=words[2].line,
                column=words[2].column,
                hint="Letters, digits, _ . and - are, a letter first.",
            )

    def unknown(self, word: str, first: int) -> DockerfileError:
        name = word.upper()
        if name.startswith("FROM="):
            hint = f"Write a space instead of =: FROM {word[5:]:.60}"
        else:
            near = get_close_matches(name, INSTRUCTIONS, n=1)
            hint = f"Did you mean {near[0]}?" if near else "Does the line above end in a continuation?"
        return self.fail(f"{word!r:.60} is no instruction.", first, 0, hint=hint)

    def word(self, rest: str, start: int, end: int, at: int) -> Word:
        """A part of `rest`, which begins at `at` of the joined text."""
        line, column = self.place(at + start)
        last = self.offset(at + end - 1) + 1 if end > start else self.offset(at + start)
        return Word(rest[start:end], line, column, self.offset(at + start), last)

    def offset(self, joined: int) -> int:
        """Place in the file of a place in the joined text."""
        begin, start = self.pieces[bisect_right(self.pieces, joined, key=lambda piece: piece[0]) - 1]
        return start + joined - begin

    def place(self, joined: int) -> tuple[int, int]:
        """Line and column, from 1."""
        offset = self.offset(joined)
        number = bisect_right(self.starts, offset)
        return number, offset - self.starts[number - 1] + 1

    def fail(self, text: str, number: int, joined: int, *, hint: str = "") -> DockerfileError:
        column = self.place(joined)[1] if self.pieces else 0
        return DockerfileError(text, line=number + 1, column=column, hint=hint)
