"""What has to be done so that both sides are as the rules say. Pure: from what was seen to changes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from backend.config import SyncRule
from backend.sync.host.patterns import Pattern
from backend.sync.host.walk import Tree, encoded
from backend.sync.model import Change, Kind, Pair, Part, Way, alike, size_of, time_of
from backend.sync.pairs import tree, ways
from backend.sync.record import States

SKEW = 2.0
"""Seconds by which clocks may differ before times of files stop telling which is newer."""
_HOLDS_FILES = (b"f", b"x")


@dataclass
class Seen:
    """One side of a tree."""

    entries: dict[bytes, bytes]
    blind: list[bytes] = field(default_factory=list)
    """What could not be read: what is below is unknown."""
    root: str = ""
    """The folder, links resolved."""
    there: bool = True
    """Whether the folder exists."""
    mount: str = ""
    special: int = 0
    partial: bool = False
    """Whether only some paths were looked at."""
    problems: list[str] = field(default_factory=list)


@dataclass
class Options:
    """How it is meant this time."""

    verb: str
    delete: bool | None = None
    """True: delete whatever the rules say; False: never; None: as they say."""
    on_conflict: str = "skip"
    skew: float = 0.0
    """Seconds that the host's clock is ahead."""
    choices: Mapping[tuple[int, bytes], str] = field(default_factory=dict)
    """What was chosen for single files: `mine`, `theirs`, `skip`."""


