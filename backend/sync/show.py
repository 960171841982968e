"""`berth push`, `pull`, `sync`, `pushdir`, `pulldir`: results to standard output, talk to standard error."""

from __future__ import annotations

import json as json_
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from backend.errors import UsageError
from backend.sync import words
from backend.sync.engine import Wish
from backend.sync.many import Many, told
from backend.sync.model import HostResult, Plan, Way
from backend.sync.plan import Options
from backend.sync.where import choose
from backend.text import printable, size

if TYPE_CHECKING:
    from backend.access import StandaloneAccess
    from backend.talk import Talk

NAMES = {"push": "push-files", "pull": "pull-files", "sync": "sync-files"}
"""Actions by their verbs."""
_SHOWN = 200
"""Deletions that a question names one by one; beyond, folders are counted."""


class Terminal:
    """A person at a terminal, or a script."""

    def __init__(self, wish: Wish, talk: Talk, *, list_all: bool = False) -> None:
        self.wish, self.talk, self.list_all = wish, talk, list_all
        self._done: dict[str, tuple[int, int]] = {}
        self._said = False

    def planned(self, host: str, plan: Plan) -> None:
        """A plan, where somebody may look."""
        self.clear()
        for each in plan.problems:
            say(f"{host}: {each}")
        if not self.list_all:
            for change in plan.of("conflict", "kind"):
                say(f"{host}: {words.line(change, self.wish.pairs)}")

    def progress(self, host: str, done: int, total: int) -> None:
        """One line that is written over."""
        self._done[host] = done, total
        if not sys.stderr.isatty():
            return
        parts = [
            f"{name} {size(here)} of {size(most)} ({here * 100 // most} %)" if most else name
            for name, (here, most) in self._done.items()
        ]
        print(f"\r\x1b[K{printable(' · '.join(parts), 160)}", end="", file=sys.stderr, flush=True)
        self._said = True

    def clear(self) -> None:
        """No progress on the line any more."""
        if self._said:
            self._said = False
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    async def agree(self, plans: Sequence[Plan]) -> bool:
        """Ask, with the list of what would go, and with what cannot be undone."""
        self.clear()
        for plan in plans:
            gone = [each for each in plan.of("deleted") if not each.folder]
            if plan.final:
                say(f"{plan.host}: {plan.final}")
            if plan.final and not gone:
                continue
            say(
                f"{plan.host}: {words.files(len(gone))} would be deleted ({size(sum(e.size for e in gone))}):"
            )
            for text in listed(gone, self.wish):
                say(f"  {text}")
        return await self.talk.confirm(words.question(plans))


def listed(gone: Sequence[Any], wish: Wish) -> list[str]:
    """Paths one by one; of very many the folders they are in, with how many each."""
    paths = [words.path_of(each, wish.pairs) for each in gone]
    if len(paths) <= _SHOWN:
        return [printable(path, 400) for path in paths]
    folders: dict[str, int] = {}
    for path in paths:
        folder = path.rpartition("/")[0]
        folders[folder] = folders.get(folder, 0) + 1
    shown = [f"{printable(folder, 400)}/ ({count:,} files)" for folder, count in folders.items()]
    more = len(shown) - _SHOWN
    return shown[:_SHOWN] + ([f"and {more:,} more folders; see them all with --dry-run"] if more > 0 else [])


async def run(
    access: StandaloneAccess,
    rows: Sequence[None],
    *,
    verb: str,
    profile: str | None = None,
    host: tuple[str, ...] = (),
    tag: tuple[str, ...] = (),
    context: str | None = None,
    dry_run: bool = False,
    delete: bool = False,
    watch: bool = False,
    tar: bool = False,
    on_conflict: str = "skip",
    yes: bool = False,
    json: bool = False,
) -> int:
    """Sync; the exit code, the worst of all hosts'. Raises `BerthError`s."""
    from backend.actions import ACTIONS
    from backend.talk import Talk

    found, hosts = choose(access.config, verb, profile, hosts=host, tags=tag, context=context)
    options = Options(verb, delete=True if delete else None, on_conflict=on_conflict)
    wish = Wish(found, options, tar=tar)
    talk = Talk(ACTIONS[NAMES[verb]], json=json, yes=yes)
    if watch:
        from backend.sync.following import Follower
        from backend.sync.watch import watch_hosts

        if dry_run or wish.pulls:
            raise UsageError(
                "--watch pushes what changes here.", hint="Leave out --dry-run, or use berth push."
            )
        await watch_hosts(access.config, access, hosts, wish, Follower(wish, talk, json=json))
        return 0
    terminal = Terminal(wish, talk, list_all=dry_run)
    async with Many(access.config, access, hosts, wish) as many:
        if dry_run:
            await many.plan(terminal)
            return preview(many, json=json)
        results = await many.run(terminal)
    terminal.clear()
    return close(results, json=json)


