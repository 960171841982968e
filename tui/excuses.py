"""Why a key does nothing to this row now: a key that is silent leaves people guessing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from backend.actions.runner import label
from tui import doing
from tui.keys import bindings_of

if TYPE_CHECKING:
    from backend.actions import Action
    from backend.config import Config
    from tui.desk import Desk

_DOES = re.compile(r"screen\.do\('(.+)'\)")
STARTERS = ("start", "unpause", "up")
"""Actions that make a row one that more can be done to."""


def why_silent(desk: Desk, key: str) -> str:
    """Why a key does nothing now, briefly; empty for one that never does anything in this view."""
    keymap: dict[str, str] = getattr(desk.app, "_keymap", {})

    def has(name: str | None, own: str) -> bool:
        return key in keymap.get(name or "", own).split(",")

    view = desk.view
    for binding in bindings_of(type(view)):
        if has(binding.id, binding.key) and (why := view.why_not(binding.action)):
            return why
    for action in _of_fleet(desk, has):
        if desk.can_act and doing.refused(action, (), desk.config, read_only=desk.read_only):
            return why_not(action, (), desk.config, read_only=desk.read_only)
    kinds = (None,) if view.ROW is None else (view.ROW, None)
    for action in (each for kind in kinds for each in doing.of_kind(kind)):
        if action.key and has(action.name, action.key):
            if not desk.can_act:
                return "Not connected yet."
            return why_not(action, view.targets(), desk.config, read_only=desk.read_only)
    return ""


def _of_fleet(desk: Desk, has: Callable[[str | None, str], bool]) -> Iterator[Action]:
    """What a view binds of the fleet's actions: there it comes before one of the rows with the same key."""
    for key, bound in desk.view._bindings:
        if has(bound.id, key) and (match := _DOES.fullmatch(bound.action)):
            action = doing.declared().get(match[1])
            if action is not None and action.on is None:
                yield action


def why_not(action: Action, rows: Sequence[Any], config: Config, *, read_only: bool) -> str:
    """Why an action cannot be done to these rows now: the state they are in, or who forbids it."""
    title = action.title
    if action.on is not None and not rows:
        return f"{title}: there is no row"
    if doing.refused(action, rows, config, read_only=read_only):
        whole = action.on is None or read_only or config.settings.read_only
        return f"{title}: " + ("berth is read-only" if whole else f"{label(rows[0])} is on a read-only host")
    if len(rows) > 1:
        return f"{title}: for none of the {len(rows)} marked"
    row = rows[0] if rows else None
    state = getattr(row, "state", None)
    if state is None:
        return f"{title}: not for {label(row)}"
    others = [each for each in doing.of_kind(action.on) if each.name in STARTERS and each is not action]
    way = next((f" ({each.key}: {each.title})" for each in others if each.key and each.applies(row)), "")
    return f"{title}: {label(row)} is {getattr(state, 'value', state)}{way}"
