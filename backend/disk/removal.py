"""Removing folders and files of hosts that somebody chose: weighed, asked about, removed as they were."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backend.disk.overview import engine_root
from backend.disk.remote import HostSide, count, understood
from backend.errors import ActionFailed, BerthError, NoSuchTarget, Refused
from backend.text import size

if TYPE_CHECKING:
    from backend.actions.context import Access
    from backend.config import Config

ENGINES = ("/var/lib/docker", "/var/lib/containers", "/var/lib/containerd")
"""Where engines keep their data, whether they answer or not."""
Told = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Weighed:
    """A path and what goes with it."""

    host: str
    path: str
    bytes: int = 0
    """That come free: files that have names elsewhere count for nothing."""
    files: int = 0
    folders: int = 0
    owners: Mapping[str, int] = field(default_factory=dict)
    newest: int = 0
    token: Sequence[int] = ()
    """What it is: it goes only while it still is that."""
    unreadable: int = 0
    """What could not be looked at, and will not go."""
    refused: str = ""
    """Why it is never removed."""
    error: str = ""
    gone: bool = False
    """There is no such thing."""


@dataclass(frozen=True)
class Went:
    """What became of a path."""

    host: str
    path: str
    bytes: int
    files: int
    left: int
    """What could not be removed."""
    problems: Sequence[tuple[str, str]] = ()


async def weigh(
    config: Config, access: Access, places: Sequence[tuple[str, str]], told: Told, *, sudo: bool = False
) -> list[Weighed]:
    """What goes with these (host, path). Raises `BerthError`s of the hosts."""
    hosts: dict[str, list[str]] = {}
    for host, path in places:
        hosts.setdefault(host, []).append(path)
    found = await asyncio.gather(
        *(_weigh_on(config, access, host, paths, told, sudo=sudo) for host, paths in hosts.items())
    )
    return [each for some in found for each in some]


async def kept_folders(config: Config, access: Access, host: str) -> list[str]:
    """Where engines keep their data on a host."""
    root = await engine_root(config, access, host)
    return list(dict.fromkeys([*ENGINES, *([root] if root else [])]))


async def _weigh_on(
    config: Config, access: Access, host: str, paths: Sequence[str], told: Told, *, sudo: bool
) -> list[Weighed]:
    kept = await kept_folders(config, access, host)
    async with await HostSide.open(await access.link(host), sudo=sudo, polite=False) as side:
        side.told = _teller(host, told)
        answer = await side.ask("weigh", paths=_outermost(paths), kept=kept)
    with understood(host):
        return [_weighed(host, each) for each in answer["paths"]]


def _outermost(paths: Sequence[str]) -> list[str]:
    """Without those that are inside another, which go with it."""
    every = set(paths)
    return [
        path
        for path in dict.fromkeys(paths)
        if not any(path != other and path.startswith(other.rstrip("/") + "/") for other in every)
    ]


def _weighed(host: str, found: Mapping[str, Any]) -> Weighed:
    return Weighed(
        host=host,
        path=str(found["path"]),
        bytes=count(found.get("bytes", 0)),
        files=count(found.get("files", 0)),
        folders=count(found.get("folders", 0)),
        owners={str(name): count(held) for name, held in dict(found.get("owners", {})).items()},
        newest=count(found.get("newest", 0)),
        token=tuple(int(each) for each in found.get("token", ())),
        unreadable=count(found.get("failed", 0)),
        refused=str(found.get("refused", "")),
        error=str(found.get("error", "")),
        gone=bool(found.get("gone")),
    )


async def remove(
    config: Config, access: Access, weighed: Sequence[Weighed], told: Told, *, sudo: bool = False
) -> list[Went | BerthError]:
    """Remove what was weighed, hosts side by side. A cancel ends it between two files."""
    hosts: dict[str, list[Weighed]] = {}
    for each in weighed:
        hosts.setdefault(each.host, []).append(each)
    found = await asyncio.gather(
        *(_remove_on(config, access, host, some, told, sudo=sudo) for host, some in hosts.items())
    )
    return [each for some in found for each in some]


async def _remove_on(
    config: Config, access: Access, host: str, weighed: Sequence[Weighed], told: Told, *, sudo: bool
) -> list[Went | BerthError]:
    done: list[Went | BerthError] = []
    kept = await kept_folders(config, access, host)
    async with await HostSide.open(await access.link(host), sudo=sudo, polite=False) as side:
        side.told = _teller(host, told)
        for each in weighed:
            try:
                answer = await side.ask("remove", path=each.path, token=list(each.token), kept=kept)
            except Refused as refused:
                done.append(Refused(f"{host}:{each.path} {refused.message.partition(': ')[2]}"))
            except BerthError as error:
                done.append(error)
            else:
                with understood(host):
                    done.append(_went(each, answer))
    return done


def _went(each: Weighed, answer: Mapping[str, Any]) -> Went:
    return Went(
        host=each.host,
        path=each.path,
        bytes=count(answer["bytes"]),
        files=count(answer["files"]),
        left=count(answer["failed"]),
        problems=tuple((str(path), str(why)) for path, why in answer["problems"]),
    )


def _teller(host: str, told: Told) -> Callable[[dict[str, Any]], None]:
    def tell(event: dict[str, Any]) -> None:
        if event.get("event") in ("weighed", "removed"):
            told(host, count(event["files"]), count(event["bytes"]))

    return tell


def line(each: Weighed) -> str:
    """What goes with a path, for a question and a list."""
    what = f"{each.host}:{each.path}"
    if each.refused:
        return f"{what} {each.refused}"
    if each.error:
        return f"{what}: {each.error}"
    owners = sorted(each.owners, key=lambda name: -each.owners[name])[:4]
    whose = f", of {', '.join(owners)}" if owners else ""
    more = f"; {each.unreadable:,} things in it cannot be looked at" if each.unreadable else ""
    return f"{what}  {size(each.bytes)} in {each.files:,} file{'s' * (each.files != 1)}{whose}{more}"


def checked(weighed: Sequence[Weighed]) -> list[Weighed]:
    """All of them. Raises `Refused` where one must not go, `NoSuchTarget`, `ActionFailed`."""
    for each in weighed:
        if each.refused:
            raise Refused(f"{line(each)}.", hint="Nothing was removed.")
        if each.error:
            kind = NoSuchTarget if each.gone else ActionFailed
            raise kind(f"{line(each)}.", hint="Nothing was removed.")
    return list(weighed)
