"""Values of a configuration file: where each stands, and the readers that check it.

A reader takes a `Value` and returns what the file meant, or raises a `ConfigError` that names file, line and
key, what is wrong and what is allowed. A file's keys are a table of key to reader (see hosts.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct

from backend.config.paths import absolute
from backend.config.tree import MAX_DEPTH, MAX_NODES, Node, read_tree
from backend.errors import ConfigError

T = TypeVar("T")

_TRUE = frozenset({"true", "yes", "on"})
_FALSE = frozenset({"false", "no", "off"})
_SIZE = r"([0-9]+(?:\.[0-9]+)?)\s*([kmgt]?)(?:i?b)?"


class Source(Struct):
    """A file while it is read."""

    path: Path
    budget: int = MAX_NODES
    """How many more values may be looked at: aliases can make a small file mean a huge one."""


class Value(Struct, frozen=True):
    """One value, with the place it stands at."""

    source: Source
    key: str
    """The path of keys to it, `hosts.mi300.sshport`; empty for the whole file."""
    node: Node

    def fail(self, message: str, hint: str = "", line: int | None = None) -> ConfigError:
        """The error to raise about this value."""
        key = f"{self.key}: " if self.key else ""
        return ConfigError(f"{self.source.path}:{line or self.node.line}: {key}{message}", hint=hint)

    @property
    def text(self) -> str:
        """The scalar as it is written."""
        if self.node.text is None:
            raise self.fail(f"expected one value, found {self.node.kind}.")
        if self.node.null:
            raise self.fail("a value is missing.")
        return self.node.text

    def _below(self, name: str, node: Node) -> Value:
        self.source.budget -= 1
        if self.source.budget < 0:
            raise self.fail(f"more than {MAX_NODES} values, this is no configuration.")
        return Value(self.source, f"{self.key}.{name}" if self.key else name, node)

    def items(self) -> list[Value]:
        """The entries of a list."""
        if self.node.items is None:
            raise self.fail(f"expected a list, found {self.node.kind}.")
        return [self._below(str(number), node) for number, node in enumerate(self.node.items, 1)]

    def mapping(self, depth: int = 0) -> dict[str, Value]:
        """The entries of a mapping, those merged in with `<<` last; a key that stands twice is an error."""
        if depth > MAX_DEPTH:
            raise self.fail("`<<` is nested too deeply, this is no configuration.")
        if self.node.pairs is None:
            raise self.fail(f"expected `key: value` lines, found {self.node.kind}.")
        own: dict[str, Value] = {}
        merged: dict[str, Value] = {}
        lines: dict[str, int] = {}
        for key, node in self.node.pairs:
            if key.text is None:
                raise self.fail(f"a key has to be text, found {key.kind}.", line=key.line)
            name = key.text
            value = self._below(shorten(name), node)
            if name in lines:
                raise value.fail(
                    f"stands here for the second time, first in line {lines[name]}.", line=key.line
                )
            lines[name] = key.line
            if name == "<<":
                for part in [value] if node.items is None else value.items():
                    for inner, item in part.mapping(depth + 1).items():
                        merged.setdefault(inner, item)
            else:
                own[name] = value
        return own | {name: value for name, value in merged.items() if name not in own}

    def fields(self, readers: Mapping[str, Callable[[Value], Any]]) -> dict[str, Any]:
        """Read a mapping whose keys are known; a key without a value counts as not written."""
        out: dict[str, Any] = {}
        for key, value in self.mapping().items():
            reader = readers.get(key)
            if reader is None:
                known = ", ".join(readers)
                raise value.fail("unknown key.", hint=f"{did_you_mean(key, readers)}Known keys: {known}.")
            if not value.node.null:
                out[key] = reader(value)
        return out


def open_file(path: Path) -> Value | None:
    """The whole of a file as one value; None when it is missing or empty."""
    root = read_tree(path)
    return None if root is None else Value(Source(path), "", root)


def shorten(text: str, limit: int = 60) -> str:
    """Text from a file, short enough for a message."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def quoted(text: str) -> str:
    """The same, in quotes and with control characters escaped."""
    return repr(shorten(text))


def did_you_mean(word: str, known: Collection[str]) -> str:
    """`Did you mean 'host'? `, or nothing when no known word is near."""
    import difflib

    near = difflib.get_close_matches(word.lower(), known, n=1)
    return f"Did you mean {near[0]!r}? " if near else ""


# ------------------------------------------------------------------------------------------- readers


