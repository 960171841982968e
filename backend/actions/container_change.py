"""Making something new of a container: an image of it, or the same container with something changed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from backend.actions.containers import GROUP, engine_of
from backend.actions.context import ActionContext
from backend.actions.registry import Option, action
from backend.errors import ActionFailed, BerthError, NoSuchTarget, UsageError
from backend.model import ContainerRow
from backend.whole import whole

if TYPE_CHECKING:
    from backend.engine import EngineClient


@action(on=ContainerRow, bulk=False, group=GROUP)
async def commit(
    ctx: ActionContext,
    row: ContainerRow,
    *,
    image: Annotated[str, Option("the image's name and tag", positional=True)],
    message: Annotated[str, Option("what is in it", short="m", ask=True)] = "",
    author: Annotated[str, Option("who made it")] = "",
    pause: Annotated[bool, Option("freeze the container meanwhile, so that the image is consistent")] = True,
) -> str:
    """Make an image of the container as it is now; mounts are not part of it."""
    async with engine_of(ctx, row) as engine:
        before = await _who_has(ctx, engine, image)
        async with _given_back(ctx, engine, image, before):
            made = await engine.commit(row.id, image, message=message, author=author, pause=pause)
    ctx.notes["image"] = made
    return f"committed {row.name} on {row.host} to {image}"


@action(
    on=ContainerRow,
    danger="Recreate {0.name} on {0.host}? It stops meanwhile; what was changed inside stays in the old one.",
    bulk=False,
    group=GROUP,
)
async def recreate(
    ctx: ActionContext,
    row: ContainerRow,
    *,
    image: Annotated[str | None, Option("another image", ask=True)] = None,
    gpus: Annotated[str | None, Option("all, none, how many, or which (0,1 or UUIDs)", ask=True)] = None,
    mount: Annotated[
        tuple[str, ...], Option("source:target[:ro], added or in place of that target's", ask=True)
    ] = (),
    unmount: Annotated[tuple[str, ...], Option("a target that is no longer mounted")] = (),
    publish: Annotated[tuple[str, ...], Option("[address:]outside:inside", short="p", ask=True)] = (),
    unpublish: Annotated[tuple[str, ...], Option("a port inside that is no longer published")] = (),
    env: Annotated[tuple[str, ...], Option("NAME=VALUE", short="e", ask=True, masked=True)] = (),
    unset: Annotated[tuple[str, ...], Option("a variable that is no longer set")] = (),
    commit: Annotated[str | None, Option("first make an image of this name of it, and use that")] = None,
    keep: Annotated[bool, Option("keep the old container without asking")] = False,
) -> str:
    """Make the container again with something changed; the old one is kept until the new one runs.

    The new one is created first. Then the old one is stopped and renamed to NAME-before-TIME, and the new one
    gets its name and is started. If anything fails, the old one is put back and started again.
    """
    from backend.recreate import changes as change
    from backend.recreate.swap import Swap

    if commit and image:
        raise UsageError("--commit and --image both say which image to use.")
    wanted = change.Changes(image, mount, unmount, publish, unpublish, env, unset)
    async with engine_of(ctx, row) as engine:
        found = await engine.inspect(row.id)
        body = await _request(ctx, engine, row, found, wanted=wanted, gpus=gpus)
        swap = Swap(engine, found, lambda: ctx.engine(row.host))
        async with AsyncExitStack() as stack:
            if commit:
                before = await _who_has(ctx, engine, commit)
                await stack.enter_async_context(_given_back(ctx, engine, commit, before))
                message = f"{row.name} before {datetime.now(UTC):%Y-%m-%d %H:%M}"
                await engine.commit(row.id, commit, message=message)
                body["Image"] = commit
            made = await swap.run(body)
        ctx.notes["container"] = made
        said = f"recreated {row.name} on {row.host}" + (
            "" if swap.ran else ", not started as the old one was not"
        )
        if keep or not await ctx.confirm(
            f"{row.name} on {row.host} is made again. Remove the old one, {swap.kept}?"
        ):
            return f"{said}; the old one is {swap.kept}"
        await engine.remove(swap.old)
    return f"{said}; the old one was removed"


async def _request(
    ctx: ActionContext,
    engine: EngineClient,
    row: ContainerRow,
    found: dict[str, Any],
    *,
    wanted: Any,
    gpus: str | None,
) -> dict[str, Any]:
    """The create request of the new container, everything checked that can be checked before."""
    from backend.contexts import facts
    from backend.recreate import changes as change
    from backend.recreate.request import equal_to
    from backend.recreate.swap import image_id

    if (found.get("HostConfig") or {}).get("AutoRemove"):
        raise ActionFailed(
            f"{row.name} on {row.host} was started with --rm: it would be gone once it is stopped.",
            hint="Commit it to an image, and start another one from that.",
        )
    name, image = await image_id(engine, found)
    body = equal_to(found, image)
    if name != body["Image"]:
        ctx.report(f"{body['Image']} is another image by now; the container keeps the one it has")
        body["Image"] = name
    if wanted.image:
        await engine.inspect_image(wanted.image)
    link = await ctx.link(row.host)
    known, _ = await facts.ask(link)
    change.apply(body, wanted, known.home)
    if gpus is not None:
        change.give_gpus(body, await _gpus(ctx, row, known, gpus))
    return body


async def _gpus(ctx: ActionContext, row: ContainerRow, known: Any, text: str) -> dict[str, Any]:
    """The part of a HostConfig that gives these GPUs, as a context would."""
    from backend.actions.context_files import parse_gpus
    from backend.config import Context
    from backend.contexts import bring_up, create
    from backend.contexts.placement import choose

    chosen = parse_gpus("" if text in ("none", "0") else text)
    if not chosen:
        return {}
    wanted = tuple(chosen) if isinstance(chosen, list) else chosen
    placement = choose(row.host, await bring_up.gpus(ctx, row.host), wanted)
    create.missing_render_nodes(placement, known)
    for line in placement.why:
        ctx.report(line)
    plain = Context(name=row.name, host=row.host, image=row.image, container=row.name)
    found: dict[str, Any] = create.request(plain, placement, known, {})["HostConfig"]
    return found


async def _who_has(ctx: ActionContext, engine: EngineClient, image: str) -> str:
    """Id of the image that has that name, empty where none has; asks before it moves to another.

    Raises `Refused`, and `UsageError` for a name that cannot be.
    """
    from backend.engine.names import split_reference

    before = await _id(engine, ":".join(split_reference(image)))
    if before:
        await ctx.agree(
            f"{image} exists on {engine.host}. Give its name to the new image?",
            f"{image} exists on {engine.host} and was left as it is.",
            hint="Choose another name.",
        )
    return before


async def _id(engine: EngineClient, image: str) -> str:
    try:
        return str((await engine.inspect_image(image)).get("Id"))
    except NoSuchTarget:
        return ""


@asynccontextmanager
async def _given_back(
    ctx: ActionContext, engine: EngineClient, image: str, before: str
) -> AsyncIterator[None]:
    """If what is done here fails, that name belongs to whom it belonged before, and the new image is gone."""
    from backend.engine.lasting import Lasting

    async def give_back(engine: EngineClient) -> None:
        now = await _id(engine, image)
        if before and now != before:
            await engine.tag(before, image)
        if now and now != before:
            await engine.remove_image(now if before else image)

    try:
        yield
    except BaseException:
        with suppress(BerthError):
            await whole(Lasting(engine, lambda: ctx.engine(engine.host)).do(give_back))
        raise
