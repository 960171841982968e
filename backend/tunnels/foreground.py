"""`berth tunnel`: holds tunnels in the foreground until Ctrl+C, or until the last one was stopped."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from backend.actions.context import ActionContext
from backend.actions.runner import Result
from backend.actions.runs import Run
from backend.errors import ActionFailed, BerthError, exit_code_for
from backend.text import printable
from backend.tunnels import asking
from backend.tunnels.asking import Target, Wish
from backend.tunnels.tunnel import Tunnel

if TYPE_CHECKING:
    from backend.access import StandaloneAccess


class Foreground(Run):
    """What a person, or a program with `json`, sees of the tunnels that are held."""

    def __init__(self, wanted: Sequence[Wish], *, json: bool, browser: bool) -> None:
        from backend.actions import ACTIONS
        from backend.talk import Talk

        action = ACTIONS["tunnel"]
        super().__init__(action, None, {}, Talk(action, json=json, yes=False))
        self._json, self._browser = json, browser
        self._wanted = list(wanted)
        self._wide = max((len(each.name) for each in wanted), default=0)
        self._open: dict[Wish, Tunnel] = {}
        self.errors: dict[Wish, BerthError] = {}
        self._printed = False

    def report(self, line: str) -> None:
        """What happens meanwhile: beside the data."""
        super().report(line)
        print(printable(line), file=sys.stderr, flush=True)

    def told(self, wish: Wish, tunnel: Tunnel) -> None:
        """One is open, perhaps at another address than before."""
        first = wish not in self._open
        self._open[wish] = tunnel
        if self._json:
            self._print_all()
        else:
            print(f"{wish.name:<{self._wide}}  {_shown(tunnel)}", flush=True)
        if first and self._browser:
            from backend.workspaces.opening import show

            show(tunnel)

    def failed(self, wish: Wish, error: BerthError) -> None:
        """One is over, or never came about."""
        self.errors[wish] = error
        self.report(f"berth: {wish.name}: {error}" if len(self._wanted) > 1 else f"berth: {error}")
        if self._json:
            self._print_all()

    def _print_all(self) -> None:
        """Once each is open or has failed: one array."""
        if self._printed or len(self._open.keys() | self.errors.keys()) < len(self._wanted):
            return
        self._printed = True
        rows = []
        for wish in self._wanted:
            if tunnel := self._open.get(wish):
                found = msgspec.to_builtins(tunnel.row("shell"))
                rows.append({**found, "url": tunnel.url, "error": None})
            else:
                rows.append({"service": wish.name, "error": str(self.errors[wish])})
        sys.stdout.buffer.write(msgspec.json.encode(rows) + b"\n")
        sys.stdout.buffer.flush()


def _shown(tunnel: Tunnel) -> str:
    return printable(tunnel.url or tunnel.row("").address)


async def run(
    access: StandaloneAccess,
    rows: Sequence[Any],
    *,
    json: bool = False,
    to: str = "",
    services: Sequence[str] = (),
    open: bool = False,
) -> int:
    """What the command line runs; the exit code, the worst of all."""
    found, wanted = asking.split(access.config, [to, *services])
    return await hold(access, found, wanted, json=json, browser=open)


async def hold(
    access: StandaloneAccess, target: Target, wanted: Sequence[Wish], *, json: bool, browser: bool
) -> int:
    """Hold them; the exit code. A cancel ends it, and leaves what runs in containers."""
    if not wanted:
        silent = Foreground((), json=json, browser=False)
        wanted = await asking.only_port(ActionContext(access.config, access, silent), target)
    shown = Foreground(wanted, json=json, browser=browser)
    ctx = ActionContext(access.config, access, shown, notes=shown.notes, secrets=shown.secrets)
    try:
        await asking.hold(ctx, target, wanted, told=shown.told, failed=shown.failed)
    finally:
        _log(shown, target)
    return max((exit_code_for(error) for error in shown.errors.values()), default=0)


def _log(shown: Foreground, target: Target) -> None:
    """Put it on record, as every action is."""
    from backend.activity import ActivityLog

    error = next(iter(shown.errors.values()), None)
    shown.options = {"target": target.label}
    said = f"tunnels to {target.label} were held"
    shown.result = Result(None, said, ActionFailed(error.message, hint=error.hint) if error else None)
    shown.ended_at = datetime.now(UTC)
    shown.state = "failed" if error else "done"
    ActivityLog().append(shown.row())
