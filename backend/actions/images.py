"""Moving images: made from containers, cleaned, flattened, checked, pushed, saved, loaded, copied."""

from __future__ import annotations

import secrets
from contextlib import aclosing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from backend.actions.registry import Option, action
from backend.errors import ActionFailed, BerthError, EngineError, NoSuchTarget, Refused
from backend.model import ContainerRow, ImageRow
from backend.text import printable, size
from backend.whole import whole

if TYPE_CHECKING:
    from backend.actions.context import ActionContext
    from backend.engine import EngineClient

GROUP = "Images"
Check = Annotated[bool, Option("look for private keys first, and refuse if there are any")]


def is_there(row: ImageRow) -> bool:
    """Whether some host has it: a recipe that was never built is a row as well."""
    return bool(row.id)


async def the_same(engine: EngineClient, row: ImageRow) -> str:
    """What names a row's image to its engine. Raises `NoSuchTarget` where its name is another's by now."""
    from backend.imagerows import bare

    name = row.name if row.name in (*row.tags, *row.digests) else row.id
    found = bare(str((await engine.inspect_image(name)).get("Id")))
    if row.id and found != row.id:
        raise NoSuchTarget(
            f"{row.host}: {name} is another image now ({found[:12]}, not {row.short_id}).",
            hint="Look again: berth images",
        )
    return name


async def check_keys(
    ctx: ActionContext, engine: EngineClient, name: str, kind: Any, shown: str = ""
) -> list[Any]:
    """Look for keys, report all finds, raise `Refused` for one that must not leave.

    `shown` is what people call it, where `name` is an id or a temporary name.
    """
    from backend.images import keys

    shown = shown or name
    ctx.report(f"looking for private keys in {shown}")
    finds = await keys.find(engine, name, kind, ctx.progress)
    for each in finds:
        ctx.report(str(each) + ("" if each.blocking else "  (noted only)"))
    keys.refuse(finds, shown)
    return finds


def local(file: str) -> Path:
    """A path on this machine, with `~` expanded."""
    from backend.config.paths import expanded

    return expanded(file)


def length(path: Path) -> int:
    """Bytes of a file. Raises `ActionFailed` for one that cannot be read."""
    try:
        return path.stat().st_size
    except OSError as error:
        raise ActionFailed(f"{path} cannot be read: {error.strerror}.") from None


async def push_reference(ctx: ActionContext, engine: EngineClient, reference: str) -> None:
    """Push with the credentials of this machine's docker configuration."""
    layers: dict[str, tuple[int, int]] = {}
    async for line in engine.push(reference):
        if line.layer and line.total:
            layers[line.layer] = (line.done or 0, line.total)
            ctx.progress(sum(done for done, _ in layers.values()), sum(total for _, total in layers.values()))
        elif line.status and not line.layer:
            ctx.report(printable(line.status, 300))


@action(on=ContainerRow, bulk=False, group=GROUP, title="push as image")
async def push_image(
    ctx: ActionContext,
    row: ContainerRow,
    *,
    reference: Annotated[str, Option("REGISTRY/NAME:TAG to push it as", positional=True)],
    clean: Annotated[bool, Option("remove caches, histories and private things first", ask=True)] = True,
    flatten: Annotated[bool, Option("make it one layer; what was deleted is in none", ask=True)] = True,
    push: Annotated[bool, Option("push it; without, it is only made", ask=True)] = True,
    check: Check = True,
) -> str:
    """Commit the container, clean and flatten a copy, check it for private keys, tag and push it.

    The container itself is not changed. ENV, ENTRYPOINT, CMD, WORKDIR, USER and LABEL are kept.
    """
    from backend.engine.names import split_reference
    from backend.images import flatten as flattening

    split_reference(reference)  # says what is wrong with it before anything is made
    engine = await ctx.engine(row.host)
    made = f"berth-temporary/{secrets.token_hex(6)}:commit"
    flat = f"{made.partition(':')[0]}:flat"
    temporary = [made]
    try:
        ctx.report(f"committing {row.name}")
        await engine.commit(row.id, made)
        if flatten or clean:
            ctx.report("cleaning and flattening" if clean else "flattening")
            temporary.append(flat)
            await flattening.flatten(
                engine, made, flat, clean=clean, report=ctx.report, again=lambda: ctx.engine(row.host)
            )
        if check:
            await check_keys(ctx, engine, temporary[-1], "image", f"what was made of {row.name}")
        # Only now does it get its name: an image that had it before is lost to none that was refused.
        await engine.tag(temporary[-1], reference)
    finally:
        await whole(_remove(ctx, engine, temporary))
    if not push:
        return f"made {reference} on {row.host}"
    await push_reference(ctx, engine, reference)
    return f"pushed {reference} from {row.host}"


async def _remove(ctx: ActionContext, engine: EngineClient, names: list[str]) -> None:
    """Take away images that were only made for a moment."""
    from backend.engine.lasting import Lasting

    lasting = Lasting(engine, lambda: ctx.engine(engine.host))
    for name in names:
        with suppress(BerthError):
            await lasting.do(lambda there, name=name: there.remove_image(name))  # type: ignore[misc]


@action(on=ImageRow, verb="image push", title="push image", applies=is_there, group=GROUP)
async def image_push(ctx: ActionContext, row: ImageRow, *, check: Check = True) -> str:
    """Push an image of a host to its registry, checked for private keys before."""
    engine = await ctx.engine(row.host)
    image = await the_same(engine, row)
    if check:
        await check_keys(ctx, engine, image, "image")
    await push_reference(ctx, engine, image)
    return f"pushed {image} from {row.host}"


