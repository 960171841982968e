"""Building images of recipes, on one or many hosts: build, look, cancel, go on, again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from backend.actions.registry import Option, action
from backend.errors import ActionFailed, UsageError

if TYPE_CHECKING:
    from backend.actions.context import ActionContext
    from backend.building.model import Build, Request

GROUP = "Images"
_Build = Annotated[str, Option("id of a build, or the end of it", positional=True)]
_Host = Annotated[
    tuple[str, ...],
    Option("hosts, patterns or tag:TAG; else this machine", host=True, several=True, ask=True),
]
_Check = Annotated[
    bool | None, Option("search what was built for private keys; else only where secrets went in")
]
_Lost = Annotated[
    Literal["", "go-on", "stop"], Option("what a build does when its berth is gone; else as in settings")
]
_Sqsh = Annotated[
    str,
    Option("on a cluster: file or folder there that gets image.sqsh, with env.toml"),
]


@action(on=None, verb="images build", title="build images", page=True, group=GROUP)
async def images_build(
    ctx: ActionContext,
    target: None,
    *,
    names: Annotated[tuple[str, ...], Option("the recipes", positional=True, place="RECIPE")],
    host: _Host = (),
    root: Annotated[tuple[str, ...], Option("folders that hold recipes, instead of those of settings")] = (),
    base: Annotated[str, Option("another image than the one from a registry that it all stands on")] = "",
    arg: Annotated[tuple[str, ...], Option("build argument NAME=VALUE", masked=True)] = (),
    maintainer: Annotated[str, Option("first part of the names of images")] = "",
    name: Annotated[str, Option("name of the one image, without a tag")] = "",
    tag: Annotated[str, Option("tag of the one image", short="t")] = "",
    port: Annotated[str, Option("port that people log in to")] = "",
    project: Annotated[tuple[str, ...], Option("a local project to bring into the image", short="i")] = (),
    git: Annotated[tuple[str, ...], Option("a project of git: OWNER/NAME or a URL, #REF", short="g")] = (),
    authorized_keys: Annotated[str, Option("file with the public keys that are let in")] = "",
    no_cache: Annotated[bool, Option("build every step anew", ask=True)] = False,
    cached: Annotated[bool, Option("take projects of git as they were fetched last")] = False,
    force: Annotated[bool, Option("build also what is fresh")] = False,
    pull: Annotated[bool, Option("fetch bases that a host lacks")] = True,
    push: Annotated[bool, Option("push them to their registry afterwards", ask=True)] = False,
    check: _Check = None,
    up: Annotated[str, Option("context that is started, or made anew, with what was built")] = "",
    jobs: Annotated[int, Option("builds on one host at a time; 0: what settings say", short="j")] = 0,
    builder: Annotated[Literal["auto", "buildkit", "classic"], Option("what builds")] = "auto",
    lost: _Lost = "",
    sqsh: _Sqsh = "",
    job: Annotated[bool, Option("on a cluster: by a job, also where its login node has an engine")] = False,
    partition: Annotated[str, Option("partition of the job", short="p")] = "",
    time: Annotated[str | None, Option("how long the job may run: 2h30m")] = None,
    cpus: Annotated[int | None, Option("logical CPUs of the job", short="c")] = None,
    mem: Annotated[str | None, Option("memory of the job: 8 or 8g is 8 GB", short="m")] = None,
    detach: Annotated[bool, Option("do not wait: it goes on by itself", short="d")] = False,
) -> str:
    """Build images of recipes and of all they stand on, parents first, only what has changed.

    Recipes that do not need each other are built side by side, on all hosts at once. A cluster whose login
    node has no engine builds by a job, with the engine of a node. Ctrl+C ends the builds on their hosts; what
    was built stays, and the same again goes on from there.
    """
    from backend.building.asking import arguments, hosts
    from backend.building.byjob import wanted
    from backend.building.model import Request

    if not names:
        raise ActionFailed("no recipe is named.", hint="See: berth images recipes")
    request = Request(
        names=names, hosts=hosts(ctx.config, host), roots=root, base=base, args=arguments(arg),
        maintainer=maintainer, name=name, tag=tag, port=port, projects=project, repositories=git,
        authorized_keys=authorized_keys, no_cache=no_cache, cached=cached, force=force, pull=pull,
        push=push, check=check, up=up, jobs=jobs, builder=builder, lost=lost, sqsh=sqsh,
        job=wanted(partition=partition, time=time, cpus=cpus, memory=mem, job=job),
    )  # fmt: skip
    return await carry_out(ctx, request, detach=detach)


async def carry_out(ctx: ActionContext, request: Request, *, detach: bool) -> str:
    """Build what is asked for and do what follows it; one line about it. Raises what went wrong."""
    from backend.building import asking
    from backend.building.order import Order

    asking.check(ctx.config, request)
    if detach:
        order = await asking.detached(ctx.config, request)
        ctx.notes["order"] = order
        return f"order {order} goes on by itself: berth images builds"
    order_run = Order(ctx.config, ctx.access, request, say=ctx.report, confirm=ctx.confirm)
    ctx.notes["order"] = order_run.id
    builds = await order_run.run()
    asking.raise_worst(builds)
    await asking.afterwards(ctx, request, builds)
    return asking.told(builds)


@action(on=None, verb="images builds", title="list builds", changes=False, prints=True, group=GROUP)
async def images_builds(
    ctx: ActionContext,
    target: None,
    *,
    host: Annotated[tuple[str, ...], Option("only these hosts", several=True)] = (),
    active: Annotated[bool, Option("only those that have not ended", short="a")] = False,
    limit: Annotated[int, Option("how many", short="n")] = 30,
) -> str:
    """List builds, newest first: those that run, also of other berths, and those that ended.

    Builds that were left by a berth that was killed are looked for on their hosts.
    """
    from backend.building import asking, records
    from backend.building.model import as_data

    if limit < 1:
        raise UsageError(f"-n {limit}: allowed is 1 or more.")
    await asking.find_again(ctx)
    found = records.listed(10 * records.KEPT)
    for name in set(host) - {each.host for each in found}:
        ctx.config.host(name)  # one that is configured no more may still have builds on record
    found = [each for each in found if each.active or not active]
    rows = [each for each in found if not host or each.host in host][:limit]
    ctx.give([as_data(each) for each in rows])
    for line in asking.table(rows):
        ctx.report(line)
    return f"{len(rows)} builds" if rows else "no builds"


@action(on=None, verb="images log", title="build log", changes=False, prints=True, group=GROUP)
async def images_log(ctx: ActionContext, target: None, *, build: _Build) -> str:
    """Print all that the builder said in one build."""
    from backend.building import records

    found = records.find(build)
    try:
        with records.log_path(found.id).open(encoding="utf-8", errors="replace") as file:
            for line in file:
                ctx.report(line.rstrip("\n"))
    except OSError:
        raise ActionFailed(f"build {found.id} has no log: its builder never began.") from None
    return _end(found)


@action(on=None, verb="images cancel", title="cancel build", group=GROUP)
async def images_cancel(ctx: ActionContext, target: None, *, build: _Build) -> str:
    """End a build on its host, whichever berth began it. What is built stays."""
    from backend.building import asking, records

    found = records.find(build)
    if not found.active:
        return f"build {found.id} has ended already: {_end(found)}"
    asking.writable(ctx.config, found.host)
    ended = await asking.cancel(ctx, found)
    return f"build {ended.id} of {ended.recipe} on {ended.host}: {_end(ended)}"


@action(on=None, verb="images follow", title="follow build", changes=False, page=True, group=GROUP)
async def images_follow(ctx: ActionContext, target: None, *, build: _Build) -> str:
    """Follow a build that goes on, until it ends; also one whose berth was killed."""
    from backend.building import asking, records

    found = await asking.follow(ctx, records.find(build))
    asking.raise_worst([found])
    return f"build {found.id} of {found.recipe} on {found.host}: {_end(found)}"


@action(on=None, verb="images retry", title="build again", page=True, group=GROUP)
async def images_retry(
    ctx: ActionContext,
    target: None,
    *,
    build: _Build,
    detach: Annotated[bool, Option("do not wait: it goes on by itself", short="d")] = False,
) -> str:
    """Ask again for what a build was part of. What was built meanwhile is not built again."""
    from backend.building import records

    found = records.find(build)
    if found.request is None:
        raise ActionFailed(f"nobody knows what build {found.id} was part of.")
    return await carry_out(ctx, found.request, detach=detach)


def _end(build: Build) -> str:
    from backend.text import printable

    return printable(f"{build.state.value}{': ' if build.error else ''}{build.error}", 1000)
