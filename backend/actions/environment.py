"""What a container offers to those who train in it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from backend.actions.registry import Option, action
from backend.errors import ActionFailed
from backend.model import ContainerRow, ContextRow
from backend.text import printable

if TYPE_CHECKING:
    from backend.actions.context import ActionContext

TIMEOUT = 60.0
"""Seconds; importing torch from a cold disk takes a while."""
GROUP = "Container"
Tools = Annotated[bool, Option("packages: those named, else those of settings", ask=True)]
Environment = Annotated[bool, Option("the toolkit, and that shells load its environment", ask=True)]
User = Annotated[str, Option("whose shells; default: the context's user, else the container's", short="u")]
DryRun = Annotated[bool, Option("only show what would be done")]
PYTHONS = ("python3", "python", "/opt/conda/bin/python", "/usr/bin/python3")


@action(
    on=ContainerRow,
    verb="envs",
    title="frameworks",
    key="v",
    applies=lambda row: row.state == "running",
    changes=False,
    bulk=False,
    prints=True,
    group="Container",
)
async def showenvs(ctx: ActionContext, row: ContainerRow) -> str:
    """Show the framework environment inside: Python, torch, triton, CUDA or ROCm, GPUs, variables.

    Values of variables that look like secrets are not shown.
    """
    from backend import toolkit

    engine = await ctx.engine(row.host)
    script = _bounded(toolkit.source("showenvs.py"), TIMEOUT)
    for python in PYTHONS:
        async with asyncio.timeout(TIMEOUT):  # what is called python may be anything
            done = await engine.exec(row.id, [python, "-c", script])
        if done.exit_code in (126, 127):
            continue
        lines = [line for line in done.stdout.decode("utf-8", "replace").splitlines() if line.strip()]
        for line in lines:
            ctx.report(printable(line, 1000))
        ctx.give(_named(lines))
        if done.exit_code:
            said = printable(done.stderr.decode("utf-8", "replace").strip()[-200:], 200)
            raise ActionFailed(f"{row.name} on {row.host}: {python} ended with {done.exit_code}: {said}")
        return f"environment of {row.name} on {row.host}"
    raise ActionFailed(
        f"{row.name} on {row.host} has no Python.", hint="Only containers with Python can be asked."
    )


def _named(lines: Sequence[str]) -> dict[str, str]:
    """The values by their names, as showenvs.py writes them; some have further lines (one per GPU)."""
    found: dict[str, str] = {}
    last = ""
    for line in lines:
        name, colon, value = line.partition(": ")
        if colon:
            last, found[name] = name, value
        elif last:
            found[last] += f"\n{line}"
    return found


def _bounded(script: str, seconds: float) -> str:
    """A program of Python that ends after a while whatever happens: engines leave a process that nobody waits
    for."""
    bound = f"import signal; signal.alarm({math.ceil(seconds)})"
    return f"{bound}\nexec(compile({script!r}, 'showenvs', 'exec'))"  # it begins with an import of its own


def _runs(row: ContainerRow) -> bool:
    return row.state == "running"


def _may_run(row: ContextRow) -> bool:
    return row.state not in ("missing", "exited", "created", "dead")


@action(on=ContainerRow, key="I", applies=_runs, prints=True, bulk=False, group=GROUP)
async def install(
    ctx: ActionContext,
    row: ContainerRow,
    *,
    tool: Annotated[
        tuple[str, ...], Option("packages by Debian's names; default: settings", positional=True)
    ] = (),
    tools: Tools = True,
    environment: Environment = True,
    user: User = "",
    dry_run: DryRun = False,
) -> str:
    """Install tools and the tuned environment in the container.

    Packages come by its own package manager (apt, dnf, yum, zypper, apk), the toolkit goes to ~/shared/bin,
    on the host where that is mounted. What is there already is left as it is. berth context toggle switches
    the environment off and on, uninstall takes it away.
    """
    from backend.prepare.tools import Asked, Install, packages_of

    names = packages_of(tool) or ctx.config.settings.tools
    asked = Asked(names if tools else (), environment, user, dry_run)
    return await Install(ctx, row, await ctx.engine(row.host), asked).run()


@action(
    on=ContextRow, name="install-context", verb="", title="install", key="I", applies=_may_run, prints=True,
    bulk=False, group=GROUP,
)  # fmt: skip
async def install_context(
    ctx: ActionContext,
    row: ContextRow,
    *,
    tools: Tools = True,
    environment: Environment = True,
) -> str:
    """Install tools and the tuned environment in the context's container."""
    from backend.terminal.visits import container_of

    return await install(ctx, container_of(row), tools=tools, environment=environment)  # type: ignore[return-value]


@action(on=ContainerRow, applies=_runs, prints=True, group=GROUP)
async def uninstall(
    ctx: ActionContext, row: ContainerRow, *, user: User = "", dry_run: DryRun = False
) -> str:
    """Take the toolkit and the environment out of the container.

    Shows what will be taken out, and asks. What was changed since it was put there stays, and is said.
    Packages stay.
    """
    from backend.prepare.tools import uninstall

    return await uninstall(ctx, row, user=user, dry_run=dry_run)
