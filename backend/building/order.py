"""What was asked for together: recipes and all they stand on, on one or many hosts, side by side.

Each host works for itself: parents first, siblings side by side, at most `jobs` at a time. What fails takes
along only what stands on it. What was built stays: the same order again goes on from there.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec.structs import replace

from backend.building import records
from backend.building.bases import Bases, Confirm
from backend.building.byjob import by_job
from backend.building.glance import Glance, glance
from backend.building.model import Build, BuildState, Request
from backend.building.one import One
from backend.building.records import Record, failed
from backend.building.rendering import Rendering, overrides
from backend.errors import BerthError, EngineError, HostError
from backend.recipes.discover import load
from backend.recipes.graph import RecipeGraph
from backend.recipes.model import Recipe
from backend.recipes.staging import staging
from backend.text import duration, size

if TYPE_CHECKING:
    from backend.actions.context import Access
    from backend.config import Config

Say = Callable[[str], None]
GO_ON, STOP = "go-on", "stop"
_CHANNELS = 6
"""Builds at a time over one connection: sshd allows ten sessions, and others need some."""
_SENDING = 2
"""Contexts on their way to one host at a time."""
_LOOK = 0.4
"""Seconds between two looks whether somebody wishes the end of a build."""
_GOOD = frozenset({BuildState.FRESH, BuildState.DONE})


class Order:
    """One call of `berth images build`."""

    def __init__(
        self, config: Config, access: Access, request: Request, *, say: Say, confirm: Confirm, id: str = ""
    ) -> None:
        self.id = id or records.new_id()
        self.request = request
        self.records: list[Record] = []
        """One per recipe and host, parents first."""
        self._config = config
        self._access = access
        self._say = say
        self._confirm = confirm
        self._bases = Bases(config, access, confirm, pull=request.pull, check=request.check is not False)
        settings = config.settings.images
        self._jobs = request.jobs or settings.jobs
        self._lost = request.lost or (STOP if settings.stop_when_lost else GO_ON)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._cancelled: set[str] = set()
        self._graph: RecipeGraph | None = None
        self._recipes: list[Recipe] = []
        self._sending: dict[str, asyncio.Semaphore] = {}
        self._looks: dict[str, Glance | None] = {}
        self._looking: Mapping[str, asyncio.Task[Glance | None]] = {}

    async def prepare(self) -> None:
        """Read the recipes. Raises what is wrong with them, or with the request, as a whole."""
        graph = await load(self._config, roots=self.request.roots, overrides=overrides(self.request))
        levels = graph.order([graph.find(name).name for name in self.request.names])
        self._recipes = [recipe for level in levels for recipe in level]
        self._graph = graph

    async def run(self) -> list[Build]:
        """Build; how each ended. Raises what `prepare` does.

        A cancel ends all builds on their hosts before it is passed on.
        """
        looking = {name: asyncio.create_task(self._glance(name)) for name in self.request.hosts}
        try:
            records.settle()
            if self._graph is None:
                await self.prepare()
            await self._carry_out(looking)
        finally:
            for task in looking.values():
                task.cancel()
            await asyncio.gather(*looking.values(), return_exceptions=True)
        return [record.build for record in self.records]

    async def _glance(self, host: str) -> Glance | None:
        """Connect while recipes are read."""
        if by_job(self._config.host(host), self.request):
            return None
        return await glance(self._access, self._config.host(host))

    async def _carry_out(self, looking: Mapping[str, asyncio.Task[Glance | None]]) -> None:
        assert self._graph is not None
        self._looking = looking
        with records.own(self.id):
            async with staging() as into:
                rendering = Rendering(self._graph, into, self._say, cached=self.request.cached)
                try:
                    await self._all(self._recipes, rendering)
                finally:
                    await rendering.close()

    async def _all(self, recipes: list[Recipe], rendering: Rendering) -> None:
        watching = asyncio.create_task(self._watch())
        try:
            async with asyncio.TaskGroup() as group:
                for host in self.request.hosts:
                    group.create_task(self._host(host, recipes, rendering))
        finally:
            watching.cancel()
            for record in self.records:
                if record.build.active and record.build.state is not BuildState.DETACHED:
                    record.update(record.build.to(BuildState.CANCELLED))
                record.close()

    async def _watch(self) -> None:
        """End builds that another berth wishes to end."""
        while True:
            await asyncio.sleep(_LOOK)
            for build, task in list(self._tasks.items()):
                if not task.done() and records.cancel_asked(build):
                    self.cancel(build)

    def cancel(self, build: str) -> None:
        """End one build; what stands on it is skipped."""
        if (task := self._tasks.get(build)) is not None:
            self._cancelled.add(build)
            task.cancel()

    # ------------------------------------------------------------------------------------- a host

    async def _host(self, host: str, recipes: list[Recipe], rendering: Rendering) -> None:
        """All recipes on one host."""
        here = {recipe.name: Record(self._build(host, recipe)) for recipe in recipes}
        self.records += here.values()
        if by_job(self._config.host(host), self.request):
            await self._cluster(host, recipes, list(here.values()), rendering)
            return
        gate = asyncio.Semaphore(self._jobs if self._config.host(host).local else min(self._jobs, _CHANNELS))
        # while the host is being connected to; what is wrong with a recipe is told when its turn comes
        ahead = asyncio.gather(
            *(rendering.of(recipe, self._access, host) for recipe in recipes), return_exceptions=True
        )
        try:
            self._looks[host] = await asyncio.shield(self._looking[host])
            if self._looks[host] is None:
                await self._access.engine(host)  # once, before all want it
        except BerthError as error:
            ahead.cancel()
            for record in here.values():
                record.keep()
                failed(record, error)
            self._say(f"{host}: {error}")
            return
        tasks: dict[str, asyncio.Task[None]] = {}
        try:
            for recipe in recipes:
                above = [(here[name], tasks[name]) for name in _parents(recipe, here)]
                work = self._recipe(here[recipe.name], recipe, above, rendering, gate)
                task = asyncio.create_task(work, name=f"build {recipe.name} on {host}")
                tasks[recipe.name] = self._tasks[here[recipe.name].build.id] = task
            await asyncio.wait(tasks.values())
        except asyncio.CancelledError:
            for task in tasks.values():
                task.cancel()
            raise
        finally:
            await asyncio.gather(*tasks.values(), return_exceptions=True)
            if (look := self._looks[host]) is not None:
                await look.close()
        for task in tasks.values():
            if not task.cancelled():
                task.result()  # a bug is not hidden

    async def _cluster(
        self, host: str, recipes: list[Recipe], records: list[Record], rendering: Rendering
    ) -> None:
        """All recipes on a cluster: they are one job, and end together."""
        from backend.building.cluster import ClusterBuild

        built = ClusterBuild(
            self._config, self._access, self.request, self.id, host, say=self._say, confirm=self._confirm
        )
        task = asyncio.create_task(built.run(recipes, records, rendering), name=f"build on {host}")
        for record in records:
            self._tasks[record.build.id] = task
        try:
            await asyncio.wait({task})
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if not task.cancelled():
            task.result()  # a bug is not hidden

    def _build(self, host: str, recipe: Recipe) -> Build:
        return Build(
            id=records.new_id(),
            order=self.id,
            host=host,
            recipe=recipe.name,
            images=recipe.images,
            created_at=datetime.now(UTC),
            pid=os.getpid(),
            request=self.request,
        )

    async def _recipe(
        self,
        record: Record,
        recipe: Recipe,
        above: list[tuple[Record, asyncio.Task[None]]],
        rendering: Rendering,
        gate: asyncio.Semaphore,
    ) -> None:
        """One recipe on one host, from the look whether it is fresh to its end. Raises only bugs."""
        where = f"{record.build.host} {recipe.name}"

        def say(line: str) -> None:
            self._say(f"{where}: {line}")

        try:
            rendered = await rendering.of(recipe, self._access, record.build.host)
            record.update(replace(record.build, images=rendered.tags))
            sending = self._sending.setdefault(record.build.host, asyncio.Semaphore(_SENDING))
            one = One(record, rendered, self.request, source=recipe.file, sending=sending)
            why = await self._stale(one)
            if why:
                record.update(replace(record.build, why=why))
                record.keep()
            await _after([task for _, task in above])
            if bad := next((each for each, _ in above if each.build.state not in _GOOD), None):
                record.keep()
                text = f"{bad.build.recipe} could not be built"
                record.update(record.build.to(BuildState.SKIPPED, error=f"{text}, on which it stands"))
                say(f"left out: {text}")
                return
            if any(each.build.state is BuildState.DONE for each, _ in above):
                why = await self._stale(one)
            if not why:
                record.update(record.build.to(BuildState.FRESH))
                say("nothing to do")
                return
            record.keep()
            async with gate:
                say(f"is built: {why}")
                await self._timed(one, say)
        except asyncio.CancelledError:
            record.keep()
            record.update(record.build.to(BuildState.CANCELLED))
            say("cancelled")
            if record.build.id not in self._cancelled:
                raise
        except BerthError as error:
            record.keep()
            if record.build.state is BuildState.DETACHED and isinstance(error, HostError):
                record.update(replace(record.build, error=error.message))
                say(f"goes on there: {error}")
                return
            failed(record, error)
            for line in record.build.tail:
                say(f"| {line}")
            say(f"failed: {error.message}")

    async def _stale(self, one: One) -> str:
        """Why it has to be built: by the first look where that works, else by the engine's client."""
        host = one.record.build.host
        if (look := self._looks[host]) is not None:
            try:
                return await one.stale(look, self._bases)
            except EngineError:
                self._looks[host] = None
        return await one.stale(await self._access.engine(host), self._bases)

    async def _timed(self, one: One, say: Say) -> None:
        record = one.record
        record.update(replace(record.build, started_at=datetime.now(UTC)))
        try:
            look = self._looks.get(record.build.host)
            await one.build(self._access, self._bases, say, lost=self._lost, look=look)
        finally:
            if (look := self._looks[record.build.host]) is not None:
                look.forget()
        if record.build.state is BuildState.FRESH:
            say("nothing to do any more")
            return
        await one.finish(self._access, say)
        record.update(record.build.to(BuildState.DONE))
        sent = "" if record.build.sent is None else f", {size(record.build.sent)} sent"
        say(f"built {record.build.images[0]} in {duration(record.build.seconds)}{sent}")


def _parents(recipe: Recipe, here: Mapping[str, Record]) -> Iterable[str]:
    found = dict.fromkeys(each.recipe for each in recipe.dependencies if each.recipe)
    return [name for name in found if name in here and name != recipe.name]


async def _after(tasks: list[asyncio.Task[None]]) -> None:
    """Wait until these have ended, however."""
    if tasks:
        await asyncio.wait(tasks)


def worst(builds: Iterable[Build]) -> BuildState | None:
    """The state of the first build that did not go well; None where all did."""
    return next((each.state for each in builds if each.state not in _GOOD), None)
