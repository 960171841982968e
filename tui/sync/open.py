"""From hosts, contexts and the palette to the sync screen. Light: the rest is imported then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from backend.model import ContextRow, HostRow

if TYPE_CHECKING:
    from backend.actions import Action
    from backend.actions.context import Access
    from backend.config import Config
    from backend.sync.model import Way
    from tui.app import BerthApp
    from tui.sync.state import Syncing

VERBS = {
    "sync-host": "push",
    "sync-context": "push",
    "push-files": "push",
    "pull-files": "pull",
    "sync-files": "sync",
    "pushdir": "push",
    "pulldir": "pull",
}
"""Actions that the screen is for, and what they begin with."""


def open_sync(  # noqa: PLR0917  # what an action has
    app: BerthApp,
    action: Action,
    rows: Sequence[Any],
    options: Mapping[str, Any],
    config: Config,
    access: Access,
) -> None:
    """Open the screen for these hosts or contexts. Raises `UsageError`, `NoSuchTarget`."""
    from backend.sync.engine import Wish
    from backend.sync.folder import wish as folder_wish
    from backend.sync.plan import Options
    from backend.sync.where import choose, of_hosts
    from tui.sync import watching
    from tui.sync.screen import SyncScreen
    from tui.sync.state import Syncing

    verb = VERBS[action.name]
    hosts = [
        row.host if isinstance(row, ContextRow) else row.name
        for row in rows
        if isinstance(row, HostRow | ContextRow)
    ]
    chosen = tuple(dict.fromkeys(hosts or options.get("host") or ()))
    names = [row.sync for row in _contexts(rows, config) if row.sync]
    profile, found = choose(config, verb, names[0] if names else of_hosts(config, verb, chosen), hosts=chosen)
    if names and not any(rule.direction in (verb, "both") for rule in profile.rules):
        verb = "sync"

    def make(verb: str, name: str, delete: bool | None) -> Syncing:
        return Syncing(config, access, found, Wish(config.profile(name), Options(verb, delete=delete)))

    if action.name in ("pushdir", "pulldir"):
        way: Way = "push" if verb == "push" else "pull"
        wanted = folder_wish(str(options.get("directory") or ""), way, config.keeping)
        first = Syncing(config, access, found, wanted, folders=True)
    else:
        watched = watching.of(app, found) if hosts else None
        first = watched or make(verb, profile.name, None)
    app.push_screen(SyncScreen(first, make, choices(config)))


def choices(config: Config) -> list[tuple[str, Any]]:
    """Each profile with each verb that has something to do in it."""
    found: list[tuple[str, Any]] = []
    for profile in config.profiles:
        directions = {rule.direction for rule in profile.rules}
        if directions & {"push", "both"}:
            found.append(("push", profile))
        if directions & {"pull", "both"}:
            found.append(("pull", profile))
        if "both" in directions or len(directions) > 1:
            found.append(("sync", profile))
    return found


def _contexts(rows: Sequence[Any], config: Config) -> list[Any]:
    names = {row.name for row in rows if isinstance(row, ContextRow)}
    return [each for each in config.contexts if each.name in names]