class Planner:
    """Finds the changes of one tree."""

    def __init__(
        self, number: int, pair: Pair, sides: tuple[Seen, Seen], states: States, options: Options
    ) -> None:
        self.number, self.pair, self.states, self.options = number, pair, states, options
        self.here, self.there = sides
        self.tree: Tree = tree(pair)
        parts = sorted(pair.parts, key=lambda part: -len(part.prefix))
        self._parts: dict[int, Part] = {
            id(rule): part for rule, part in zip(self.tree.rules, parts, strict=True)
        }
        self._keep = {id(part): [Pattern(encoded(text)) for text in part.rule.keep] for part in pair.parts}
        self._alike: dict[bytes, Part | None] = {}
        self._hollow: set[bytes] | None = None
        self._blocked: set[bytes] = set()
        """Folders on one side that are no folders on the other."""
        self.changes: list[Change] = []
        self.same = 0
        self.settled: States = {}
        """What is as it should be: what the record keeps."""

    def run(self) -> None:
        """Fill `changes`, `same` and `settled`."""
        here, there = self.here.entries, self.there.entries
        differ = []
        for path, token in here.items():
            other = there.get(path)
            if other is not None and (other == token or alike(token, other)):
                if token != b"d":
                    self.same += 1
                    self.settled[path] = (token, other)
            else:
                differ.append(path)
        differ += [path for path in there if path not in here]
        for path in sorted(differ):
            if self._blocked and any(path[:at] in self._blocked for at in _slashes(path)):
                continue
            token, other = here.get(path, b""), there.get(path, b"")
            if other or not self._plainly_new(path, token):
                self._decide(path, token, other)

    def _plainly_new(self, path: bytes, token: bytes) -> bool:
        """The short way of most files of a first push, to the same end: whether it was one of them."""
        if token[:1] not in _HOLDS_FILES or path in self.states:
            return False
        part = self._all_in(path.rpartition(b"/")[0])
        if part is None or part.rule.max_size is not None or ways(part.rule, self.options.verb) != ("push",):
            return False
        self.changes.append(Change("new", "push", self.number, path, token, b""))
        return True

    def part(self, path: bytes, folder: bool) -> Part | None:
        """The part of the tree that something belongs to."""
        if not folder and (known := self._all_in(path.rpartition(b"/")[0])) is not None:
            return known
        rule = self.tree.owner(path, folder)
        return None if rule is None else self._parts[id(rule)]

    def _all_in(self, folder: bytes) -> Part | None:
        """The part that every file in a folder belongs to, where a rule without filters is the nearest."""
        if folder not in self._alike:
            rules = self.tree.active(folder)
            takes_all = bool(rules) and not rules[0].filters
            self._alike[folder] = self._parts[id(rules[0])] if takes_all else None
        return self._alike[folder]

    # ----------------------------------------------------------------------------------- one path

    def _decide(self, path: bytes, here: bytes, there: bytes) -> None:
        if here and there and _sort(here) != _sort(there):
            folder = b"d" in (here, there)
            if folder:
                self._blocked.add(path)
            way = ways(self._rule(path, here), self.options.verb)[0]
            self._add("kind", way, path, here, there, f"{_called(here)} here, {_called(there)} there")
            return
        part = self.part(path, (here or there) == b"d")
        if part is None:
            return
        both = ways(part.rule, self.options.verb)
        known = self.states.get(path)
        if known is not None and known == (here, there):
            self.same += 1
            self.settled[path] = known
            return
        if len(both) == 2:
            self._both(part, path, here, there, known)
        elif both[0] == "push":
            self._one("push", part, path, (here, there), known)
        else:
            self._one("pull", part, path, (there, here), known and (known[1], known[0]))

    def _rule(self, path: bytes, token: bytes) -> SyncRule:
        part = self.part(path, token == b"d") or self.part(path, token != b"d") or self.pair.parts[0]
        return part.rule

    def _one(
        self,
        way: Way,
        part: Part,
        path: bytes,
        tokens: tuple[bytes, bytes],
        known: tuple[bytes, bytes] | None,
    ) -> None:
        """A rule that goes one way; `tokens` and `known` are source and target."""
        source, target = tokens
        if not source:
            self._gone(way, part, path, target, known)
        elif not target:
            self._send("new", way, part, path, tokens)
        elif source == b"d":
            return
        elif known is not None and known[1] == target:
            self._send("changed", way, part, path, tokens)
        elif known is not None and known[0] != source:
            self._clash(way, part, path, tokens, "changed on both sides")
        elif not part.rule.update:
            self._send("changed", way, part, path, tokens)
        elif known is not None:  # changed at the target alone
            self._left(
                "newer", way, path, tokens, "was changed there" if way == "push" else "was changed here"
            )
        elif self._unsure(tokens):
            self._clash(way, part, path, tokens, "the clocks differ too much to tell which is newer")
        elif source[:1] == b"l" or time_of(source) >= time_of(target):
            self._send("changed", way, part, path, tokens)
        else:
            self._left("newer", way, path, tokens)

    def _both(
        self, part: Part, path: bytes, here: bytes, there: bytes, known: tuple[bytes, bytes] | None
    ) -> None:
        """A rule that goes both ways: whichever side changed a file gives it."""
        if not there and known is not None and known[0] == here and self._deletes(part):
            self._gone("pull", part, path, here, (known[1], known[0]))
        elif not there:
            self._send("new", "push", part, path, (here, there))
        elif not here and known is not None and known[1] == there and self._deletes(part):
            self._gone("push", part, path, there, known)
        elif not here:
            self._send("new", "pull", part, path, (there, here))
        elif here == b"d":
            return
        elif known is not None and known[1] == there:
            self._send("changed", "push", part, path, (here, there))
        elif known is not None and known[0] == here:
            self._send("changed", "pull", part, path, (there, here))
        else:
            why = "changed on both sides" if known else "not the same, and never synced"
            self._clash("push", part, path, (here, there), why)

    def _unsure(self, tokens: tuple[bytes, bytes]) -> bool:
        if abs(self.options.skew) <= SKEW or time_of(tokens[1]) == 0:
            return False
        return abs(time_of(tokens[0]) - time_of(tokens[1])) <= (abs(self.options.skew) + SKEW) * 1e9

    # -------------------------------------------------------------------------------------- outcomes

    def _send(self, kind: Kind, way: Way, part: Part, path: bytes, tokens: tuple[bytes, bytes]) -> None:
        most = part.rule.max_size
        if most is not None and size_of(tokens[0]) > most:
            self._left("large", way, path, tokens)
        elif way == "pull" and tokens[0][:1] == b"l" and leads_out(path, tokens[0][1:]):
            self._left("link", way, path, tokens, "leads out of the folder")
        else:
            self._left(kind, way, path, tokens)

    def _clash(self, way: Way, part: Part, path: bytes, tokens: tuple[bytes, bytes], why: str) -> None:
        choice = self.options.choices.get((self.number, path), self.options.on_conflict)
        here, there = tokens if way == "push" else (tokens[1], tokens[0])
        if choice == "skip":
            self._add("conflict", way, path, here, there, why, choices=True)
            return
        kept: Way = "push" if choice == "mine" else "pull"
        if kept in ways(part.rule, self.options.verb):
            if not (here if kept == "push" else there):
                self._add("deleted", kept, path, here, there, why)
            else:
                self._add("changed", kept, path, here, there, why)
        elif here and there:  # the other way is not ours to go: both stay as they are, and that is settled
            self.same += 1
            self.settled[path] = (here, there)

    def _gone(
        self, way: Way, part: Part, path: bytes, target: bytes, known: tuple[bytes, bytes] | None
    ) -> None:
        """Not at the source any more, or never."""
        if not self._deletes(part) or self._kept(part, path, way):
            return
        if known is not None and known[1] != target and target != b"d":
            self._clash(way, part, path, (b"", target), "gone on one side, changed on the other")
            return
        self._left("deleted", way, path, (b"", target))

    def _deletes(self, part: Part) -> bool:
        return part.rule.delete if self.options.delete is None else self.options.delete

    def _kept(self, part: Part, path: bytes, way: Way) -> bool:
        """Whether a rule keeps it at the target, or it lies where the source could not be read."""
        source = self.here if way == "push" else self.there
        if any(path == blind or not blind or path.startswith(blind + b"/") for blind in source.blind):
            return True
        if not source.partial and part.prefix in self._empty(source):
            return True
        cut = len(part.prefix) + 1 if part.prefix else 0
        for end in [*(at for at in _slashes(path) if at > cut), len(path)]:
            each = path[:end]
            if each in source.entries:
                continue
            target = self.there if way == "push" else self.here
            folder = target.entries.get(each) == b"d"
            name = each.rpartition(b"/")[2]
            if any(pattern.matches(each[cut:], name, folder) for pattern in self._keep[id(part)]):
                return True
        return False

    def _empty(self, source: Seen) -> set[bytes]:
        """Where parts of the tree begin that hold nothing at the source: perhaps something is not mounted."""
        if self._hollow is None:
            self._hollow = {part.prefix for part in self.pair.parts if part.prefix}
            for path, token in source.entries.items():
                if token != b"d" and self._hollow:
                    for at in _slashes(path):
                        self._hollow.discard(path[:at])
        return self._hollow

    def _left(self, kind: Kind, way: Way, path: bytes, tokens: tuple[bytes, bytes], note: str = "") -> None:
        here, there = tokens if way == "push" else (tokens[1], tokens[0])
        self._add(kind, way, path, here, there, note)

    def _add(  # noqa: PLR0917  # the fields of a change, in their order
        self,
        kind: Kind,
        way: Way,
        path: bytes,
        here: bytes,
        there: bytes,
        note: str = "",
        *,
        choices: bool = False,
    ) -> None:
        if kind not in ("new", "changed", "deleted") and path in self.states:
            self.settled[path] = self.states[path]
        self.changes.append(Change(kind, way, self.number, path, here, there, note, choices))


def leads_out(path: bytes, target: bytes) -> bool:
    """Whether a link below a folder leads out of it."""
    if target.startswith(b"/"):
        return True
    return os.path.normpath(os.path.join(os.path.dirname(path), target)).startswith(b"..")


def refusal(pair: Pair, source: Seen, was: str, way: Way) -> str:
    """Why nothing may be deleted because of what the source lacks; empty: it may."""
    name = pair.here if way == "push" else pair.there
    where = "here" if way == "push" else "there"
    if not source.there:
        return f"{name} is not {where}: is it mounted?"
    if not source.partial and not any(
        token[:1] in (*_HOLDS_FILES, b"l") for token in source.entries.values()
    ):
        return f"{name} {where} is empty: is it mounted?"
    if was and source.mount != was:
        return f"{name} {where} was on the file system at {was} and is on {source.mount} now: is it mounted?"
    return ""


def _slashes(path: bytes) -> list[int]:
    return [at for at, char in enumerate(path) if char == 0x2F]


def _sort(token: bytes) -> bytes:
    return b"f" if token[:1] == b"x" else token[:1]


def _called(token: bytes) -> str:
    return {b"d": "a folder", b"l": "a link", b"o": "a special file"}.get(token[:1], "a file")
