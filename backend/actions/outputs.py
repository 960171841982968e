"""What clusters take: image files in enroot's form, and environment files (EDF)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from backend.actions.images import Check, check_keys, is_there
from backend.actions.registry import Option, action
from backend.model import ImageRow
from backend.text import printable, size

if TYPE_CHECKING:
    from backend.actions.context import ActionContext
    from backend.recipes.model import Output

GROUP = "Clusters"
_Host = Annotated[str, Option("the cluster's login node; else this machine", host=True, ask=True)]
_Name = Annotated[str, Option("a name in $EDF_PATH (~/.edf), or a path", positional=True)]


@action(
    on=ImageRow,
    verb="image sqsh",
    title="image.sqsh for a cluster",
    applies=is_there,
    bulk=False,
    group=GROUP,
)
async def image_sqsh(
    ctx: ActionContext,
    row: ImageRow,
    *,
    into: Annotated[
        str, Option("file or folder on the host; else ~/berth/images/NAME/image.sqsh", ask=True)
    ] = "",
    compression: Annotated[
        Literal["zstd", "gzip", "lzo", "lz4", "xz"], Option("how data is packed: lz4 is fast, xz small")
    ] = "zstd",
    env: Annotated[bool, Option("write env.toml beside it")] = True,
    check: Check = True,
) -> str:
    """Make image.sqsh of an image, in the form of enroot, and env.toml beside it.

    The file is written on the image's host, where squashfs-tools 4.5 or newer has to be. The same image gives
    the same bytes. It is read back before it gets its name. What is there already is replaced after a yes.
    """
    from backend.outputs import sqsh

    link = await ctx.link(row.host)
    place = sqsh.file_of(row.recipe or row.name.rpartition(":")[0] or row.short_id, into)
    await sqsh.may_write(link, place, ctx.confirm)
    if check:
        await check_keys(ctx, await ctx.engine(row.host), row.id, "image")
    ctx.report(f"writing {place} on {row.host}")
    made = await sqsh.make(
        link, ctx.config.host(row.host), row.id, place, compression=compression, progress=ctx.progress
    )
    for name in made.left_out:
        ctx.report(f"left out: the variable {printable(name)} holds a line break")
    said = f"wrote {made.path} on {row.host}: {size(made.size)}, {made.files} files"
    ctx.give({"path": made.path, "size": made.size, "files": made.files, "image": made.image})
    if not env:
        return said
    path = await sqsh.describe(link, made, await _output(ctx, row.recipe))
    return f"{said}; env.toml beside it: {path}"


async def _output(ctx: ActionContext, recipe: str | None) -> Output:
    """What the recipe says of clusters; nothing where there is no such recipe here."""
    from backend.errors import NoSuchTarget
    from backend.recipes.discover import load
    from backend.recipes.model import Output

    if recipe is None:
        return Output()
    try:
        return (await load(ctx.config)).find(recipe).config.cluster
    except NoSuchTarget:
        return Output()


@action(on=None, verb="edf render", title="environment of a cluster", changes=False, prints=True, group=GROUP)
async def edf_render(
    ctx: ActionContext,
    target: None,
    *,
    name: _Name,
    host: _Host = "",
    form: Annotated[
        Literal["cscs", "sarus"], Option("CSCS' container engine, or its successor, the Sarus suite")
    ] = "cscs",
    text: Annotated[bool, Option("as one file, ready to be used, without where values come from")] = False,
) -> str | None:
    """Show an environment merged with all it stands on, and where each value came from."""
    from backend.outputs import edf
    from backend.outputs.remote import ask

    link = await ctx.link(_host(ctx, host))

    async def read(name: str, folder: str) -> dict[str, Any]:
        return await ask(link, {"do": "edf", "name": name, "folder": folder})

    found = await edf.load(name, read, form=form)
    ctx.give(
        {
            "name": found.name,
            "files": list(found.files),
            "values": [
                {"key": each.key, "value": each.value, "file": each.file, "overwrites": each.overwrites}
                for each in found.values
            ],
            "problems": list(found.problems),
        }
    )
    if text:
        for line in edf.as_toml(found, form).splitlines():
            ctx.report(printable(line, 2000))
        return None
    width = max((len(each.key) for each in found.values), default=0)
    for each in found.values:
        over = f", instead of {each.overwrites}" if each.overwrites else ""
        value = str(each.value).lower() if isinstance(each.value, bool) else each.value
        ctx.report(printable(f"{each.key:<{width}}  {value}   # {each.file}{over}", 2000))
    for problem in found.problems:
        ctx.report(printable(f"! {problem}", 2000))
    return f"{len(found.files)} files, {len(found.values)} values, {len(found.problems)} problems"


@action(on=None, verb="edf new", title="new environment", group=GROUP)
async def edf_new(
    ctx: ActionContext,
    target: None,
    *,
    name: Annotated[str, Option("its name: ~/.edf/NAME.toml", positional=True)],
    base: Annotated[str, Option("environment it stands on: a path, or a name in ~/.edf", ask=True)],
    host: _Host = "",
    workdir: Annotated[str, Option("where commands start", ask=True)] = "",
) -> str:
    """Write ~/.edf/NAME.toml that stands on another environment; else one that is there stays as it is."""
    from backend.errors import UsageError
    from backend.outputs import sqsh, toml
    from backend.outputs.remote import ask

    if "/" in name or name.startswith(".") or not name.isprintable() or not name:
        raise UsageError(f"{name!r:.80} is no name of an environment.", hint="Letters, digits, - . _ and :")
    place = _host(ctx, host)
    link = await ctx.link(place)
    path = await sqsh.change(
        link,
        f"~/.edf/{name}.toml",
        lambda was: toml.based_on(f"~/.edf/{name}.toml", was, base, workdir=workdir),
    )
    if (await ask(link, {"do": "edf", "name": base, "folder": path.rpartition("/")[0]}))["text"] is None:
        ctx.report(printable(f"! {base} is not there yet: {name} is of no use before"))
    at = f" --host {place}" if host else ""
    return f"wrote {path} on {place}. Look at it: berth edf render {name}{at}"


def _host(ctx: ActionContext, said: str) -> str:
    """The host that is meant. Raises `NoSuchTarget`."""
    from backend.building.asking import hosts

    return hosts(ctx.config, (said,) if said else ())[0]
