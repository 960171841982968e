"""`berth sync history`, `undo`, `profiles`, `show`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from backend.config import SyncProfile, SyncRule
from backend.sync.history import past
from backend.sync.many import told
from backend.text import printable

if TYPE_CHECKING:
    from backend.access import StandaloneAccess

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
    host: tuple[str, ...] = (),
    force: bool = False,
    yes: bool = False,
    json: bool = False,
) -> int:
    """Take a sync back; the exit code, the worst of all hosts'. Raises `BerthError`s."""
    from backend.actions import ACTIONS
    from backend.sync.undoing import meant, take_back
    from backend.talk import Talk

    talk = Talk(ACTIONS["sync-undo"], json=json, yes=yes)
    taken = await take_back(access.config, access, meant(run, host), force=force, agree=talk.confirm)
    if json:
        _bytes(msgspec.json.encode(taken))
    else:
        for each in taken:
            print(printable(each.message, 2000), file=sys.stdout if each.error is None else sys.stderr)
    return max(each.exit_code for each in taken)


def _bytes(data: bytes) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(data + b"\n")
    sys.stdout.buffer.flush()
