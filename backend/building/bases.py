"""The images that a build stands on: there, fetched from their registry, or copied from another host."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from backend.errors import ActionFailed, BerthError, EngineError, NoSuchTarget, Refused
from backend.text import printable, size

if TYPE_CHECKING:
    from backend.actions.context import Access
    from backend.building.glance import Looks
    from backend.config import Config
    from backend.engine import EngineClient

Say = Callable[[str], None]
Confirm = Callable[[str], Awaitable[bool]]
_ASK = 10.0
"""Seconds that other hosts have to say whether they have an image."""
_SAY_EVERY = 2.0


class Bases:
    """Sees to it that bases are on hosts, each once at a time."""

    def __init__(
        self, config: Config, access: Access, confirm: Confirm, *, pull: bool, check: bool = True
    ) -> None:
        """`check`: look for private keys in what is copied from another host, and refuse it for one."""
        self._config = config
        self._access = access
        self._confirm = confirm
        self._pull = pull
        self._check = check
        self._turns: dict[tuple[str, str], asyncio.Lock] = {}

    async def identity(self, engine: Looks, reference: str) -> str:
        """The id of an image there; empty where it is not."""
        try:
            return str((await engine.inspect_image(reference)).get("Id") or "")
        except NoSuchTarget:
            return ""

    async def have(self, engine: EngineClient, reference: str, say: Say) -> str:
        """The id of an image that is there in the end. Raises `ActionFailed` naming what was tried."""
        async with self._turns.setdefault((engine.host, reference), asyncio.Lock()):
            if found := await self.identity(engine, reference):
                return found
            why = "it may not be pulled (--no-pull)"
            if self._pull and not reference.startswith("localhost/"):
                try:
                    await self._fetch(engine, reference, say)
                except EngineError as error:
                    why = error.message.removeprefix(f"{engine.host}: ").rstrip(".")
                except NoSuchTarget as error:
                    why = error.message.removeprefix(f"{engine.host}: ").rstrip(".")
            elif self._pull:
                why = "names of localhost/ are in no registry"
            if found := await self.identity(engine, reference):
                return found
            return await self._copied(engine, reference, why, say)

    async def _fetch(self, engine: EngineClient, reference: str, say: Say) -> None:
        say(f"{engine.host} has no image {reference}: pulling it")
        layers: dict[str, tuple[int, int]] = {}
        said = time.monotonic()
        async for line in engine.pull(reference):
            if line.layer and line.total:
                layers[line.layer] = (line.done or 0, line.total)
            if layers and time.monotonic() - said > _SAY_EVERY:
                said = time.monotonic()
                done, total = (sum(each[part] for each in layers.values()) for part in (0, 1))
                say(f"pulling {reference}: {size(done)} of {size(total)}")

    async def _copied(self, engine: EngineClient, reference: str, why: str, say: Say) -> str:
        others = await self._who_has(reference, engine.host)
        missing = f"{engine.host} has no image {reference}"
        if not others:
            raise ActionFailed(
                f"{missing}, and cannot get it: {printable(why, 300)}.",
                hint="No other host has it either. Pull, load or copy it there: berth image copy",
            )
        question = f"{missing} ({printable(why, 200)}). {others[0]} has it. Copy it from there?"
        try:
            agreed = await self._confirm(question)
        except Refused:
            agreed = False
        if not agreed:
            raise ActionFailed(
                f"{missing}, but {others[0]} has.",
                hint=f"berth image copy {reference} --host {others[0]} --to {engine.host}, or say --yes.",
            )
        source = await self._access.engine(others[0])
        if self._check:
            from backend.images import keys

            say(f"looking for private keys in {reference} on {others[0]}")
            keys.refuse(await keys.find(source, reference, "image"), reference)
        say(f"copying {reference} from {others[0]} to {engine.host}")
        await self._copy(source, engine, reference)
        return await self.identity(engine, reference)

    async def _copy(self, source: EngineClient, target: EngineClient, reference: str) -> None:
        from backend.images import missing, transfer

        wanted = missing.layers(await source.inspect_image(reference))
        known = await missing.known(target, wanted)
        if known:
            try:
                await missing.copy(
                    source, target, reference, wanted=wanted, known=known, sent=lambda total: None
                )
                return
            except EngineError as error:
                if missing.in_vain(error):
                    raise
        await transfer.copy(source, target, reference)

    async def _who_has(self, reference: str, but: str) -> list[str]:
        """Other hosts that have an image; those that do not answer soon have not."""

        async def one(name: str) -> bool:
            try:
                async with asyncio.timeout(_ASK):
                    return bool(await self.identity(await self._access.engine(name), reference))
            except (BerthError, TimeoutError):
                return False

        names = [
            host.name
            for host in self._config.hosts
            if not host.skip and host.engine != "none" and host.name != but
        ]
        answers = await asyncio.gather(*map(one, names))
        return [name for name, has in zip(names, answers, strict=True) if has]