def word(value: Value) -> str:
    """Text without spaces and control characters that cannot be taken for an option."""
    text = value.text
    if not text:
        raise value.fail("is empty.")
    if text.startswith("-"):
        raise value.fail(f"{quoted(text)} must not start with `-`.")
    if not text.isprintable() or " " in text:
        raise value.fail(f"{quoted(text)} holds spaces or control characters.")
    return text


def line(value: Value) -> str:
    """One line of text, spaces allowed."""
    text = value.text
    if not text.strip():
        raise value.fail("is empty.")
    if not text.isprintable():
        raise value.fail(f"{quoted(text)} holds line breaks or control characters.")
    return text


def prose(value: Value) -> str:
    """Free text: line breaks become spaces, and it may be empty."""
    text = " ".join(value.text.split())
    if any(ord(char) < 32 or 0x7F <= ord(char) < 0xA0 for char in text):
        raise value.fail(f"{quoted(text)} holds control characters.")
    return text


def content(value: Value) -> str:
    """Any text, line breaks included."""
    text = value.text
    if "\0" in text:
        raise value.fail("holds a NUL character.")
    return text


def name(value: Value) -> str:
    """A name of berth's own: what a nick and a context may be called."""
    if problem := name_problem(value.text):
        raise value.fail(f"{quoted(value.text)} {problem}")
    return value.text


def name_problem(text: str) -> str:
    """Why `text` cannot be a name, or nothing."""
    if not text:
        return "is empty: a name is needed."
    if text.startswith("-"):
        return "starts with `-`, which would be taken for an option."
    if "/" in text or text in (".", ".."):
        return "holds a `/` or is a folder's name."
    if not text.isprintable() or any(char.isspace() for char in text):
        return "holds spaces or control characters."
    return "is longer than 100 characters." if len(text) > 100 else ""


def flag(value: Value) -> bool:
    """true or false, also in the other spellings of YAML."""
    text = value.text.lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise value.fail(f"{quoted(value.text)} is neither true nor false.")


def port(value: Value) -> int:
    """A TCP port."""
    text = value.text
    if not re.fullmatch("[0-9]{1,5}", text, re.ASCII) or not 1 <= int(text) <= 65535:
        raise value.fail(f"{quoted(text)} is not a port.", hint="Ports are 1-65535.")
    return int(text)


def choice(*allowed: str) -> Callable[[Value], str]:
    """Reader of one word among `allowed`."""

    def read(value: Value) -> str:
        text = value.text
        if text not in allowed:
            hint = f"{did_you_mean(text, allowed)}Allowed: {', '.join(allowed)}."
            raise value.fail(f"{quoted(text)} is not known.", hint=hint)
        return text

    return read


def number(low: float, high: float) -> Callable[[Value], float]:
    """Reader of a number within bounds."""

    def read(value: Value) -> float:
        text = value.text
        if not re.fullmatch(r"[+-]?([0-9]{1,15}(\.[0-9]{0,15})?|\.[0-9]{1,15})", text, re.ASCII):
            raise value.fail(f"{quoted(text)} is not a number.", hint=f"Allowed: {low:g} to {high:g}.")
        if not low <= float(text) <= high:
            raise value.fail(f"{text} is out of range.", hint=f"Allowed: {low:g} to {high:g}.")
        return float(text)

    return read


def size(value: Value) -> int:
    """Bytes, as Docker writes them: `64g`, `512m`, `1.5 GiB`, or a plain number; always binary units."""
    match = re.fullmatch(_SIZE, value.text.lower(), re.ASCII)
    amount = float(match[1]) * 1024 ** " kmgt".index(match[2] or " ") if match else 0
    if not 1 <= amount < 2**63:
        raise value.fail(f"{quoted(value.text)} is not a size.", hint="Write bytes, or 512m, 64g, 1.5t.")
    return int(amount)


def local_path(value: Value) -> Path:
    """A path of this machine: `~` is the home, and a relative one starts at the file's own folder."""
    return absolute(Path(line(value)), value.source.path.parent)


def list_of(reader: Callable[[Value], T]) -> Callable[[Value], tuple[T, ...]]:
    """Reader of a list; one entry may be written without its brackets."""

    def read(value: Value) -> tuple[T, ...]:
        if value.node.text is not None:
            return (reader(value),)
        return tuple(reader(item) for item in value.items())

    return read


def mapping_of(reader: Callable[[Value], T]) -> Callable[[Value], dict[str, T]]:
    """Reader of a mapping whose keys are names."""

    def read(value: Value) -> dict[str, T]:
        out: dict[str, T] = {}
        for key, item in value.mapping().items():
            if not key or not key.isprintable() or " " in key or "=" in key:
                raise item.fail(f"{quoted(key)} cannot be a name here.")
            out[key] = reader(item)
        return out

    return read
