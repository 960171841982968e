"""A run on many hosts as an action of the dashboard: its lines in Activity, its end as a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backend.errors import ActionFailed
from backend.everywhere.run import Everywhere, HostRun, worst
from backend.everywhere.wish import Wish

if TYPE_CHECKING:
    from backend.actions.context import ActionContext


async def reported(ctx: ActionContext, wish: Wish, everywhere: Everywhere | None = None) -> str:
    """Run a wish, or one that was made ready. Raises `ActionFailed` where not all ended with 0."""

    async def heard(run: HostRun, lines: list[str]) -> None:
        for line in lines:
            ctx.report(f"{run.host}: {line}")

    made = everywhere or Everywhere(ctx.config, ctx.access, wish)
    made.also(heard)
    await made.run()
    said = ended(made.runs, wish.shown)
    return said + (f"; read-only and left out: {', '.join(wish.left_out)}" if wish.left_out else "")


def ended(runs: list[HostRun], what: str) -> str:
    """How it went, as a sentence. Raises `ActionFailed` with the exit code of all together."""
    bad = [run for run in runs if not run.ok]
    hosts = "1 host" if len(runs) == 1 else f"{len(runs)} hosts"
    if not bad:
        return f"{what}: done on {hosts}"
    if len(runs) == 1 and bad[0].error:
        failed = ActionFailed(f"{what}: {bad[0].error}", hint=bad[0].hint)
    else:
        said = ", ".join(f"{run.host} ({run.verdict})" for run in bad[:5])
        more = f" and {len(bad) - 5} more" if len(bad) > 5 else ""
        failed = ActionFailed(f"{what}: not done on {len(bad)} of {hosts}: {said}{more}.", hint=bad[0].hint)
    failed.exit_code = worst(runs)
    raise failed
