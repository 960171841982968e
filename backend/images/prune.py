"""What of a host's images nobody needs, and how much room that would give back. Nothing is removed here but
by `remove`, which looks again at each image before it goes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from backend.errors import BerthError, NoSuchTarget
from backend.imagerows import Users, bare
from backend.images import look
from backend.images.look import ImageFacts
from backend.model import Image

if TYPE_CHECKING:
    from backend.actions.context import Access
    from backend.config import Config
    from backend.engine import EngineClient

_AT_ONCE = 8
"""Images that are looked at side by side."""


@dataclass(frozen=True)
class Rule:
    """Which images are to go, of those that nobody uses."""

    every: bool = False
    """Also those that have a name; else only those that lost theirs."""
    unused_for: timedelta | None = None
    """Only those that were neither made nor named on their host within that time."""


@dataclass(frozen=True)
class Doomed:
    """An image that is to go."""

    image: Image
    frees: int
    """Bytes that only this image has, among those that stay and those that go before it."""


@dataclass(frozen=True)
class Plan:
    """What is to go on one host."""

    host: str
    doomed: Sequence[Doomed] = ()
    kept: int = 0
    """Images that stay."""

    @property
    def frees(self) -> int:
        """Bytes."""
        return sum(each.frees for each in self.doomed)


@dataclass
class Outcome:
    """What went on one host."""

    removed: int = 0
    freed: int = 0
    """Bytes."""
    stayed: list[str] = field(default_factory=list)
    """Why an image that was to go did not."""


async def plan(engine: EngineClient, access: Access, config: Config, rule: Rule) -> Plan:
    """What the rule means for a host now. Raises what keeps its engine or queue from being asked."""
    images = await look.list_images(engine)
    users, _ = await look.users(engine, access, config, config.contexts)
    facts = await _facts(engine, images)
    free = [
        each
        for each in images
        if each.id in facts and not users.of(each) and _is_wanted(each, facts[each.id], rule)
    ]
    gone = {each.id for each in free}
    frees = _frees(
        [facts[each.id] for each in free], [each for key, each in facts.items() if key not in gone]
    )
    doomed = [Doomed(each, frees[bare(each.id)]) for each in free]
    return Plan(engine.host, doomed, kept=len(images) - len(doomed))


def _is_wanted(image: Image, facts: ImageFacts, rule: Rule) -> bool:
    if image.tags and not rule.every and rule.unused_for is None:
        return False
    if rule.unused_for is None:
        return True
    latest = max((each for each in (facts.created_at, facts.tagged_at) if each is not None), default=None)
    return latest is not None and datetime.now(UTC) - latest > rule.unused_for


async def _facts(engine: EngineClient, images: Iterable[Image]) -> dict[str, ImageFacts]:
    """What the engine knows of each; one that went away meanwhile is left out."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(image: Image) -> ImageFacts | None:
        async with gate:
            try:
                return await look.facts(engine, image.id)
            except NoSuchTarget:
                return None

    known = list(images)
    found = await asyncio.gather(*(one(each) for each in known))
    return {each.id: facts for each, facts in zip(known, found, strict=True) if facts is not None}


def _frees(going: Sequence[ImageFacts], staying: Sequence[ImageFacts]) -> dict[str, int]:
    """Bytes that come free with each, in this order: a layer goes with the last image that has it."""
    kept = {chain for facts in staying for chain, _ in chains(facts)}
    last: dict[str, str] = {}
    for facts in going:
        last.update((chain, facts.id) for chain, _ in chains(facts) if chain not in kept)
    return {
        facts.id: sum(size for chain, size in chains(facts) if last.get(chain) == facts.id) for facts in going
    }


def chains(facts: ImageFacts) -> list[tuple[str, int]]:
    """Each layer, named by it and all that are below it, as engines keep them, with its bytes."""
    found: list[tuple[str, int]] = []
    below = ""
    for step in facts.layers:
        if step.layer:
            below = f"{hash((below, step.layer)):x}"
            found.append((below, step.size))
    return found


async def remove(engine: EngineClient, plan: Plan, users: Users, say: Callable[[str], None]) -> Outcome:
    """Remove what was planned, each after one more look: what is used or named anew by now stays."""
    outcome = Outcome()
    there = {each.id: each for each in await look.list_images(engine)}
    for doomed in plan.doomed:
        name = doomed.image.tags[0] if doomed.image.tags else bare(doomed.image.id)[:12]
        now = there.get(doomed.image.id)
        if now is None:
            outcome.stayed.append(f"{name} is gone already")
        elif users.of(now):
            outcome.stayed.append(f"{name} is used by {', '.join(users.of(now))} now")
        elif set(now.tags) != set(doomed.image.tags):
            outcome.stayed.append(f"{name} has other names now")
        else:
            await _remove_one(engine, doomed, name, outcome, say)
    return outcome


async def _remove_one(
    engine: EngineClient, doomed: Doomed, name: str, outcome: Outcome, say: Callable[[str], None]
) -> None:
    """By each of its names, which the engine does only for an image that nobody holds; never by force."""
    try:
        for tag in doomed.image.tags or (doomed.image.id,):
            if bare(str((await engine.inspect_image(tag)).get("Id"))) != bare(doomed.image.id):
                outcome.stayed.append(f"{tag} is another image now")
                return
            await engine.remove_image(tag)
    except NoSuchTarget:
        outcome.stayed.append(f"{name} is gone already")
    except BerthError as error:
        outcome.stayed.append(f"{name}: {error.message}")
    else:
        outcome.removed += 1
        outcome.freed += doomed.frees
        say(f"{engine.host}: removed {name}")
