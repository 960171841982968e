"""Opens the page of a command for many hosts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from backend.errors import Refused
from backend.everywhere.wish import Wish, choose
from backend.model import HostRow

if TYPE_CHECKING:
    from backend.actions.registry import Action
    from backend.config import Config
    from tui.app import BerthApp


def open_everywhere(app: BerthApp, rows: Sequence[Any] = (), text: str = "") -> None:
    """An empty page, or one with a command that runs at once. `rows`: hosts that were marked.

    Raises what keeps the command from being run.
    """
    from tui.doing import declared
    from tui.everywhere.screen import EverywhereScreen

    if app.desk.read_only:
        raise Refused(
            "everywhere: berth is read-only.", hint="Commands of your own with `reads: true` can be run."
        )
    hosts = tuple(row.name for row in rows if isinstance(row, HostRow)) if len(rows) > 1 else ()
    wish = wish_of(app.config, text, hosts) if text.strip() else None
    app.push_screen(EverywhereScreen(declared()["each"], hosts=hosts, wish=wish))


def open_own(app: BerthApp, action: Action, options: Mapping[str, Any]) -> None:
    """The page of a command of the user's own that is for all hosts."""
    from backend.actions.commands import OWN
    from backend.everywhere.own import wish_of as own_wish
    from tui.everywhere.screen import EverywhereScreen

    wish = own_wish(app.config, OWN[action.name], options)
    app.push_screen(EverywhereScreen(action, wish=wish, options=options))


def wish_of(config: Config, text: str, hosts: Sequence[str] = ()) -> Wish:
    """What was typed: a line for the shell; words with `@` before it are hosts and tags."""
    named: list[str] = []
    tags: list[str] = []
    text = text.strip()
    while text.startswith("@"):
        word, _, text = text.partition(" ")
        text = text.strip()
        known = any(host.name == word[1:] for host in config.hosts)
        (named if known else tags).append(word[1:])
    chosen, left_out = choose(config, hosts=named or ([] if tags else hosts), tags=tags)
    return Wish((text,), chosen, left_out=left_out)
