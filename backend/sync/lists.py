"""`berth sync history`, `undo`, `profiles`, `show`."""

from __future__ import annotations

import json as json_
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from backend.config import Config, SyncProfile, SyncRule
from backend.errors import NoSuchTarget, Refused
from backend.sync.engine import HostSync, Wish
from backend.sync.history import forget, past, undo
from backend.sync.many import told
from backend.sync.model import Way
from backend.sync.plan import Options
from backend.sync.where import writable
from backend.sync.words import files
from backend.text import printable

if TYPE_CHECKING:
    from backend.access import StandaloneAccess
    from backend.actions.context import Access

_DEFAULT = SyncRule(source="-", target="-")


async def history(
    access: StandaloneAccess,
    rows: Sequence[None],
    *,
    host: tuple[str, ...] = (),
    limit: int = 20,
    json: bool = False,
) -> int:
    """What was synced, newest first."""
    found = [each for each in past() if not host or each.host in host][: max(0, limit)]
    if json:
        _bytes(msgspec.json.encode(found))
        return 0
    for each in found:
        print(printable(f"{each.started_at.astimezone():%Y-%m-%d %H:%M}  {each.profile}  {told(each)}"))
    if not found:
        print("Nothing was synced yet.", file=sys.stderr)
    return 0


async def profiles(access: StandaloneAccess, rows: Sequence[None], *, json: bool = False) -> int:
    """The profiles there are."""
    found = access.config.profiles
    if json:
        _bytes(msgspec.json.encode(found))
        return 0
    wide = max(len(each.name) for each in found)
    for each in found:
        where = ", ".join([*each.hosts, *(f"tag {tag}" for tag in each.tags)])
        about = each.comment or f"{len(each.rules)} rules"
        own = "berth's own" if each.built_in else where or "any host"
        print(printable(f"{each.name:<{wide}}  {about}  ({own})"))
    return 0


async def show(access: StandaloneAccess, rows: Sequence[None], *, profile: str, json: bool = False) -> int:
    """The rules of a profile."""
    found = access.config.profile(profile)
    if json:
        _bytes(msgspec.json.encode(found))
    else:
        print(as_yaml(found), end="")
    return 0


def as_yaml(profile: SyncProfile) -> str:
    """A profile as it would stand in sync.yaml."""
    import yaml

    defaults = msgspec.to_builtins(_DEFAULT)
    rules = []
    for rule in profile.rules:
        values = msgspec.to_builtins(rule)
        kept: dict[str, Any] = {
            key: value
            for key, value in values.items()
            if value != defaults[key] and not (key == "target" and value == values["source"])
        }
        if rule.mode is not None:
            kept["mode"] = f"{rule.mode:04o}"
        rules.append(kept)
    body: dict[str, Any] = {"rules": rules}
    if profile.comment:
        body = {"comment": profile.comment, **body}
    if profile.hosts:
        body["hosts"] = list(profile.hosts)
    if profile.tags:
        body["tags"] = list(profile.tags)
    text: str = yaml.safe_dump({"profiles": {profile.name: body}}, sort_keys=False, allow_unicode=True)
    return text


async def undo_run(
    access: StandaloneAccess,
    rows: Sequence[None],
    *,
    run: str = "",
    force: bool = False,
    yes: bool = False,
    json: bool = False,
) -> int:
    """Take a sync back; the exit code. Raises `BerthError`s."""
    from backend.actions import ACTIONS
    from backend.talk import Talk

    talk = Talk(ACTIONS["sync-undo"], json=json, yes=yes)
    said = await take_back(access.config, access, run, force=force, agree=talk.confirm)
    if json:
        print(json_.dumps([{"run": run, "ok": True, "message": said}], ensure_ascii=False))
    else:
        print(printable(said))
    return 0


async def take_back(
    config: Config, access: Access, run: str, *, force: bool, agree: Callable[[str], Awaitable[bool]]
) -> str:
    """Put back what a sync replaced or deleted; what was done. Raises `BerthError`s."""
    known = [each for each in past() if each.run]
    found = next((each for each in known if not run or each.run == run), None)
    if found is None:
        what = f"no sync {run!r} on record" if run else "no sync on record that replaced or deleted something"
        raise NoSuchTarget(f"there is {what}.", hint="See: berth sync history")
    when = f"{found.started_at.astimezone():%Y-%m-%d %H:%M}"
    what = f"which replaced {found.changed:,} and deleted {files(found.deleted)}"
    if found.profile in ("pushdir", "pulldir"):
        what = "the folder as it was before comes back"
    if not await agree(f"Undo {found.profile} of {when} with {found.host}, {what}?"):
        raise Refused("Not done.", hint="It was not confirmed.")
    rule = SyncRule(source="~/-", target="~/-")
    wish = Wish(SyncProfile(name=found.profile, rules=(rule,)), Options("push"))
    back, stay = 0, []
    error: NoSuchTarget | None = None
    held = config.host(found.host).read_only  # what a pull replaced lies here: that may be put back
    ways: tuple[Way, ...] = ("pull",) if held else ("push", "pull")
    async with HostSync(access, found.host, wish) as sync:
        for way in ways:
            try:
                count, left = await undo(sync, found.run, way, force=force)
            except NoSuchTarget as gone:
                error = gone
                continue
            back += count
            stay += left
    if not back and not stay and error is not None:
        if held:
            writable(config, found.host)
        raise error
    if not stay:
        forget(found.run)
    left_over = f"; left alone: {'; '.join(stay[:5])}" if stay else ""
    return f"{found.host}: {back:,} put back{left_over}"


def _bytes(data: bytes) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(data + b"\n")
    sys.stdout.buffer.flush()
