"""The list views. A new one is one file and one line here; its module is imported when it is first shown."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tui.views.base import ListView


class Listed(NamedTuple):
    """What is known of a view before it is imported."""

    name: str
    """In settings.yaml, as widget id, after `:`, and its module here."""
    number: int
    """The key that shows it, and its place in the header."""
    title: str
    kind: str
    """Its class."""
    aliases: tuple[str, ...] = ()
    """Other words for it after `:`."""


LISTED = (
    Listed("fleet", 1, "Fleet", "FleetView", ("hosts", "host")),
    Listed("gpus", 2, "GPUs", "GpusView", ("gpu",)),
    Listed("containers", 3, "Containers", "ContainersView", ("ps", "container")),
    Listed("contexts", 4, "Contexts", "ContextsView", ("context", "ctx")),
    Listed("jobs", 5, "Jobs", "JobsView", ("job", "queue")),
    Listed("images", 6, "Images", "ImagesView", ("image", "img")),
    Listed("sessions", 7, "Sessions", "SessionsView", ("session", "tmux")),
    Listed("activity", 8, "Activity", "ActivityView", ("act", "history")),
    Listed("tunnels", 9, "Tunnels", "TunnelsView", ("tunnel",)),
)
"""In the order of their numbers."""


def view_class(name: str) -> type[ListView]:
    """The class of a view, imported now."""
    kind = next(listed.kind for listed in LISTED if listed.name == name)
    found: type[ListView] = getattr(import_module(f"tui.views.{name}"), kind)
    return found


def all_views() -> tuple[type[ListView], ...]:
    """All of them, in the order of their numbers."""
    return tuple(view_class(listed.name) for listed in LISTED)


def __getattr__(name: str) -> tuple[type[ListView], ...]:
    """`VIEWS`: `all_views()`, imported when it is first asked for."""
    if name == "VIEWS":
        return all_views()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
