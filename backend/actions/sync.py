"""Files between this machine and hosts: push, pull, sync; what was done, and how to take it back."""

from __future__ import annotations

from typing import Annotated, Literal

from backend.actions.context import ActionContext
from backend.actions.registry import Option, action
from backend.errors import ActionFailed, UsageError
from backend.model import ContextRow, HostRow

GROUP = "Sync"

Profile = Annotated[str | None, Option("profile of sync.yaml, or one of berth's own", positional=True)]
Hosts = Annotated[tuple[str, ...], Option("with these hosts")]
Tags = Annotated[tuple[str, ...], Option("with all hosts that have one of these tags")]
InContext = Annotated[str | None, Option("with the host of this context, by its profile")]
DryRun = Annotated[bool, Option("only list what would be done", short="n")]
Delete = Annotated[bool, Option("also delete there what is gone here; asks first, with the list")]
Watching = Annotated[bool, Option("go on: what changes here goes over within a second", short="w")]
Tar = Annotated[bool, Option("without rsync: slower, whole files in a tar")]
Conflict = Annotated[
    Literal["skip", "mine", "theirs"], Option("what becomes of files that both sides changed")
]
Yes = Annotated[bool, Option("do not ask, the answer is yes", short="y")]
Directory = Annotated[
    str, Option("the folder, below both homes; else that of the last time", positional=True)
]
Run = Annotated[str, Option("which one, as history names it; else the latest", positional=True)]


@action(on=None, name="push-files", verb="push", title="push", streams="backend.sync.show:push", group=GROUP)
async def push(
    ctx: ActionContext,
    fleet: None,
    *,
    profile: Profile = None,
    host: Hosts = (),
    tag: Tags = (),
    context: InContext = None,
    dry_run: DryRun = False,
    delete: Delete = False,
    watch: Watching = False,
    tar: Tar = False,
    on_conflict: Conflict = "skip",
    yes: Yes = False,
) -> str:
    """Bring files of this machine to hosts, as a profile says (docs/sync.md).

    Only what changed goes over, nothing is deleted unless that is asked for, and what is replaced or deleted
    can be brought back with berth sync undo.
    """
    raise UsageError("push needs a screen.", hint="Press y on hosts or contexts.")


@action(on=None, name="pull-files", verb="pull", title="pull", streams="backend.sync.show:pull", group=GROUP)
async def pull(
    ctx: ActionContext,
    fleet: None,
    *,
    profile: Profile = None,
    host: Hosts = (),
    tag: Tags = (),
    context: InContext = None,
    dry_run: DryRun = False,
    delete: Delete = False,
    tar: Tar = False,
    on_conflict: Conflict = "skip",
    yes: Yes = False,
) -> str:
    """Bring files of hosts to this machine, as a profile says (docs/sync.md)."""
    raise UsageError("pull needs a screen.", hint="Press y on hosts or contexts.")


@action(
    on=None, name="sync-files", verb="sync run", title="sync", streams="backend.sync.show:sync", group=GROUP
)
async def sync(
    ctx: ActionContext,
    fleet: None,
    *,
    profile: Profile = None,
    host: Hosts = (),
    tag: Tags = (),
    context: InContext = None,
    dry_run: DryRun = False,
    delete: Delete = False,
    watch: Watching = False,
    tar: Tar = False,
    on_conflict: Conflict = "skip",
    yes: Yes = False,
) -> str:
    """Carry out a profile, each rule in its own direction. `berth sync PROFILE` is the same."""
    raise UsageError("sync needs a screen.", hint="Press y on hosts or contexts.")