async def push(access: StandaloneAccess, rows: Sequence[None], **options: Any) -> int:
    """`berth push`."""
    return await run(access, rows, verb="push", **options)


async def pull(access: StandaloneAccess, rows: Sequence[None], **options: Any) -> int:
    """`berth pull`."""
    return await run(access, rows, verb="pull", **options)


async def sync(access: StandaloneAccess, rows: Sequence[None], **options: Any) -> int:
    """`berth sync run`."""
    return await run(access, rows, verb="sync", **options)


def preview(many: Many, *, json: bool) -> int:
    """What would be done; the exit code."""
    code = 0
    out: list[dict[str, Any]] = []
    pairs = many.wish.pairs
    for host, one in many.hosts.items():
        if one.error is not None or one.plan is None:
            code = max(code, one.error.exit_code if one.error else 1)
            out.append({"host": host, "ok": False, "error": str(one.error), "changes": []})
            if not json:
                say(f"berth: {host}: {one.error}")
            continue
        plan = one.plan
        out.append(
            {
                "host": host,
                "profile": many.wish.profile.name,
                "ok": True,
                "error": None,
                "same": plan.same,
                "refusal": plan.refusal or None,
                "final": plan.final or None,
                "problems": plan.problems,
                "changes": words.as_json(plan, pairs) if json else [],
            }
        )
        if not json:
            print(printable(f"{host}: {words.summary(plan)}"))
            for change in plan.changes:
                print(f"  {words.line(change, pairs)}")
            if plan.refusal:
                say(f"{host}: nothing would be deleted: {plan.refusal}")
    if json:
        print(json_.dumps(out, ensure_ascii=False))
    return code


def close(results: Sequence[HostResult], *, json: bool) -> int:
    """Say how it ended; the exit code."""
    if json:
        sys.stdout.flush()
        sys.stdout.buffer.write(msgspec.json.encode(results) + b"\n")
        sys.stdout.buffer.flush()
    else:
        for each in results:
            if each.error is not None:
                front = "" if each.error.startswith(f"{each.host}:") else f"{each.host}: "
                say(f"berth: {front}{each.error}")
                continue
            print(printable(told(each)))
            for note in each.notes:
                say(f"  {each.host}: {note}")
    return max((each.exit_code for each in results), default=0)


def say(text: str) -> None:
    """Talk."""
    print(printable(text, 2000), file=sys.stderr, flush=True)


async def folder(
    access: StandaloneAccess,
    verb: Way,
    path: str,
    *,
    host: tuple[str, ...] = (),
    tag: tuple[str, ...] = (),
    context: str | None = None,
    dry_run: bool = False,
    yes: bool = False,
    json: bool = False,
) -> int:
    """Replace one folder; the exit code. Raises `BerthError`s."""
    from backend.actions import ACTIONS
    from backend.sync.folder import as_folders, wish
    from backend.talk import Talk

    _, hosts = choose(access.config, verb, verb, hosts=host, tags=tag, context=context)
    if verb == "pull" and len(hosts) > 1:
        raise UsageError("a folder can come from one host only.", hint="Say which: --host")
    wanted = wish(path, verb, access.config.keeping)
    terminal = Terminal(wanted, Talk(ACTIONS[f"{verb}dir"], json=json, yes=yes), list_all=dry_run)
    many = Many(access.config, access, hosts, wanted)
    as_folders(many)
    async with many:
        if dry_run:
            await many.plan(terminal)
            return preview(many, json=json)
        results = await many.run(terminal)
    terminal.clear()
    return close(results, json=json)


async def pushdir(
    access: StandaloneAccess, rows: Sequence[None], *, directory: str = "", **options: Any
) -> int:
    """`berth pushdir`."""
    return await folder(access, "push", directory, **options)


async def pulldir(
    access: StandaloneAccess, rows: Sequence[None], *, directory: str = "", **options: Any
) -> int:
    """`berth pulldir`."""
    return await folder(access, "pull", directory, **options)
