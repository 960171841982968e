"""How the Images view learns of recipes and builds: read beside all else, when there is a reason to."""

from __future__ import annotations

import asyncio
import time
from contextlib import AbstractAsyncContextManager
from importlib import import_module
from typing import TYPE_CHECKING

from backend.building import records
from backend.errors import ActionFailed
from backend.imagebook import Bookkeeper
from backend.imagerows import RecipeBook, RecipeFacts
from tui.detail import imagefacts

if TYPE_CHECKING:
    from backend.building.model import Build
    from tui.views.images import ImagesView

_AGAIN = 5.0
"""Seconds for which recipes that were read count as read."""
_LOOK = 1.0
"""Seconds between two looks whether the record of any build has changed."""


class Book:
    """Keeps the recipe book of one view, and the builds that go on."""

    def __init__(self, view: ImagesView) -> None:
        self._view = view
        self._keeper: Bookkeeper | None = None
        self._read_at = float("-inf")
        self._looked_at = float("-inf")
        self._stamp = -1.0
        self._active: tuple[str, ...] = ()
        self._asked = False
        self.builds: list[Build] = []
        """All on record, newest first."""

    def look(self) -> None:
        """The view shows its rows: builds may have got further; the rows of a new builder lack the book."""
        builder = self._view.sources.builder
        if self._keeper is not None and builder.book is not self._keeper.book:
            builder.use_recipes(self._keeper.book)
        if self._view.berth.access is not None and self._keeper is None:
            self.reread()
        self._look_at_builds()

    def reread(self) -> None:
        """Read the recipes again, unless that was done just now."""
        app = self._view.berth
        if app.access is None or time.monotonic() - self._read_at < _AGAIN:
            return
        self._read_at = time.monotonic()
        if self._keeper is None:
            self._keeper = Bookkeeper(app.config)
        self._view.run_worker(self._read(self._keeper), group="recipes", exclusive=True, exit_on_error=False)

    async def _read(self, keeper: Bookkeeper) -> None:
        app = self._view.berth
        hosts = [host.name for host in app.config.hosts if not host.skip and host.engine != "none"]
        try:
            await keeper.read(app.access, hosts, self._changed)
            await self._find_again()
        except Exception as error:
            app.report(error)

    async def _find_again(self) -> None:
        """Builds whose berth has ended go on on their hosts: ask once how those ended that nobody follows."""
        app = self._view.berth
        if self._asked or app.access is None:
            return
        self._asked = True
        from backend.actions.context import ActionContext

        asking = await asyncio.to_thread(import_module, "backend.building.asking")
        await asking.find_again(ActionContext(config=app.config, access=app.access, voice=_Nobody()))

    def facts(self, recipe: str | None) -> RecipeFacts | None:
        """What is known of a recipe."""
        return self._keeper.book.recipes.get(recipe or "") if self._keeper is not None else None

    def _look_at_builds(self) -> None:
        if self._keeper is None or time.monotonic() - self._looked_at < _LOOK:
            return
        self._looked_at = time.monotonic()
        stamp = records.stamp()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        self.builds = records.listed()
        imagefacts.builds_read(self.builds)
        active = tuple(each.id for each in self.builds if each.active)
        ended = set(self._active) - set(active)
        self._active = active
        self._keeper.builds(self.builds, self._take)
        if ended:
            self._read_at = float("-inf")
            self.reread()

    def _take(self, book: RecipeBook) -> None:
        imagefacts.recipes_read(book)
        self._view.sources.builder.use_recipes(book)

    def _changed(self, book: RecipeBook) -> None:
        self._take(book)
        self._view.forget_values()  # columns tell of recipes what no row holds
        if self._view.is_mounted and self._view.display:
            self._view.show_rows()


class _Nobody:
    """There is nobody to tell or to ask."""

    def report(self, line: str) -> None:
        """Unheard."""

    def progress(self, done: int, total: int | None) -> None:
        """Unseen."""

    async def confirm(self, question: str) -> bool:
        """No."""
        return False

    def lend_terminal(self) -> AbstractAsyncContextManager[None]:
        """There is none."""
        raise ActionFailed("there is no terminal to lend.")
