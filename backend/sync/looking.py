"""How both sides of a profile's trees are; what a host says of it is checked before it is believed."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from backend.errors import ActionFailed
from backend.sync.host.walk import encoded
from backend.sync.model import Pair
from backend.sync.pairs import request
from backend.sync.plan import Seen
from backend.sync.side import Side
from backend.text import printable

_BAD_PATH = re.compile(rb"(?:^|/)(?:\.{0,2})(?:/|$)")
_TOKEN = re.compile(rb"[fx][0-9]{1,19} -?[0-9]{1,20}|d|o|l.+", re.S)

Paths = Mapping[int, Sequence[bytes]]
"""Of which paths it is asked, by the tree's number; of none: not at all."""


async def look(
    side: Side, which: str, pairs: Sequence[Pair], verb: str, paths: Paths | None = None
) -> tuple[list[Seen], float]:
    """One side (`here` or `there`) of each tree, and what time it is there."""
    payload: list[bytes] = []
    trees = []
    for number, pair in enumerate(pairs):
        asked = request(pair, which, verb)
        if paths is not None:
            asked["from"] = len(payload)
            payload += paths.get(number, ())
            asked["to"] = len(payload)
        trees.append(asked)
    answer, parts = await side.ask("look", payload, trees=trees)
    found: list[Seen] = []
    at = 0
    for pair, told in zip(pairs, answer["trees"], strict=True):
        size = 2 * int(told["entries"])
        entries = dict(zip(parts[at : at + size : 2], parts[at + 1 : at + size : 2], strict=True))
        at += size
        if which == "there":
            _check(side.name, entries)
        seen = _seen(side.name, pair, entries, told)
        seen.partial = paths is not None
        found.append(seen)
    return found, float(answer["time"])


def _seen(name: str, pair: Pair, entries: dict[bytes, bytes], told: Mapping[str, Any]) -> Seen:
    problems = [(encoded(str(path)), str(why)) for path, why in told["problems"]]
    return Seen(
        entries=entries,
        blind=[path for path, _ in problems],
        root=str(told["root"]),
        there=bool(told["there"]),
        mount=str(told["mount"]),
        special=int(told["special"]),
        problems=[f"{name}: {_named(pair, path)}: {printable(why, 200)}" for path, why in problems],
    )


def _named(pair: Pair, path: bytes) -> str:
    return printable(os.path.join(pair.there, os.fsdecode(path)), 200)


def _check(name: str, entries: Mapping[bytes, bytes]) -> None:
    """Raise `ActionFailed` for names that lead elsewhere: what a host says must not choose what we write."""
    for path, token in entries.items():
        if _BAD_PATH.search(path) or not _TOKEN.fullmatch(token):
            raise ActionFailed(f"{name} names a file that cannot be: {printable(repr(path), 200)}.")
    for parent in {path.rpartition(b"/")[0] for path in entries}:
        while parent:
            if entries.get(parent, b"d") != b"d":
                raise ActionFailed(f"{name} names files in a file: {printable(repr(parent), 200)}.")
            parent = parent.rpartition(b"/")[0]
