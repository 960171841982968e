"""What a container offers to those who train in it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from backend.actions.registry import action
from backend.errors import ActionFailed
from backend.model import ContainerRow
from backend.text import printable

if TYPE_CHECKING:
    from backend.actions.context import ActionContext

TIMEOUT = 60.0
"""Seconds; importing torch from a cold disk takes a while."""
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
    script = toolkit.source("showenvs.py")
    for python in PYTHONS:
        async with asyncio.timeout(TIMEOUT):  # what is called python may be anything
            done = await engine.exec(row.id, [python, "-c", script])
        if done.exit_code in (126, 127):
            continue
        for line in done.stdout.decode("utf-8", "replace").splitlines():
            if line.strip():
                ctx.report(printable(line, 1000))
        if done.exit_code:
            said = printable(done.stderr.decode("utf-8", "replace").strip()[-200:], 200)
            raise ActionFailed(f"{row.name} on {row.host}: {python} ended with {done.exit_code}: {said}")
        return f"environment of {row.name} on {row.host}"
    raise ActionFailed(
        f"{row.name} on {row.host} has no Python.", hint="Only containers with Python can be asked."
    )
