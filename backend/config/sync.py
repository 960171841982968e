"""`sync.yaml`: what goes from here to the hosts and back. `docs/sync.md` describes it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from msgspec import structs

from backend.config.schema import Folders, HostConfig, Keeping, SyncProfile, SyncRule
from backend.config.syncdefaults import built_in
from backend.config.values import (
    Value,
    choice,
    content,
    did_you_mean,
    flag,
    line,
    list_of,
    name,
    number,
    open_file,
    prose,
    quoted,
    size,
    word,
)

FILE = "sync.yaml"


def read_sync(
    path: Path, hosts: Sequence[HostConfig], folders: Folders | None = None
) -> tuple[tuple[SyncProfile, ...], Keeping]:
    """The profiles of that file, then berth's own; a file may replace one of those by its name.

    And how much is kept where a profile does not say.
    """
    value = open_file(path)
    own: list[SyncProfile] = []
    keeping = Keeping()
    if value is not None:
        got = value.fields({"profiles": lambda item: item, **_KEEPING})
        keeping = Keeping(**{name: got[name] for name in _KEEPING if name in got})
        own = _profiles(got["profiles"], keeping) if "profiles" in got else []
        known = {host.name for host in hosts}
        for profile in own:
            for host in profile.hosts:
                if host not in known:
                    where = value.mapping()["profiles"].mapping()[profile.name].mapping()["hosts"]
                    raise where.fail(
                        f"no host is called {quoted(host)}.",
                        hint=f"{did_you_mean(host, known)}Hosts: {', '.join(sorted(known)) or 'none'}.",
                    )
    names = {profile.name for profile in own}
    defaults = structs.asdict(keeping)
    others = [structs.replace(each, **defaults) for each in built_in(folders or Folders())]
    return (*own, *(each for each in others if each.name not in names)), keeping


def _profiles(value: Value, keeping: Keeping) -> list[SyncProfile]:
    found = []
    for key, item in value.mapping().items():
        profile = name(Value(item.source, item.key, item.node.scalar(key)))
        got = item.fields(_PROFILE)
        if not got.get("rules"):
            raise item.fail("`rules` is missing.", hint="Write a list of `source: PATH`, `target: PATH`.")
        found.append(SyncProfile(name=profile, **{**structs.asdict(keeping), **got}))
    return found


def _rule(value: Value) -> SyncRule:
    got = value.fields(_RULE)
    if "source" not in got:
        raise value.fail("`source` is missing.", hint="Write `source: PATH`.")
    filters: list[str] = [*got.pop("filter", ()), *(f"- {text}" for text in got.pop("exclude", ()))]
    if include := got.pop("include", ()):
        filters += [*(f"+ {text}" for text in include), "+ */", "- *"]
    if got.get("mode") is not None and got.get("secret") and got["mode"] & 0o077:
        raise value.fail("a secret rule is for us alone.", hint="Leave `mode` out, or write 0700.")
    return SyncRule(**{"target": got["source"], **got, "filter": tuple(filters)})


def _path(value: Value) -> str:
    text = line(value)
    if ".." in text.split("/"):
        raise value.fail(f"{quoted(text)} holds `..`.", hint="Write the path that is meant.")
    if re.fullmatch(r"[\s/.~]*", text):
        raise value.fail(f"{quoted(text)} would be a whole home or disk.", hint="Name a folder in it.")
    return text.rstrip("/")


def _pattern(value: Value) -> str:
    text = content(value)
    if not text.strip("/") or "\n" in text:
        raise value.fail(f"{quoted(text)} is no pattern.")
    return text


def _filter(value: Value) -> str:
    text = content(value)
    if not re.match(r"[+-] [^\n]", text):
        raise value.fail(f"{quoted(text)} is no filter.", hint='Write "+ PATTERN" or "- PATTERN".')
    return text


def _mode(value: Value) -> int:
    if not re.fullmatch("0?[0-7]{3}", value.text):
        raise value.fail(f"{quoted(value.text)} is no mode.", hint="Write it as chmod does: 0750.")
    return int(value.text, 8)


_RULE: dict[str, Callable[[Value], Any]] = {
    "source": _path,
    "target": _path,
    "direction": choice("push", "pull", "both"),
    "include": list_of(_pattern),
    "exclude": list_of(_pattern),
    "filter": list_of(_filter),
    "keep": list_of(_pattern),
    "max_size": size,
    "update": flag,
    "delete": flag,
    "links": choice("keep", "skip", "follow"),
    "secret": flag,
    "mode": _mode,
}

_KEEPING: dict[str, Callable[[Value], Any]] = {"keep_days": number(0, 3650), "keep_size": size}

_PROFILE: dict[str, Callable[[Value], Any]] = {
    "rules": lambda value: tuple(_rule(item) for item in value.items()),
    "comment": prose,
    "hosts": list_of(name),
    "tags": list_of(word),
    "compress": flag,
    **_KEEPING,
}
