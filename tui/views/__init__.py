"""The list views. A new one is one file and one line here."""

from __future__ import annotations

from tui.views.activity import ActivityView
from tui.views.base import ListView
from tui.views.containers import ContainersView
from tui.views.contexts import ContextsView
from tui.views.fleet import FleetView
from tui.views.gpus import GpusView
from tui.views.sessions import SessionsView

VIEWS: tuple[type[ListView], ...] = (
    FleetView,
    GpusView,
    ContainersView,
    ContextsView,
    SessionsView,
    ActivityView,
)
"""In the order of their numbers."""

__all__ = ["VIEWS", "ListView"]
