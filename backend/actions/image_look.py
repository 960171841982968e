"""Looking at images: what they are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import to_builtins

from backend.actions.images import GROUP, is_there, the_same
from backend.actions.registry import Option, action
from backend.model import ImageRow
from backend.text import age, printable, size

if TYPE_CHECKING:
    from backend.actions.context import ActionContext

_FOLDED = 120
"""Characters of a command that are shown unless all are asked for."""


@action(
    on=ImageRow,
    verb="image layers",
    key="l",
    title="layers",
    applies=is_there,
    changes=False,
    prints=True,
    footer=True,
    group=GROUP,
)
async def image_layers(
    ctx: ActionContext,
    row: ImageRow,
    *,
    full: Annotated[bool, Option("whole commands, however long they are")] = False,
) -> str:
    """Show an image's layers, the lowest first: bytes, age and the command that made each."""
    from backend.images import look

    engine = await ctx.engine(row.host)
    facts = await look.facts(engine, await the_same(engine, row))
    listed = []
    for place, step in enumerate(facts.layers):
        command = printable(step.command, 20_000 if full else _FOLDED)
        last = place == len(facts.layers) - 1
        tags = step.tags or (facts.tags if last else ())  # Podman does not say them here
        listed.append(to_builtins(step) | {"tags": list(tags)})
        names = f"  <- {', '.join(tags)}" if tags else ""
        made = age(step.created_at) if step.created_at is not None else "-"
        ctx.report(f"{size(step.size) if step.size else '-':>7}  {made:>8}  {command}{printable(names, 300)}")
    ctx.give(
        {
            "host": row.host,
            "name": row.name,
            "id": facts.id,
            "size": facts.size,
            "created_at": to_builtins(facts.created_at),
            "layers": listed,
        }
    )
    real = sum(step.size > 0 for step in facts.layers)
    return f"{row.host}/{row.name}: {size(facts.size)} in {real} layers"