@action(
    on=ImageRow,
    verb="image save",
    title="save image",
    applies=is_there,
    bulk=False,
    changes=False,
    group=GROUP,
)
async def image_save(
    ctx: ActionContext,
    row: ImageRow,
    *,
    file: Annotated[str, Option("where to: NAME.tar, or NAME.tar.gz to compress it", positional=True)],
    check: Check = True,
) -> str:
    """Save an image of a host into a file of this machine, checked for private keys before.

    A full disk or a cancel leaves no half file.
    """
    from backend.images import files, transfer

    engine = await ctx.engine(row.host)
    image = await the_same(engine, row)
    total = (await engine.inspect_image(image)).get("Size")
    if check:
        await check_keys(ctx, engine, image, "image")
    path = local(file)
    async with aclosing(transfer.save(engine, image)) as chunks:
        written = await files.write(
            chunks,
            path,
            compress=path.name.endswith((".gz", ".tgz")),
            got=lambda done: ctx.progress(done, max(total or 0, done)),
        )
    return f"saved {image} from {row.host}: {path}, {size(written)}"


@action(on=None, verb="image load", title="load image", group=GROUP)
async def image_load(
    ctx: ActionContext,
    target: None,
    *,
    file: Annotated[str, Option("a file that `image save` or `docker save` wrote", positional=True)],
    host: Annotated[str, Option("the host it goes to", host=True)],
) -> str:
    """Load an image from a file of this machine into a host's engine."""
    from backend.images import files, transfer

    engine = await ctx.engine(host)
    path = local(file)
    total = length(path)
    async with aclosing(files.read(path)) as chunks:
        said = await transfer.load(engine, chunks, lambda sent: ctx.progress(sent, total))
    return f"{host}: {said or 'loaded'}"


@action(
    on=ImageRow,
    verb="image copy",
    key="y",
    title="copy to a host",
    applies=is_there,
    footer=True,
    group=GROUP,
)
async def image_copy(
    ctx: ActionContext,
    row: ImageRow,
    *,
    to: Annotated[str, Option("the host it goes to", host=True)],
    check: Check = True,
) -> str:
    """Copy an image from one host to another, through this machine but not onto its disk.

    It is checked for private keys before. Layers that the other host has already are not sent, where its
    engine can do without them.
    """
    from backend.images import missing, transfer

    host = row.host
    source, target_engine = await ctx.engine(host), await ctx.engine(to)
    image = await the_same(source, row)
    found = await source.inspect_image(image)
    try:
        if (await target_engine.inspect_image(image)).get("Id") == found.get("Id"):
            return f"{to} has the same {image} already"
    except NoSuchTarget:
        pass
    if check:
        await check_keys(ctx, source, image, "image")
    went = 0

    def sent(total: int) -> None:
        nonlocal went
        went = total
        ctx.progress(total, None)

    layers = missing.layers(found)
    known = await missing.known(target_engine, layers)
    if known:
        ctx.report(f"{to} has {known} of its {len(layers)} layers")
        try:
            made = await missing.copy(source, target_engine, image, wanted=layers, known=known, sent=sent)
            if made == found.get("Id"):
                return f"copied {image} from {host} to {to}: {size(went)}, the rest was there"
        except EngineError as error:
            if missing.in_vain(error):
                raise
            ctx.report(f"{printable(error.message, 300)} Sending all of it.")
    await transfer.copy(source, target_engine, image, sent)
    try:
        await target_engine.inspect_image(image)
    except NoSuchTarget:
        raise EngineError(f"{to} took {image} but does not list it.", hint="Is its disk full?") from None
    return f"copied {image} from {host} to {to}: {size(went)}"


@action(on=ImageRow, verb="image tag", key="T", title="tag", applies=is_there, footer=True, group=GROUP)
async def image_tag(
    ctx: ActionContext,
    row: ImageRow,
    *,
    reference: Annotated[str, Option("its other name", positional=True)],
) -> str:
    """Give an image of a host another name. An image that has that name already loses it, after asking."""
    from backend.engine.names import split_reference
    from backend.imagerows import bare

    name, tag = split_reference(reference)
    engine = await ctx.engine(row.host)
    image = await the_same(engine, row)
    with suppress(NoSuchTarget):
        other = await engine.inspect_image(f"{name}:{tag}")
        held, names = bare(str(other.get("Id"))), other.get("RepoTags") or ()
        last = " and would have no name left" if len(names) <= 1 else ""
        if held != row.id and not await ctx.confirm(
            f"{reference} on {row.host} is another image ({held[:12]}), which would lose that name{last}. "
            f"Give it to {row.name} ({row.short_id})?"
        ):
            raise Refused(f"{row.host}: {reference} stays what it is.", hint="It was not confirmed.")
    await engine.tag(row.id or image, reference)
    return f"{row.name} on {row.host} is also {reference}"


@action(on=ImageRow, verb="image check", title="check image", applies=is_there, changes=False, group=GROUP)
async def image_check(ctx: ActionContext, row: ImageRow) -> str:
    """Look for private keys in all layers of an image; fails naming file and layer."""
    engine = await ctx.engine(row.host)
    image = await the_same(engine, row)
    await check_keys(ctx, engine, image, "image")
    return f"{row.name} on {row.host} holds no private key"
