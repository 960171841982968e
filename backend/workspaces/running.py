"""A workspace's container: made and started, and waited for until its pre-run hook has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from backend.contexts import bring_up, editing, files
from backend.errors import ActionFailed, EngineError, NoSuchTarget, UsageError
from backend.imagenames import whole
from backend.recipes.hooks import DATA
from backend.recipes.model import Recipe
from backend.text import printable
from backend.workspaces import folders, making, services
from backend.workspaces.making import Asked

if TYPE_CHECKING:
    from backend.actions.context import ActionContext
    from backend.config import Context
    from backend.engine import EngineClient
    from backend.link import Link

_WAIT = 15.0
_PATIENCE = 2.0
"""Seconds after which it is said that a hook takes its time."""


async def run(
    ctx: ActionContext, recipe: Recipe, host: str, asked: Asked, *, again: bool = False
) -> tuple[ActionContext, Context]:
    """The workspace's context with its container running, and a `ctx` that knows it.

    Raises `ActionFailed` where its image is not there, or its container does not stay.
    """
    link = await ctx.link(host)
    engine = await ctx.engine(host)
    await _have_image(engine, recipe)
    context = making.existing(ctx.config, recipe.name, host, asked.context)
    if context is None:
        context = await _new(ctx, recipe, link, engine, asked)
    else:
        context = _renewed(ctx, recipe, context, asked)
        await _have_data(ctx, link, recipe, _mounted(context))
    ctx = _knowing(ctx, context)
    await _up(ctx, engine, context, again=again)
    await ready(ctx, engine, context)
    return ctx, context


async def _have_image(engine: EngineClient, recipe: Recipe) -> None:
    try:
        await engine.inspect_image(recipe.images[0])
    except NoSuchTarget:
        raise ActionFailed(
            f"{engine.host} has no image {recipe.images[0]}.",
            hint=f"Build it with: berth workspace build {recipe.name} --host {engine.host}",
        ) from None


async def _new(ctx: ActionContext, recipe: Recipe, link: Link, engine: EngineClient, asked: Asked) -> Context:
    data = folders.place(recipe, asked.data, local=link.local)
    full = await _have_data(ctx, link, recipe, data)
    owner = user_inside(await engine.info(), await _owner(link))
    count = len(await bring_up.gpus(ctx, link.name)) if not asked.gpus else 0
    context = await making.write(ctx.config, recipe, link, asked, data=full, owner=owner, count=count)
    ctx.report(f"made the context {context.name}")
    if not asked.gpus and not count:
        ctx.report(f"{link.name} has no GPU that berth can see")
    return context


async def _have_data(ctx: ActionContext, link: Link, recipe: Recipe, data: str) -> str:
    """The folder of the host that is mounted, made where it is missing; its full path."""
    full, made = await folders.have(link, data)
    ctx.report(
        f"{printable(full)} on {link.name} is {DATA}" + (": it was made now, and is empty" if made else "")
    )
    if made and not link.local:
        ctx.report(folders.bringing(recipe, link.name, data))
    return full


def _mounted(context: Context) -> str:
    """The folder of the host that a context mounts at /data."""
    for mount in context.mounts:
        source, _, target = mount.partition(":")
        if target.partition(":")[0] == DATA and source.startswith(("/", "~/")):
            return source
    raise UsageError(
        f"context {context.name} mounts nothing at {DATA}.", hint="Mend it with: berth context edit"
    )


def _renewed(ctx: ActionContext, recipe: Recipe, context: Context, asked: Asked) -> Context:
    """The context with what is said now; the rest stays as people wrote it."""
    text = before = files.text_of(ctx.config, context.name)
    if asked.gpus:
        text = editing.with_value(text, "gpus", making.gpus(asked.gpus, 0))
    if asked.data:
        others = [each for each in context.mounts if each.split(":")[1] != DATA]
        text = editing.with_value(text, "mounts", [*others, f"{asked.data.rstrip('/')}:{DATA}"])
    if whole(context.image) != whole(recipe.images[0]):
        text = editing.with_value(text, "image", recipe.images[0])
    declared = services.label(recipe.config.services)
    if context.options.labels.get(services.SERVICES_LABEL, "") != declared:
        text = editing.with_value(text, "options", _options(context, declared))
    return files.change(ctx.config, context.name, text) if text != before else context


def _options(context: Context, declared: str) -> dict[str, Any]:
    """Options with other services; what says nothing is left out."""
    found: dict[str, Any] = msgspec.to_builtins(context.options)
    found["labels"] = {**found["labels"], services.SERVICES_LABEL: declared}
    if not declared:
        del found["labels"][services.SERVICES_LABEL]
    return {key: value for key, value in found.items() if value}


def _knowing(ctx: ActionContext, context: Context) -> ActionContext:
    others = tuple(each for each in ctx.config.contexts if each.name != context.name)
    return replace(ctx, config=msgspec.structs.replace(ctx.config, contexts=(*others, context)))


async def _up(ctx: ActionContext, engine: EngineClient, context: Context, *, again: bool) -> None:
    """Start it, made anew where its image was built since. One that runs is left alone unless asked for."""
    found = await bring_up.look(engine, context.container)
    if found is not None and not again and (found.get("State") or {}).get("Running"):
        image = str((await engine.inspect_image(context.image)).get("Id") or "")
        if str(found.get("Image") or "").removeprefix("sha256:") != image.removeprefix("sha256:"):
            ctx.report(f"{context.container} has an older image; --again makes it anew")
        else:
            await bring_up.report_drift(ctx, context, found)
        return
    from backend.building.starting import start_again

    try:
        ctx.report(await start_again(ctx, context))  # which makes one that is missing
    except EngineError as error:
        if "port is already allocated" in error.message or "address already in use" in error.message:
            hint = f"Change `ports` with: berth context edit {context.name}"
            raise EngineError(error.message, hint=hint) from None
        raise


async def ready(ctx: ActionContext, engine: EngineClient, context: Context) -> None:
    """Wait for the pre-run hook of this start. One that fails is told: the shell opens all the same."""
    if making.BOOT not in context.command:
        return  # people may give it another first process
    where = f"{context.container} on {context.host}"
    argv = ["sh", "-c", services.script("ready")]
    asking = asyncio.ensure_future(engine.exec(context.container, argv, user="0"))
    try:
        if not (await asyncio.wait({asking}, timeout=_PATIENCE))[0]:
            ctx.report("its pre-run hook is running")
        done = await asking
    except (EngineError, NoSuchTarget):
        done = None
    finally:
        await _ended(asking)
    code, _, said = (done.stdout if done else b"").decode(errors="replace").strip().partition("\n")
    if not code.isdecimal():
        raise ActionFailed(
            f"{where} did not stay up.", hint=f"See: berth logs {context.host}/{context.container}"
        )
    if code != "0":
        ctx.report(f"! pre-run ended with {code}" + (":" if said else ""))
        for line in said.splitlines():
            ctx.report(printable(line))


async def _ended(task: asyncio.Future[Any]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def user_inside(info: Mapping[str, Any], owner: str) -> str:
    """Who `owner`, UID:GID of the host, is inside a container.

    An engine without rights of root gives a person's own number to root inside; all others are strangers on
    the host, who may not write what is the person's.
    """
    rootless = info.get("Rootless") is True or "name=rootless" in (info.get("SecurityOptions") or ())
    return "0:0" if rootless else owner


async def _owner(link: Link) -> str:
    """UID:GID of the login there, whom the image was made for."""
    done = await link.run(["sh", "-c", "id -u; id -g"], timeout=_WAIT)
    words = done.stdout.decode(errors="replace").split()
    if len(words) < 2 or not all(word.isdecimal() for word in words[-2:]):
        raise ActionFailed(f"{link.name} does not say who we are there.")
    return ":".join(words[-2:])
