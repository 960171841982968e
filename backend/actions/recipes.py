"""Recipes of images: listed, as a tree, looked at as they will be built, and made anew."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated, Literal

from backend.actions.registry import Option, action
from backend.errors import UsageError
from backend.text import printable

if TYPE_CHECKING:
    from pathlib import Path

    from backend.actions.context import ActionContext
    from backend.recipes.model import Rendered
    from backend.recipes.new import Gpus

GROUP = "Images"
_LOOK = 20.0
"""Seconds that a host may take to tell its GPUs."""
Root = Annotated[tuple[str, ...], Option("folder with recipes, instead of those of settings")]


@action(
    on=None, name="images-recipes", verb="images recipes", title="recipes", changes=False,
    streams="backend.recipes.show:recipes", group=GROUP,
)  # fmt: skip
async def images_recipes(ctx: ActionContext, target: None, *, root: Root = ()) -> str:
    """List the recipes of images: folders with a Dockerfile, stacks, workspaces, projects."""
    from backend.recipes import show
    from backend.recipes.discover import load, told

    graph = await load(ctx.config, roots=root)
    for row in show.rows(graph):
        ctx.report(f"{row.name}  {row.kind}  {', '.join(row.images)}  {row.folder}")
    for line in told(graph.problems):
        ctx.report(f"! {line}")
    return f"{len(graph.recipes)} recipes, {len(graph.problems)} problems"


@action(
    on=None, name="images-tree", verb="images tree", title="stack of images", changes=False,
    streams="backend.recipes.show:show_tree", group=GROUP,
)  # fmt: skip
async def images_tree(
    ctx: ActionContext,
    target: None,
    *,
    name: Annotated[
        str,
        Option("only this recipe, what it stands on and what stands on it", positional=True, place="RECIPE"),
    ] = "",
    root: Root = (),
) -> str:
    """Show which recipe stands on which, as a tree."""
    from backend.recipes import show
    from backend.recipes.discover import load

    graph = await load(ctx.config, roots=root)
    for line in show.drawn(show.tree(graph, name)):
        ctx.report(line)
    return f"{len(graph.recipes)} recipes"


@action(
    on=None, name="images-render", verb="images render", title="render recipe", changes=False, prints=True,
    group=GROUP,
)  # fmt: skip
async def images_render(
    ctx: ActionContext,
    target: None,
    *,
    name: Annotated[str, Option("the recipe", positional=True, place="RECIPE")],
    into: Annotated[str, Option("write it into this new folder: Dockerfile and context")] = "",
    base: Annotated[str, Option("another image than the one from a registry that it all stands on")] = "",
    arg: Annotated[tuple[str, ...], Option("build argument NAME=VALUE", masked=True)] = (),
    cached: Annotated[bool, Option("take projects of git as they were fetched last")] = False,
    root: Root = (),
) -> str | None:
    """Show what will be built of a recipe: Dockerfile, context, names, and where each value came from.

    Nothing is built, and the recipe's folder is not written to.
    """
    from backend.recipes import show
    from backend.recipes.discover import load
    from backend.recipes.model import Overrides
    from backend.recipes.render import render
    from backend.recipes.staging import staging

    place = _new_folder(into)
    graph = await load(ctx.config, roots=root, overrides=Overrides(base=base, args=_pairs(arg)))
    recipe = graph.find(name)
    done: dict[str, Rendered] = {}
    async with staging() as area:
        for level in graph.order([name]):
            for each in level:
                done[each.name] = await render(
                    each,
                    graph=graph,
                    parents=done,
                    into=area,
                    git="cached" if cached else "fetch",
                    say=lambda line: ctx.report(printable(line)),
                )
        ctx.give(show.as_data(done[recipe.name], recipe))
        for line in show.rendered(done[recipe.name], recipe):
            ctx.report(line)
        if place is not None:
            await _copy(done[recipe.name], place)
            return f"wrote {place}: Dockerfile and context"
    return None


@action(on=None, name="images-new", verb="images new", title="new recipe", group=GROUP)
async def images_new(
    ctx: ActionContext,
    target: None,
    *,
    kind: Annotated[
        Literal["ssh", "mamba", "torch", "workspace", "rp", "cluster"], Option("what it is", positional=True)
    ],
    name: Annotated[str, Option("its name, and that of its folder", positional=True)],
    root: Annotated[str, Option("folder that it is made in; else the first root of settings")] = "",
    base: Annotated[str, Option("recipe or image that it stands on", ask=True)] = "",
    host: Annotated[str, Option("choose CUDA or ROCm by the GPUs of this host", ask=True)] = "",
) -> str:
    """Make a recipe that builds: an SSH layer, mamba, PyTorch, a workspace, a project of rp, a cluster's."""
    from backend.recipes import new, show
    from backend.recipes.discover import load

    top = show.roots(ctx.config, root)
    graph = await load(ctx.config, roots=(top,))
    gpus = await _gpus(ctx, host) if host else None
    folder, notes = new.create(kind, name, top, graph, base=base, gpus=gpus)
    for note in notes:
        ctx.report(note)
    where = f" --root {shlex.quote(root)}" if root else ""
    return f"made {folder}. Look at it: berth images render {name}{where}"


async def _gpus(ctx: ActionContext, host: str) -> Gpus:
    """What the host's agent tells of its GPUs. Raises `HostError` where the host is not there."""
    from backend.errors import Unreachable
    from backend.fleet import Fleet
    from backend.recipes.new import Gpus

    ctx.config.host(host)
    state = ctx.access.state
    snapshot = state.hosts.get(host) if state is not None else None
    if snapshot is None or snapshot.gpu_report is None:
        async with Fleet(ctx.config, only=[host]) as fleet:
            await fleet.settle(
                _LOOK, ready=lambda each: each.gpu_report is not None or each.error is not None
            )
            snapshot = fleet.state.hosts[host]
    report = snapshot.gpu_report
    if report is None:
        why = snapshot.error.message if snapshot.error else f"{host} does not tell its GPUs."
        raise Unreachable(why, hint=f"Try: berth doctor {host}")
    if any(gpu.vendor == "amd" for gpu in report.gpus):
        return Gpus("amd")
    return Gpus("nvidia", report.driver) if report.driver else Gpus()


def _pairs(words: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise UsageError(f"{word!r:.80} is no build argument.", hint="Write --arg NAME=VALUE.")
        found[key] = value
    return found


def _new_folder(said: str) -> Path | None:
    from pathlib import Path

    from backend.config.paths import absolute

    if not said:
        return None
    place = absolute(Path(said))
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise UsageError(f"{place} exists already.", hint="Name a new folder.")
    return place


async def _copy(made: Rendered, place: Path) -> None:
    """What was staged, for good. Raises `ActionFailed`; nothing half stays."""
    import asyncio
    import shutil

    from backend.errors import ActionFailed

    def work() -> None:
        part = place.with_name(f".{place.name}.new")
        try:
            part.mkdir(parents=True)
            shutil.copy2(made.dockerfile, part / "Dockerfile")
            shutil.copytree(made.folder, part / "context", symlinks=True)
            if place.is_dir():
                place.rmdir()
            part.rename(place)
        except (OSError, shutil.Error) as error:
            raise ActionFailed(f"{place} cannot be written: {error}.") from None
        finally:
            shutil.rmtree(part, ignore_errors=True)

    await asyncio.to_thread(work)
