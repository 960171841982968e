"""Telling users of a host how much they hold: whom, what, and by which way. Shown before anything is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backend import child
from backend.disk.model import FileSystem, Owner
from backend.disk.remote import HostSide
from backend.errors import ActionFailed, BerthError, UsageError
from backend.text import printable, size

if TYPE_CHECKING:
    from backend.actions.context import Access
    from backend.config import Config

WAYS = ("write", "file", "command", "wall")
_COMMAND_FOR = 30.0
"""Seconds that a program of the user's may take for one message."""
_SYSTEM = frozenset({"root", "nobody", "daemon", "bin", "sys", "www-data", "nfsnobody"})


@dataclass(frozen=True)
class Message:
    """What one user is told."""

    host: str
    user: str
    """Empty: everybody."""
    bytes: int
    path: str
    """The folder that holds most of it."""
    text: str


def choose(found: Sequence[Owner], users: Sequence[str], over: int, most: int) -> list[Owner]:
    """Who is told: those who were named, else the people who hold the most. Raises `UsageError`."""
    if users:
        known = {each.owner: each for each in found}
        for user in users:
            if user not in known:
                names = ", ".join(list(known)[:20]) or "nobody"
                raise UsageError(f"{user} holds nothing there.", hint=f"Who does: {names}.")
        return [known[user] for user in dict.fromkeys(users)]
    people = [
        each
        for each in found
        if each.owner not in _SYSTEM and not each.owner.isdecimal() and each.bytes + each.guess >= over
    ]
    return people[:most]


def messages(
    host: str, path: str, chosen: Sequence[Owner], disk: FileSystem | None, *, said: str, way: str
) -> list[Message]:
    """What each is told; one message for all where it goes to everybody."""
    full = ""
    if disk is not None and disk.total and disk.used is not None:
        full = (
            f"{100 * disk.used / disk.total:.0f} % of {disk.mount} are in use, {size(disk.free)} are free. "
        )
    if way == "wall":
        who = ", ".join(f"{each.owner} {size(each.bytes + each.guess)}" for each in chosen)
        text = f"Disk use on {host}: {full}The most below {path} have: {who}."
        return [Message(host, "", 0, path, _clean(f"{text} {said}"))]
    return [_one(host, path, each, full, said) for each in chosen]


def _one(host: str, path: str, owner: Owner, full: str, said: str) -> Message:
    about = "about " if owner.guess else ""
    text = f"Disk use on {host}: {full}You have {about}{size(owner.bytes + owner.guess)} below {path}."
    if owner.holdings:
        text += " Most of it: " + ", ".join(f"{place} ({size(held)})" for place, held in owner.holdings) + "."
    most = owner.holdings[0][0] if owner.holdings else path
    return Message(host, owner.owner, owner.bytes + owner.guess, most, _clean(f"{text} {said}"))


def _clean(text: str) -> str:
    """No host's text controls anybody's terminal, and every terminal can show it."""
    return printable(text.strip(), 2000)


async def send(config: Config, access: Access, each: Sequence[Message], way: str) -> list[str]:
    """Send them; what came of each. Raises `ActionFailed` where all failed."""
    if way == "command":
        if not config.settings.disk.notify:
            raise UsageError(
                "no program is configured that tells people.", hint="See disk: notify in settings.yaml."
            )
        results = await asyncio.gather(
            *(_by_command(config, message) for message in each), return_exceptions=True
        )
    else:
        results = await _on_host(config, access, each, way)
    lines, bad = [], 0
    for message, result in zip(each, results, strict=True):
        if isinstance(result, BaseException) and not isinstance(result, BerthError):
            raise result
        bad += isinstance(result, BerthError)
        lines.append(f"{message.user or 'everybody'}: {result}")
    if bad == len(each) and each:
        raise ActionFailed("; ".join(lines))
    return lines


async def _on_host(
    config: Config, access: Access, each: Sequence[Message], way: str
) -> list[str | BaseException]:
    results: list[str | BaseException] = []
    async with await HostSide.open(await access.link(each[0].host), polite=False) as side:
        for message in each:
            place = config.settings.disk.file.replace("{user}", message.user.replace("/", "_"))
            try:
                answer = await side.ask("tell", way=way, user=message.user, text=message.text, path=place)
                results.append(str(answer.get("said", "")))
            except BerthError as error:
                results.append(error)
    return results


async def _by_command(config: Config, message: Message) -> str:
    words = {
        "{user}": message.user,
        "{host}": message.host,
        "{size}": size(message.bytes),
        "{path}": message.path,
    }
    argv = []
    for part in config.settings.disk.notify:
        for key, value in words.items():
            part = part.replace(key, value)
        argv.append(part)
    text = message.text.encode() + b"\n"
    try:
        ended = await child.run(*argv, limit=_COMMAND_FOR, input=text, heard=False)
    except TimeoutError:
        raise ActionFailed(f"{argv[0]} did not end within {_COMMAND_FOR:g} s.") from None
    except OSError as error:
        raise ActionFailed(f"{argv[0]} cannot be started: {error.strerror}.") from None
    if ended.code:
        why = printable(ended.err.decode(errors="replace").strip(), 200)
        raise ActionFailed(f"{argv[0]} ended with {ended.code}: {why}")
    return f"told by {argv[0]}"
