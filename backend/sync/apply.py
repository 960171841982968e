"""One way of a sync: lock, write down what comes, carry, delete what was shown, write down how it is."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from msgspec import Struct

from backend.errors import ActionFailed, BerthError
from backend.sync.ahead import Ahead, whole_tree
from backend.sync.host.walk import decoded, encoded
from backend.sync.model import Change, Way, alike, size_of
from backend.sync.plan import Planner
from backend.sync.transfer import Load, carry, carry_as_tar, shown

if TYPE_CHECKING:
    from backend.sync.engine import Done, HostSync

_MISSING = "Install it there: sudo apt install rsync, or dnf install rsync. Slower, without it: --tar"


class Item(Struct, gc=False):
    """One change, and where it goes."""

    change: Change
    base: str
    """Folder of the receiving side that the load's paths are below."""
    below: bytes
    target: bytes
    size: int = 0
    """Bytes that go over."""


@dataclass
class Bundle:
    """A load and what it is made of."""

    load: Load
    items: list[Item] = field(default_factory=list)


class Applier:
    """Carries out the changes of one way."""

    def __init__(self, sync: HostSync, way: Way, done: Done, progress: Callable[[int], None]) -> None:
        self.sync, self.way, self.done, self.progress = sync, way, done, progress
        self.receiver = sync.receiver(way)
        self.bases: list[str] = []
        self.targets: list[str] = []
        self.private: list[dict[str, object]] = []
        self.made: list[str] = []
        """Folders that have to be there before rsync comes, beside the bases."""
        self.begun = 0
        """How many items the receiving side was told of."""
        self.moved = 0

    async def run(self, changes: Sequence[Change]) -> None:
        """All of it. What did not go over is in `done.failed`; raises where it broke off."""
        from backend.sync.engine import new_run, owner

        sync, receiver = self.sync, self.receiver
        ahead = self._ahead_whole(changes)
        try:
            await asyncio.sleep(0)  # that it does start
            bundles, gone = self._sorted(changes)
            if bundles and not sync.rsync and not sync.wish.tar:
                raise ActionFailed(f"{sync.host} has no rsync.", hint=_MISSING)
            replaced = sum(size_of(token) for each in changes if (token := self._target_token(each)))
            profile = sync.wish.profile
            keep = profile.keep_days > 0 and replaced <= profile.keep_size
            if replaced and not keep:
                self.done.notes.append("what was replaced is too large to be kept: this cannot be undone")
            self.targets = targets = sorted({seen[0 if self.way == "pull" else 1].root for seen in sync.seen})
            ahead = ahead or self._ahead(bundles, gone)
            await receiver.ask("lock", targets=targets, owner=owner(profile.name))
            run = self.done.run or new_run()
            folder = await self._begin(run, bundles, targets, keep)
            for bundle in bundles:
                bundle.load.kept = f"{folder}/{self.bases.index(bundle.load.target)}" if keep else ""
            await self._carry(bundles, gone, run, keep, ahead)
        finally:
            if ahead is not None:
                await ahead.close()
            with suppress(BerthError, OSError):
                await receiver.ask("unlock")

    def _ahead_whole(self, changes: Sequence[Change]) -> Ahead | None:
        """A tree that goes over as it is: its rsync needs no list, and is started before there is one."""
        load = whole_tree(self.sync, changes) if self.way == "push" else None
        if load is None:
            return None
        self.made.append(load.there)
        after = asyncio.Event()
        return Ahead(load.count, after, asyncio.create_task(self._bring(load, after)))

    def _ahead(self, bundles: list[Bundle], gone: list[Item]) -> Ahead | None:
        """The only load of a first sync: its rsync is started here while the host writes down what comes."""
        if self.way == "pull" or len(bundles) != 1 or gone:
            return None
        bundle = bundles[0]
        if not bundle.items or any(self._target_token(item.change) for item in bundle.items):
            return None
        after = asyncio.Event()
        return Ahead(len(bundle.items), after, asyncio.create_task(self._load(bundle, after)))

    async def _carry(
        self, bundles: list[Bundle], gone: list[Item], run: str, keep: bool, ahead: Ahead | None
    ) -> None:
        try:
            for bundle in bundles:
                if ahead is not None and len(bundle.items) == ahead.count:
                    ahead.after.set()
                    await ahead.loading
                elif bundle.items:
                    if ahead is not None:  # some of it is there by now
                        await ahead.close()
                    await self._load(bundle)
            if gone and not self.done.failed:
                await self._remove(gone, keep)
        except ActionFailed:
            with suppress(BerthError, OSError):
                await self._finish(bundles, run, whole=False)
            raise
        await self._finish(bundles, run, whole=True)

    # -------------------------------------------------------------------------------------- parts

    def _sorted(self, changes: Sequence[Change]) -> tuple[list[Bundle], list[Item]]:
        """Changes by what goes together, and those that go away."""
        from backend.sync.engine import common

        sync = self.sync
        planners = {
            number: Planner(number, pair, sync.seen[number], {}, sync.wish.options)
            for number, pair in enumerate(sync.wish.pairs)
        }
        roots = [self._root(*common(mine.root, theirs.root)) for mine, theirs in sync.seen]
        bundles: dict[tuple[object, ...], Bundle] = {}
        plain: dict[tuple[int, int], Bundle] = {}
        gone: list[Item] = []
        for change in changes:
            here, there, target, prefix, top = roots[change.pair]
            below = prefix + change.path
            item = Item(change, target, below, top + below, change.size)
            if change.kind == "deleted":
                gone.append(item)
                self._base(target)
                continue
            part = planners[change.pair].part(change.path, change.folder)
            known = plain.get((change.pair, id(part)))
            if known is not None:
                known.items.append(item)
                continue
            rule = part.rule if part is not None else sync.wish.pairs[change.pair].parts[0].rule
            mode = 0o700 if rule.secret else rule.mode
            if mode is not None and part is not None:
                item = self._own_base(item, part.prefix)
                here, there = (
                    os.path.join(seen.root, decoded(part.prefix)).rstrip("/")
                    for seen in sync.seen[change.pair]
                )
                target = item.base
                if not item.below:
                    self._private(rule.secret, target)
                    continue
            key = (here, there, mode, rule.links == "follow")
            bundle = bundles.get(key)
            if bundle is None:
                load = Load(self.way, here, there, sync.wish.profile.compress, rule.links, mode)
                bundle = bundles[key] = Bundle(load)
                self._base(target)
            self._private(rule.secret, target)
            bundle.items.append(item)
            if mode is None:  # then nothing but the part decides where it goes
                plain[change.pair, id(part)] = bundle
        return list(bundles.values()), gone

    def _root(self, here: str, there: str, prefix: str) -> tuple[str, str, str, bytes, bytes]:
        """Both folders, the one that is written to, and what leads to a path, below them and on the whole."""
        target = there if self.way == "push" else here
        return here, there, target, encoded(f"{prefix}/" if prefix else ""), _full(target, b"")

    def _own_base(self, item: Item, prefix: bytes) -> Item:
        """Below the rule's own folder: what lies above it keeps its permissions."""
        seen = self.sync.seen[item.change.pair]
        target = os.path.join(seen[1 if self.way == "push" else 0].root, decoded(prefix)).rstrip("/")
        below = item.change.path[len(prefix) :].lstrip(b"/")
        return Item(item.change, target, below, _full(target, below), item.size)

    def _private(self, secret: bool, folder: str) -> None:
        entry: dict[str, object] = {"folder": folder, "mode": 0o700}
        if secret and entry not in self.private:
            self.private.append(entry)

    def _base(self, folder: str) -> None:
        if folder not in self.bases:
            self.bases.append(folder)

    def _target_token(self, change: Change) -> bytes:
        return change.there if self.way == "push" else change.here

    def _source_token(self, change: Change) -> bytes:
        return change.here if self.way == "push" else change.there

    async def _begin(self, run: str, bundles: list[Bundle], targets: list[str], keep: bool) -> str:
        payload: list[bytes] = []
        for bundle in bundles:
            for item in bundle.items:
                payload += [item.target, self._target_token(item.change)]
        self.begun = len(payload) // 2
        size = sum(each.size for bundle in bundles for each in bundle.items)
        answer, moved = await self.receiver.ask(
            "begin",
            payload,
            run=run,
            profile=self.sync.wish.profile.name,
            by=_who(),
            at=self.done.started_at.isoformat(),
            targets=targets,
            bases=self.bases,
            folders=[*self.bases, *self.made],
            private=self.private,
            keep=keep,
            size=size,
        )
        if moved:
            left = set(moved)
            for bundle in bundles:
                bundle.items = [item for item in bundle.items if item.target not in left]
            self.done.failed.append(f"{shown(moved)}: changed there since it was looked at; sync again")
        return str(answer["kept"])

    async def _load(self, bundle: Bundle, after: asyncio.Event | None = None) -> None:
        load = bundle.load
        load.paths = [item.below for item in bundle.items]
        load.fresh = not any(self._target_token(item.change) for item in bundle.items)
        sizes = [item.size for item in bundle.items]
        load.count, load.size, load.largest = len(sizes), sum(sizes), max(sizes, default=0)
        await self._bring(load, after)

    async def _bring(self, load: Load, after: asyncio.Event | None) -> None:
        link = await self.sync.access.link(self.sync.host)
        way = carry_as_tar if self.sync.wish.tar else carry
        moved = self.moved
        said = await way(link, load, lambda done: self.progress(moved + min(done, load.size)), after)
        self.moved += load.size
        self.progress(self.moved)
        self.done.notes += said[:20]

    async def _remove(self, gone: list[Item], keep: bool) -> None:
        for number, base in enumerate(self.bases):
            items = [item for item in gone if item.base == base]
            payload: list[bytes] = []
            for item in items:
                payload += [item.below, self._target_token(item.change)]
            if payload:
                answer, stay = await self.receiver.ask("remove", payload, base=base, number=number, keep=keep)
                stayed = set(stay)
                self.done.failed += [
                    f"{shown([path])}: {why}" for path, why in zip(stay, answer["stay"], strict=True)
                ]
                files = [item for item in items if not item.change.folder and item.below not in stayed]
                self.done.deleted += len(files)

    async def _finish(self, bundles: list[Bundle], run: str, *, whole: bool) -> None:
        """See what has arrived."""
        items = [item for bundle in bundles for item in bundle.items]
        begun = len(items) == self.begun  # the other side still knows them
        answer, tokens = await self.receiver.ask(
            "finish",
            [] if begun else [item.target for item in items],
            begun=begun,
            bases=self.bases,
            whole=whole,
            days=self.sync.wish.profile.keep_days,
            most=self.sync.wish.profile.keep_size,
        )
        if answer["kept"]:
            self.done.run, self.done.kept = run, self.done.kept + int(answer["kept"])
            self.done.kept_at[self.way] = self.targets[0]
        lost = []
        push, states, arrived = self.way == "push", self.done.states, []
        for item, token in zip(items, tokens, strict=True):
            change = item.change
            sent = change.here if push else change.there
            if sent == b"d":
                continue
            if token != sent and not _came(sent, token, self._target_token(change)):
                lost.append(item.below)
                continue
            states[change.pair, change.path] = (sent, token) if push else (token, sent)
            arrived.append(item)
        self.done.new += sum(item.change.kind == "new" for item in arrived)
        self.done.changed += sum(item.change.kind == "changed" for item in arrived)
        self.done.size += sum(item.size for item in arrived)
        if lost and whole:
            self.done.failed.append(f"did not go over: {shown(lost)}")


def _came(sent: bytes, token: bytes, before: bytes) -> bool:
    """Whether what is at the target now is what was sent, or at least not what was there before."""
    if not token:
        return False
    return (token[:1] in (b"f", b"x") and alike(b"f" + token[1:], b"f" + sent[1:])) or token != before


def _full(base: str, below: bytes) -> bytes:
    return os.path.join(encoded(base), below)


def _who() -> str:
    from backend.sync.engine import owner

    return owner("").partition(" (")[0]
