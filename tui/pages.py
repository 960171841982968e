"""Lists that are no views: a page of its own for each, opened by its action and by `:NAME`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from textual.screen import Screen


class Page(NamedTuple):
    """What is known of a page before it is imported."""

    action: str
    """The action that opens it."""
    title: str
    place: str
    """`module:class`; it is made without arguments, and reaches what it needs by its app."""


PAGES: dict[str, Page] = {
    "disk": Page("disk-host", "The disks of a host: what fills them", "tui.disk.screen:DiskScreen"),
    "disks": Page("disk-show", "The disks of a host: what fills them", "tui.disk.screen:DiskScreen"),
    "mounts": Page("mounts", "Folders of hosts that are mounted here", "tui.mounts.screen:MountScreen"),
    "ownership": Page(
        "ownership-list", "What keeps ownership right on hosts", "tui.ownership.screen:OwnershipScreen"
    ),
}
"""By the word after `:`."""
BY_ACTION = {page.action: page for page in PAGES.values()}


def make(page: Page) -> Screen[None]:
    """The screen, imported now."""
    module, _, name = page.place.partition(":")
    screen: Screen[None] = getattr(import_module(module), name)()
    return screen
