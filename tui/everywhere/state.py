"""A command on many hosts as the dashboard has it: a run of Activity, which goes on when its page is left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from backend.everywhere.following import reported
from backend.everywhere.run import Everywhere, HostRun

if TYPE_CHECKING:
    from backend.actions.context import ActionContext
    from backend.actions.registry import Action
    from backend.actions.runs import Run
    from backend.everywhere.wish import Wish
    from tui.app import BerthApp

KEEP = 256 * 1024
"""Characters of output that are kept of each host."""


class Live:
    """One wish that runs, or has run."""

    def __init__(self, wish: Wish, everywhere: Everywhere) -> None:
        self.wish = wish
        self.everywhere = everywhere
        self.run: Run
        self.changed = 0
        """Counts up with everything that is heard."""
        everywhere.also(self._heard)

    async def _heard(self, run: HostRun, lines: list[str]) -> None:
        self.changed += 1

    @property
    def runs(self) -> list[HostRun]:
        """How it stands with each host."""
        return self.everywhere.runs

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        return self.run.state != "running"


def begin(app: BerthApp, action: Action, wish: Wish, options: Mapping[str, Any]) -> Live:
    """Start it as a run of that action: it is in Activity, can be cancelled there, and tried again."""
    doing = app.doing
    assert doing is not None and app.access is not None
    made = Live(wish, Everywhere(app.config, app.access, wish, keep=KEEP))
    first = [made.everywhere]
    secrets = {str(options[param.name]) for param in action.params if param.option.secret} - {""}

    async def call(ctx: ActionContext, target: None, **_: Any) -> str:
        ctx.secrets.update(secrets)
        ctx.notes["command"] = wish.shown
        ready = first.pop() if first else Everywhere(ctx.config, ctx.access, wish, keep=KEEP)
        return await reported(ctx, wish, ready)

    made.run = doing.begin_as(replace(action, call=call), {"command": wish.shown, **options})
    return made
