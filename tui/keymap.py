"""The keys that settings give to actions."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backend.config import Config


def of_settings(config: Config) -> dict[str, str]:
    """Textual's keymap, checked against all that can be active at the same time, which is imported for it.

    Raises `ConfigError`.
    """
    from backend.actions import commands
    from tui import doing, keys
    from tui.desk import Desk
    from tui.detail.lines import Lines
    from tui.everywhere.screen import EverywhereScreen
    from tui.logs.screen import LogScreen
    from tui.logs.view import LogView
    from tui.output import OutputScreen
    from tui.table import FleetTable
    from tui.views import all_views
    from tui.wall.screen import WallScreen

    doing.declared()
    commands.declare(config.settings)
    fleet = doing.bindings(None)
    return keys.keymap(
        config.settings.keys,
        [
            *(
                (Desk, FleetTable, view, fleet, doing.bindings(view.ROW) if view.ROW is not None else [])
                for view in all_views()
            ),
            (LogScreen, LogView),
            (OutputScreen,),
            (WallScreen,),
            (Lines,),
            (EverywhereScreen, Lines),
        ],
        own=commands.OWN,
    )
