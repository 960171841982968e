"""What is right: an owner, a group, and changes of modes as `chmod` writes them."""

from __future__ import annotations

import os
import re
import stat

_CLAUSE = re.compile(r"([ugoa]+)([+-])([rwxXs]+)")
_BITS = {"u": {"r": 0o400, "w": 0o200, "x": 0o100}, "g": {"r": 0o040, "w": 0o020, "x": 0o010}}
_BITS["o"] = {"r": 0o004, "w": 0o002, "x": 0o001}
PRIVATE = (b".ssh", b".gnupg", b"secret")
"""Folders in which no mode is changed: who may read there is not ours to widen."""


class Right:
    """How things should be: numbers of owner and group (-1: as they are), and changes of modes."""

    def __init__(self, uid: int, gid: int, clauses: list[list[str]]) -> None:
        self.uid, self.gid, self.clauses = uid, gid, clauses


def parsed(text: str) -> list[list[str]]:
    """`u+rwX,g+rwX,o-w` as `[who, sign, what]`. Raises `ValueError`."""
    found = []
    for part in filter(None, text.replace(" ", "").split(",")):
        match = _CLAUSE.fullmatch(part)
        if not match:
            raise ValueError(part)
        who, sign, what = match.groups()
        if "s" in what and set(who.replace("a", "ugo")) != {"g"}:
            raise ValueError(part)  # nothing is ever made to run as somebody else
        found.append([who.replace("a", "ugo"), sign, what])
    return found


def mode_of(mode: int, clauses: list[list[str]]) -> int:
    """The permission bits that something of this mode should have."""
    bits = stat.S_IMODE(mode)
    folder = stat.S_ISDIR(mode)
    runs = folder or bool(bits & 0o111)
    for who, sign, what in clauses:
        change = 0
        for each in who:
            for letter in what:
                if letter == "s":
                    change |= stat.S_ISGID if folder else 0
                elif letter != "X" or runs:
                    change |= _BITS[each][letter.lower()]
        bits = bits | change if sign == "+" else bits & ~change
    return bits


def wrong(status: os.stat_result, right: Right, clauses: list[list[str]]) -> tuple[int, int, int]:
    """What has to be set: owner, group, mode; -1 where it is right as it is."""
    mode = status.st_mode
    owner = right.uid if right.uid not in (-1, status.st_uid) else -1
    group = right.gid if right.gid not in (-1, status.st_gid) else -1
    bits = -1
    if clauses and (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        now, wanted = stat.S_IMODE(mode), mode_of(mode, clauses)
        bits = wanted if wanted != now else -1
    return owner, group, bits
