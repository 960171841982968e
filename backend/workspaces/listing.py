"""Workspaces, and where they run."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from msgspec import Struct

from backend.contexts import bring_up
from backend.errors import BerthError
from backend.recipes.model import Graph, Kind
from backend.workspaces import services
from backend.workspaces.services import WORKSPACE_LABEL

if TYPE_CHECKING:
    from backend.actions.context import ActionContext
    from backend.config import Context

_LOOK = 10.0


class WorkspaceRow(Struct, frozen=True, kw_only=True):
    """`berth workspace list --json`: a workspace, once for each context."""

    name: str
    folder: str
    """Empty where its recipe is not below the roots."""
    image: str
    context: str = ""
    host: str = ""
    state: str = ""
    """running, stopped, missing, or unknown where its host does not answer; empty without a context."""
    services: tuple[str, ...] = ()
    problem: str = ""


async def rows(ctx: ActionContext, graph: Graph) -> list[WorkspaceRow]:
    """By name; hosts are asked side by side."""
    recipes = {each.name: each for each in graph.recipes.values() if each.kind is Kind.WORKSPACE}
    labelled = [each for each in ctx.config.contexts if WORKSPACE_LABEL in each.options.labels]
    states = await asyncio.gather(*(_state(ctx, each) for each in labelled))
    found = []
    for context, state in zip(labelled, states, strict=True):
        name = context.options.labels[WORKSPACE_LABEL]
        recipe = recipes.get(name)
        found.append(
            WorkspaceRow(
                name=name,
                folder=str(recipe.folder) if recipe else "",
                image=context.image,
                context=context.name,
                host=context.host,
                state=state,
                services=_services(context),
            )
        )
    running = {each.name for each in found}
    for recipe in recipes.values():
        if recipe.name not in running:
            found.append(
                WorkspaceRow(
                    name=recipe.name,
                    folder=str(recipe.folder),
                    image=next(iter(recipe.images), ""),
                    services=tuple(recipe.config.services) or tuple(services.usual()),
                    problem=str(recipe.problems[0]) if recipe.problems else "",
                )
            )
    return sorted(found, key=lambda each: (each.name, each.host, each.context))


def _services(context: Context) -> tuple[str, ...]:
    try:
        return tuple(services.of(context))
    except BerthError:
        return ()


async def _state(ctx: ActionContext, context: Context) -> str:
    try:
        async with asyncio.timeout(_LOOK):
            found = await bring_up.look(await ctx.engine(context.host), context.container)
    except (BerthError, TimeoutError):
        return "unknown"
    if found is None:
        return "missing"
    return "running" if (found.get("State") or {}).get("Running") else "stopped"


def lines(found: list[WorkspaceRow]) -> list[str]:
    """For people: a line each."""
    cells = [
        (
            each.name,
            f"{each.context} on {each.host}" if each.context else "-",
            each.state or "-",
            each.image or "-",
            f"! {each.problem}" if each.problem else each.folder,
        )
        for each in found
    ]
    widths = [max(len(row[column]) for row in cells) for column in range(4)] if cells else []
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]).rstrip()
        for row in cells
    ]
