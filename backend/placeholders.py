"""Placeholders of a command: `{host}` and the like.

In a command of several words each placeholder is put into its word: nothing reads it but the program. In a
line for a shell it becomes a variable, so that no value can ever be read as a part of the line:

    echo {host}         becomes  echo "$BERTH_HOST"
    echo "at {host} !"  becomes  echo "at ""$BERTH_HOST"" !"

`{{host}}` is a plain `{host}`; what is not the name of a placeholder stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from backend.errors import UsageError

if TYPE_CHECKING:
    from backend.config import HostConfig

HOST = ("host", "address", "user", "port")
"""What is known of every host."""
_PLACE = re.compile(r"\{\{([a-z][a-z0-9_]*)\}\}|\{([a-z][a-z0-9_]*)\}")
_UNSENDABLE = re.compile("[\0\n\r]")


def variable(name: str) -> str:
    """The variable that holds a placeholder's value where a command runs."""
    return f"BERTH_{name.upper()}"


def used(texts: Iterable[str], names: Collection[str]) -> set[str]:
    """Those of `names` that stand in one of the texts."""
    return {match[2] for text in texts for match in _PLACE.finditer(text) if match[2] in names}


def words(argv: Sequence[str], values: Mapping[str, str]) -> list[str]:
    """Each word with its placeholders filled in."""

    def put(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name not in values:
            return match[0]
        return f"{{{name}}}" if match[1] else values[name]

    return [_PLACE.sub(put, word) for word in argv]


def line(text: str, names: Collection[str]) -> str:
    """A line for a shell, its placeholders as variables. Raises `UsageError` inside of single quotes."""
    out: list[str] = []
    quote, at = "", 0
    while at < len(text):
        match = _PLACE.match(text, at)
        if match is not None and (match[1] or match[2]) in names:
            out.append(f"{{{match[1]}}}" if match[1] else _variable(text, match, quote))
            at = match.end()
            continue
        char = text[at]
        if char == "\\" and quote != "'":
            out.append(text[at : at + 2])
            at += 2
            continue
        if char in "'\"" and quote in ("", char):
            quote = "" if quote else char
        out.append(char)
        at += 1
    return "".join(out)


def _variable(text: str, match: re.Match[str], quote: str) -> str:
    if quote == "'":
        raise UsageError(
            f"{match[0]} stands inside single quotes, where a shell replaces nothing.",
            hint="Use double quotes, or none: a placeholder is always one word.",
        )
    name = f'"${variable(match[2])}"'
    return f'"{name}"' if quote else name


def environment(values: Mapping[str, str]) -> bytes:
    """The lines that tell a host the variables. Raises `UsageError` for a value of several lines."""
    for name, value in values.items():
        if _UNSENDABLE.search(value):
            raise UsageError(f"{name}: a value of several lines cannot be used in a command.")
    lines = "".join(f"{variable(name)}={value}\n" for name, value in values.items())
    return lines.encode("utf-8", "surrogateescape") + b"\n"


async def of_host(host: HostConfig, wanted: Collection[str]) -> dict[str, str]:
    """The values of `HOST` that are wanted, after ~/.ssh/config; `host` always. Raises `HostError`."""
    known = {"host": host.name}
    if not set(wanted) & {"address", "user", "port"}:
        return known
    if host.local:
        import getpass

        return known | {"address": "localhost", "user": getpass.getuser(), "port": "22"}
    from backend.link.target import resolve
    from backend.link.threads import in_thread

    target = await in_thread(resolve, host)
    return known | {"address": target.host, "user": target.username, "port": str(target.port)}