@action(on=None, name="pushdir", title="push folder", streams="backend.sync.show:pushdir", group=GROUP)
async def pushdir(
    ctx: ActionContext,
    fleet: None,
    *,
    directory: Directory = "",
    host: Hosts = (),
    tag: Tags = (),
    context: InContext = None,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> str:
    """Replace a folder on hosts by the one here: at once, when all of it has arrived.

    `work/x` is below both homes, `./x` starts at the current folder. The old one is kept for a while.
    """
    raise UsageError("pushdir is a verb of the command line.", hint="berth pushdir DIR")


@action(on=None, name="pulldir", title="pull folder", streams="backend.sync.show:pulldir", group=GROUP)
async def pulldir(
    ctx: ActionContext,
    fleet: None,
    *,
    directory: Directory = "",
    host: Hosts = (),
    tag: Tags = (),
    context: InContext = None,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> str:
    """Replace a folder here by the one on a host: at once, when all of it has arrived."""
    raise UsageError("pulldir is a verb of the command line.", hint="berth pulldir DIR")


@action(
    on=None,
    name="sync-history",
    verb="sync history",
    title="sync history",
    changes=False,
    prints=True,
    streams="backend.sync.lists:history",
    group=GROUP,
)
async def history(
    ctx: ActionContext,
    fleet: None,
    *,
    host: Hosts = (),
    limit: Annotated[int, Option("how many", short="n")] = 20,
) -> str:
    """List what was synced, newest first, and what of it can be undone."""
    from backend.sync.history import past
    from backend.sync.many import told

    found = [each for each in past() if not host or each.host in host][:limit]
    for each in found:
        ctx.report(f"{each.started_at.astimezone():%Y-%m-%d %H:%M} {each.profile}: {told(each)}")
    return f"{len(found)} syncs"


@action(
    on=None,
    name="sync-undo",
    verb="sync undo",
    title="undo sync",
    streams="backend.sync.lists:undo_run",
    group=GROUP,
)
async def undo(
    ctx: ActionContext,
    fleet: None,
    *,
    run: Run = "",
    host: Hosts = (),
    force: Annotated[bool, Option("also files that were changed since")] = False,
    yes: Yes = False,
) -> str:
    """Put back what the latest sync replaced or deleted on all its hosts; what was changed since stays."""
    from backend.sync.undoing import meant, take_back

    taken = await take_back(ctx.config, ctx.access, meant(run, host), force=force, agree=ctx.confirm)
    for each in taken:
        ctx.report(each.message)
    wrong = [each for each in taken if each.error is not None]
    if wrong:
        raise ActionFailed(f"{len(wrong)} of {len(taken)} not undone: {wrong[0].message}")
    return "; ".join(each.message for each in taken)


@action(
    on=None,
    name="sync-profiles",
    verb="sync profiles",
    title="sync profiles",
    changes=False,
    prints=True,
    streams="backend.sync.lists:profiles",
    group=GROUP,
)
async def profiles(ctx: ActionContext, fleet: None) -> str:
    """List the profiles: those of sync.yaml and berth's own."""
    for each in ctx.config.profiles:
        ctx.report(f"{each.name}: {each.comment or f'{len(each.rules)} rules'}")
    return f"{len(ctx.config.profiles)} profiles"


@action(
    on=None,
    name="sync-show",
    verb="sync show",
    title="show profile",
    changes=False,
    prints=True,
    streams="backend.sync.lists:show",
    group=GROUP,
)
async def show(
    ctx: ActionContext,
    fleet: None,
    *,
    profile: Annotated[str, Option("the profile", positional=True)],
) -> str:
    """Show the rules of a profile as they would stand in sync.yaml."""
    from backend.sync.lists import as_yaml

    for line in as_yaml(ctx.config.profile(profile)).splitlines():
        ctx.report(line)
    return profile


@action(on=HostRow, name="sync-host", verb="", key="y", title="sync", footer=True, group=GROUP)
async def sync_host(ctx: ActionContext, host: HostRow) -> str:
    """Bring files to the host or back: choose a profile, look at what would be done, do it."""
    raise UsageError("this is the dashboard's.", hint="berth push --host NAME")


@action(on=ContextRow, name="sync-context", verb="", key="y", title="sync", footer=True, group=GROUP)
async def sync_context(ctx: ActionContext, context: ContextRow) -> str:
    """Bring files to the context's host or back, by its profile."""
    raise UsageError("this is the dashboard's.", hint="berth push --context NAME")
