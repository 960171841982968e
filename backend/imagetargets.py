"""Words of the command line -> images.

NAME[:TAG]      an image, where one host has it or hosts are given by `--host`
ID              the same by its id, or by four or more digits of it
HOST/NAME       an image of that host
`*` and `?` stand in names: `test/*` with `--host h1`
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from backend.errors import BerthError, NoSuchTarget, UsageError
from backend.imagenames import whole
from backend.imagerows import bare, image_row
from backend.images import look
from backend.model import Image, ImageRow
from backend.text import printable

if TYPE_CHECKING:
    from backend.actions.context import Access
    from backend.config import Config

_SHOWN = 12
"""Names that are suggested."""


async def images(word: str, config: Config, access: Access, hosts: Sequence[str] = ()) -> list[ImageRow]:
    """The images that a word names; never none.

    Raises `NoSuchTarget`, `UsageError` where it means several things, and what keeps a host from being asked.
    """
    where, slash, rest = word.partition("/")
    if not hosts and slash and rest and any(host.name == where for host in config.hosts):
        try:
            return await _on(where, rest, config, access)
        except NoSuchTarget:
            pass  # a registry may be called like a host
    if hosts:
        found = await asyncio.gather(*(_on(host, word, config, access) for host in dict.fromkeys(hosts)))
        return [row for rows in found for row in rows]
    return await _anywhere(word, config, access)


async def _on(host: str, word: str, config: Config, access: Access) -> list[ImageRow]:
    """Those of one host."""
    config.host(host)
    engine = await access.engine(host)
    known = await look.list_images(engine)
    found = _fitting(known, word)
    if not found:
        names = [tag for image in known for tag in image.tags]
        raise NoSuchTarget(f"{host} has no image {printable(word, 200)}.", hint=_choices(names))
    if len(found) > 1 and not _is_pattern(word):
        ids = ", ".join(bare(each.id)[:12] for each in found[:_SHOWN])
        raise UsageError(
            f"{printable(word, 200)} means {len(found)} images of {host}.", hint=f"They are {ids}."
        )
    users, _ = await look.users(engine, access, config, config.contexts, jobs=False)
    return [image_row(host, each, users.of(each), name=_called(each, word)) for each in found]


def _fitting(known: Sequence[Image], word: str) -> list[Image]:
    if _is_pattern(word):
        return [each for each in known if any(fnmatchcase(whole(tag), word) for tag in each.tags)]
    return look.find(known, word)


def _called(image: Image, word: str) -> str:
    """The one of its names that was meant: what is done to it is done to that name."""
    wanted = whole(word)
    meant = (each for each in (*image.tags, *image.digests) if whole(each) == wanted)
    fits = (each for each in image.tags if _is_pattern(word) and fnmatchcase(whole(each), word))
    return next(meant, "") or next(fits, "") or bare(image.id)[:12]


async def _anywhere(word: str, config: Config, access: Access) -> list[ImageRow]:
    """An image whose host was not said."""

    async def one(host: str) -> list[ImageRow] | BerthError:
        try:
            return await _on(host, word, config, access)
        except BerthError as error:
            return error

    names = [host.name for host in config.hosts if not host.skip and host.engine != "none"]
    answers = await asyncio.gather(*map(one, names))
    rows = [row for answer in answers if isinstance(answer, list) for row in answer]
    if len(rows) == 1 or (rows and _is_pattern(word)):
        return rows
    if rows:
        places = ", ".join(dict.fromkeys(row.host for row in rows))
        raise UsageError(
            f"{printable(word, 200)} is on {len(rows)} hosts: {places}.", hint="Say which: --host HOST"
        )
    unasked = [
        each for each in answers if isinstance(each, BerthError) and not isinstance(each, NoSuchTarget)
    ]
    said = " ".join(f"Not asked: {each.message}" for each in unasked)
    raise NoSuchTarget(
        f"no host has an image {printable(word, 200)}. {said}".strip(), hint="See: berth images"
    )


def _is_pattern(word: str) -> bool:
    return any(char in word for char in "*?[")


def _choices(names: Sequence[str]) -> str:
    if not names:
        return "It has none. Pull one: berth image pull NAME --host HOST"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"It has: {', '.join(printable(name, 80) for name in names[:_SHOWN])}{more}."
