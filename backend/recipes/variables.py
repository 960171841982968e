"""Variables in a Dockerfile's words, with the rules of BuildKit's front end.

`$name`, `${name}`, `${name:-word}`, `${name-word}`, `${name:+word}`, `${name+word}`, `${name:?word}`; single
quotes keep, double quotes expand, the escape character keeps the next one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9]")
_DEEP = 20


class Unset(ValueError):
    """A variable that has no value, where one is needed."""

    def __init__(self, name: str, why: str = "") -> None:
        super().__init__(why or f"{name} has no value")
        self.name = name


class BadVariable(ValueError):
    """`${` that nobody can read."""


def names(text: str) -> list[str]:
    """Names of the variables that are used, in order, without those of single-quoted text."""
    if "$" not in text:
        return []
    bare = re.sub(r"'[^']*'", "", text)
    return re.findall(r"(?<!\\)\$\{?([A-Za-z_][A-Za-z0-9_]*)", bare)


def plain_names(text: str) -> list[str]:
    """Those that are used without saying what stands for them where they have no value."""
    if "$" not in text:
        return []
    bare = re.sub(r"'[^']*'", "", text)
    found = re.findall(r"(?<!\\)\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})", bare)
    return [one or other for one, other in found]


def whole(text: str) -> str:
    """The variable that a word is made of alone: `$base`, `${base}`, `"${base:-x}"`; empty for others."""
    match = re.fullmatch(
        r"\"?\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)(?::?-[^{}$]*)?\})\"?", text
    )
    return (match[1] or match[2]) if match else ""


def expand(text: str, values: Mapping[str, str], escape: str = "\\") -> str:
    """The word with its variables filled in and its quotes gone; a variable without a value is empty.

    Raises `BadVariable`, and `Unset` for `${name:?why}`.
    """
    if "$" not in text and "'" not in text and '"' not in text and escape not in text:
        return text
    found, end = _until(text, 0, values, escape, stop="", depth=0)
    return found if end == len(text) else found + text[end:]


def _until(
    text: str, at: int, values: Mapping[str, str], escape: str, *, stop: str, depth: int
) -> tuple[str, int]:
    """Expand up to the character `stop`, or the end; what came out, and where it ended."""
    if depth > _DEEP:
        raise BadVariable("variables are nested too deeply")
    out: list[str] = []
    quote = ""
    while at < len(text):
        char = text[at]
        if char == stop and not quote:
            return "".join(out), at
        if char == escape and quote != "'":
            if at + 1 < len(text):
                keeps = quote == '"' and text[at + 1] not in ('"', "$", escape)
                out.append(char + text[at + 1] if keeps else text[at + 1])
            at += 2
            continue
        if char in "'\"" and quote in ("", char):
            quote = "" if quote else char
            at += 1
        elif char == "$" and quote != "'":
            value, at = _variable(text, at + 1, values, escape, depth)
            out.append(value)
        else:
            out.append(char)
            at += 1
    if stop:
        raise BadVariable("a } is missing")
    return "".join(out), at


def _variable(text: str, at: int, values: Mapping[str, str], escape: str, depth: int) -> tuple[str, int]:
    """What stands behind a `$`."""
    braces = text.startswith("{", at)
    match = _NAME.match(text, at + braces)
    if match is None:
        if braces:
            raise BadVariable("no name stands behind ${")
        return "$", at
    name, at = match[0], match.end()
    value = values.get(name)
    if not braces:
        return value or "", at
    colon = text.startswith(":", at)
    sign = text[at + colon : at + colon + 1]
    if sign == "}" and not colon:
        return value or "", at + 1
    if not sign or sign not in "-+?":
        raise BadVariable(f"${{{name}{text[at : at + 2]}...}} is not supported")
    word, at = _until(text, at + colon + 1, values, escape, stop="}", depth=depth + 1)
    there = bool(value) if colon else value is not None
    if sign == "?" and not there:
        raise Unset(name, f"{name}: {word or 'has no value'}")
    if sign == "+":
        return word if there else "", at + 1
    return (value or "") if there or sign == "?" else word, at + 1
