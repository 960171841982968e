"""Start a context with the image that its name means now: made anew where its container has an older one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backend.contexts import bring_up, files
from backend.errors import Refused
from backend.recreate.swap import Swap

if TYPE_CHECKING:
    from backend.actions.context import ActionContext
    from backend.config import Context


async def start_again(ctx: ActionContext, context: Context) -> str:
    """What was done, in one line. A container that must give way is put back where the new one fails."""
    engine = await ctx.engine(context.host)
    found = await bring_up.look(engine, context.container)
    if found is None:
        return await bring_up.up(ctx, context)
    image = str((await engine.inspect_image(context.image)).get("Id") or "")
    if str(found.get("Image") or "").removeprefix("sha256:") == image.removeprefix("sha256:"):
        return await bring_up.up(ctx, context)
    swap = Swap(engine, found, lambda: ctx.engine(context.host))
    body = await bring_up.request(ctx, context, existing=found)
    made = await swap.run(body)
    ctx.notes["container"] = made
    if not swap.ran:
        await engine.start(made)
    files.use(context.name)
    where = f"{context.container} on {context.host} was made again with what was built"
    try:
        agreed = await ctx.confirm(f"{where}. Remove the old container, {swap.kept}?")
    except Refused:
        agreed = False
    if not agreed:
        return f"{where}; the old one is {swap.kept}"
    await engine.remove(swap.old)
    return f"{where}; the old one was removed"
