"""What nothing uses on a host's engine, and removing it: each thing by its name, after one more look at it.

Nothing goes that was not named before. Images are `backend.images.prune`'s; containers, volumes and build
cache are here. In use is: a container that runs or is paused, one that belongs to a context or a job, what
any container mounts, cache that an image shares or that is newer than what was shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from backend.agent.times import seconds_from_engine
from backend.disk import engine as engines
from backend.disk.model import Used
from backend.errors import BerthError, NoSuchTarget
from backend.images import look
from backend.images import prune as images

if TYPE_CHECKING:
    from backend.actions.context import Access
    from backend.config import Config
    from backend.engine import EngineClient

_JOB = "berth.job"
_AT_ONCE = 8


@dataclass(frozen=True)
class Wish:
    """What is to go, where nothing uses it."""

    images: bool = False
    """Images that lost their name."""
    images_unused: timedelta | None = None
    """Also images with a name, neither made nor named within that time."""
    containers: timedelta | None = None
    """Containers that ended that long ago, or longer."""
    volumes: bool = False
    """Volumes that nobody named."""
    named_volumes: bool = False
    """Also those that somebody named."""
    cache: timedelta | None = None
    """Build cache that was not used for that long."""

    @property
    def any(self) -> bool:
        """Whether anything is to go at all."""
        said = (self.images_unused, self.containers, self.cache)
        return self.images or self.volumes or self.named_volumes or any(each is not None for each in said)


@dataclass(frozen=True)
class Item:
    """One thing that is to go."""

    kind: str
    id: str
    name: str
    frees: int
    """Bytes."""
    note: str = ""


@dataclass(frozen=True)
class Plan:
    """What is to go on one host."""

    host: str
    items: Sequence[Item] = ()
    stays: Sequence[str] = ()
    """What one might think would go, and why it does not."""
    images: images.Plan | None = None

    @property
    def frees(self) -> int:
        """Bytes."""
        return sum(each.frees for each in self.items)


async def plan(engine: EngineClient, access: Access, config: Config, wish: Wish) -> Plan:
    """What the wish means for a host now. Raises what keeps its engine from being asked."""
    now = datetime.now(UTC)
    items: list[Item] = []
    stays: list[str] = []
    pictures = None
    if wish.images or wish.images_unused is not None:
        pictures = await images.plan(engine, access, config, images.Rule(unused_for=wish.images_unused))
        for each in pictures.doomed:
            name = ", ".join(each.image.tags) or f"<none> {each.image.id.removeprefix('sha256:')[:12]}"
            items.append(Item("image", each.image.id, name, each.frees))
    if wish.containers is not None or wish.volumes or wish.named_volumes or wish.cache is not None:
        use = await engines.ask(engine)
        if wish.containers is not None:
            items += await _containers(engine, config, use.items, now - wish.containers, stays)
        if wish.volumes or wish.named_volumes:
            items += _volumes(use.items, wish.named_volumes, stays)
        if wish.cache is not None:
            items += _cache(use.items, now - wish.cache)
    return Plan(engine.host, items, stays, pictures)


async def _containers(
    engine: EngineClient, config: Config, items: Sequence[Used], before: datetime, stays: list[str]
) -> list[Item]:
    contexts = {each.container: each.name for each in config.contexts if each.host == engine.host}
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(used: Used) -> Item | str | None:
        if used.name in contexts:
            return f"container {used.name}: belongs to context {contexts[used.name]}"
        async with gate:
            try:
                return await _ended_container(engine, used, before)
            except NoSuchTarget:
                return None

    ended = [each for each in items if each.kind == "container" and not each.in_use]
    found = []
    for answer in await asyncio.gather(*map(one, ended)):
        if isinstance(answer, str):
            stays.append(answer)
        elif answer is not None:
            found.append(answer)
    return found


async def _ended_container(engine: EngineClient, used: Used, before: datetime) -> Item | str | None:
    """A container that may go; or why not; None where it is too young, or not at its end any more."""
    about = await engine.inspect(used.id)
    state, config = (about[key] if isinstance(about.get(key), dict) else {} for key in ("State", "Config"))
    if state.get("Running") or state.get("Paused") or state.get("Restarting"):
        return None
    if _JOB in (config.get("Labels") or {}):
        return f"container {used.name}: belongs to the queue, which removes it itself"
    unix = seconds_from_engine(state.get("FinishedAt")) or seconds_from_engine(about.get("Created"))
    if unix is None or datetime.fromtimestamp(unix, UTC) > before:
        return None
    owner = f", of {used.owner}" if used.owner else ""
    return Item("container", used.id, used.name, used.size, f"{used.state}{owner}")


def _volumes(items: Sequence[Used], named: bool, stays: list[str]) -> list[Item]:
    found = []
    for each in items:
        if each.kind != "volume" or each.in_use:
            continue
        if named or each.anonymous:
            found.append(Item("volume", each.id, each.name, each.size))
        else:
            stays.append(f"volume {each.name}: somebody named it (--named-volumes removes it too)")
    return found


def _cache(items: Sequence[Used], before: datetime) -> list[Item]:
    """What nothing stands on first: cache goes from the leaves."""
    free = {each.id: each for each in items if each.kind == "cache" and not each.in_use and not each.keep}
    # What is below something that stays cannot go.
    while True:
        held = {
            parent
            for each in items
            if each.kind == "cache" and each.id not in free
            for parent in each.parents
        }
        young = {
            key for key, each in free.items() if (when := each.used_at or each.created_at) and when > before
        }
        gone = [key for key in free if key in held or key in young]
        if not gone:
            break
        for key in gone:
            del free[key]
    depth: dict[str, int] = {}

    def level(key: str, seen: frozenset[str] = frozenset()) -> int:
        if key not in depth:
            above = [one for one in free.values() if key in one.parents and one.id not in seen]
            depth[key] = 1 + max((level(one.id, seen | {key}) for one in above), default=0)
        return depth[key]

    return [
        Item("cache", each.id, f"{each.name or each.state} ({each.id[:12]})", each.size)
        for each in sorted(free.values(), key=lambda each: level(each.id))
    ]


# ------------------------------------------------------------------------------------------------- doing


async def remove(
    engine: EngineClient, access: Access, config: Config, plan: Plan, say: Callable[[str], None]
) -> images.Outcome:
    """Remove what was planned, one after the other; what became used meanwhile stays."""
    outcome = images.Outcome()
    engines.forget(plan.host)
    for item in plan.items:
        if item.kind != "image":
            await _remove_one(engine, item, outcome, say)
    if plan.images is not None and plan.images.doomed:
        users, _ = await look.users(engine, access, config, config.contexts)
        went = await images.remove(engine, plan.images, users, say)
        outcome.removed += went.removed
        outcome.freed += went.freed
        outcome.stayed += went.stayed
    return outcome


async def _remove_one(
    engine: EngineClient, item: Item, outcome: images.Outcome, say: Callable[[str], None]
) -> None:
    freed = item.frees
    try:
        if item.kind == "container":
            await engine.remove(item.id)  # never by force: one that runs again stays
        elif item.kind == "volume":
            await engine.call(
                f"remove volume {item.name}", lambda lane: lane.remove_volume(item.id), timeout=120
            )
        else:
            freed = await _remove_cache(engine, item)
    except NoSuchTarget:
        outcome.stayed.append(f"{item.kind} {item.name} is gone already")
    except BerthError as error:
        outcome.stayed.append(f"{item.kind} {item.name}: {error.message}")
    else:
        outcome.removed += 1
        outcome.freed += freed
        say(f"{engine.host}: removed {item.kind} {item.name}")


async def _remove_cache(engine: EngineClient, item: Item) -> int:
    """One piece of build cache; bytes that came free."""
    wanted: Any = {"id": item.id}  # the SDK's types know `until` alone
    answer = await engine.call(
        f"remove build cache {item.id}",
        lambda lane: lane.prune_builds(filters=wanted),
        timeout=120,
    )
    freed = answer.get("SpaceReclaimed") if isinstance(answer, dict) else None
    if not (isinstance(answer, dict) and answer.get("CachesDeleted")):
        raise NoSuchTarget(f"{item.id} is in use, or gone")
    return freed if isinstance(freed, int) else item.frees
