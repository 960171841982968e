"""Private things in containers: put in with right modes, taken out for good, and proven to be gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from backend.actions.registry import Option, action
from backend.errors import ActionFailed
from backend.model import ContainerRow
from backend.text import printable

if TYPE_CHECKING:
    from backend.actions.context import ActionContext

GROUP = "Private things"


def running(row: ContainerRow) -> bool:
    """Whether commands can run in it."""
    return row.state == "running"


@action(on=ContainerRow, verb="private install", applies=running, group=GROUP)
async def install_private(
    ctx: ActionContext,
    row: ContainerRow,
    *,
    key: Annotated[tuple[str, ...], Option("private SSH key of this machine, by path", ask=True)] = (),
    git: Annotated[bool, Option("this machine's git name and address", ask=True)] = True,
    user: Annotated[str, Option("whose home they go to", short="u")] = "root",
) -> str:
    """Put your git identity and SSH keys into the container: folders 0700, keys 0600, owned by the user.

    They are in the container only, never in an image; `private rm` takes them out again. A .gitconfig that
    was there is set aside meanwhile, and still read.
    """
    from backend.private import install

    engine = await ctx.engine(row.host)
    done, notes = await install(engine, row.id, keys=key, git=git, user=user)
    for line in [*done, *notes]:
        ctx.report(line)
    return f"{len(done)} private things are in {row.name} on {row.host}"


@action(
    on=ContainerRow,
    verb="private rm",
    applies=running,
    danger="Shred the private keys and git identity in {0.name} on {0.host}?",
    group=GROUP,
)
async def remprivate(ctx: ActionContext, row: ContainerRow) -> str:
    """Shred and remove SSH keys, git identity and tokens from the container, and prove it.

    Fails naming what is still there. What is mounted into the container stays, but for what berth put there.
    """
    from backend import toolkit
    from backend.images import keys

    engine = await ctx.engine(row.host)
    done = await engine.exec(row.id, ["sh", "-c", toolkit.source("remprivate.sh"), "remprivate"], user="0")
    for line in (done.stdout + done.stderr).decode("utf-8", "replace").splitlines():
        ctx.report(printable(line, 300))
    left = [each for each in await keys.find(engine, row.id, "container") if each.blocking]
    if left or done.exit_code:
        raise ActionFailed(
            f"{row.name} on {row.host} still holds {'; '.join(map(str, left[:5])) or 'something'}.",
            hint="Remove it by hand: berth enter, then rm.",
        )
    return f"{row.name} on {row.host} holds no private key"


@action(on=ContainerRow, verb="private check", changes=False, group=GROUP)
async def private_check(ctx: ActionContext, row: ContainerRow) -> str:
    """Look for private keys in the container's own files; fails naming them. Mounts are not looked at."""
    from backend.actions.images import check_keys

    await check_keys(ctx, await ctx.engine(row.host), row.id, "container", row.name)
    return f"{row.name} on {row.host} holds no private key"
