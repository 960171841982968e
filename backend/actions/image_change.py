"""What changes the images of a host: pull, remove."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from backend.actions.images import GROUP, is_there, the_same
from backend.actions.registry import Option, action
from backend.errors import ActionFailed, BerthError, Refused
from backend.model import ImageRow
from backend.text import printable, size

if TYPE_CHECKING:
    from backend.actions.context import ActionContext
    from backend.engine import EngineClient
    from backend.model import Container


class _Layers:
    """How far the layers of one pull are."""

    def __init__(self) -> None:
        self.done = 0
        self.total = 0
        self._layers: dict[str, tuple[int, int]] = {}
        self._said: dict[str, str] = {}

    def take(self, layer: str, status: str, done: int | None, total: int | None) -> str:
        """A line of the engine; what to say of it, empty for mere numbers."""
        if total and status.startswith("Downloading"):
            self._layers[layer] = (min(done or 0, total), total)
        elif layer in self._layers and status.startswith(("Download complete", "Pull complete")):
            self._layers[layer] = (self._layers[layer][1],) * 2
        self.done = sum(each for each, _ in self._layers.values())
        self.total = sum(each for _, each in self._layers.values())
        if self._said.get(layer) == status:
            return ""
        self._said[layer] = status
        told = status.startswith(("Downloading", "Pull complete", "Already exists", "Verifying"))
        of = f", {size(total)}" if total and status.startswith("Downloading") else ""
        return f"{layer}: {status}{of}" if told or not layer else ""


@action(on=None, verb="image pull", title="pull image", page=True, group=GROUP)
async def image_pull(
    ctx: ActionContext,
    target: None,
    *,
    image: Annotated[str, Option("the image, REGISTRY/NAME:TAG", positional=True)],
    host: Annotated[
        tuple[str, ...], Option("the hosts that fetch it, side by side", host=True, several=True)
    ],
) -> str:
    """Fetch an image from its registry, on one or several hosts at once.

    Credentials are those of this machine's docker configuration. A cancel, or a lost link, stops it; what
    came whole by then is kept by the engine, and need not come again.
    """
    from backend.engine.names import split_reference

    split_reference(image)
    hosts = list(dict.fromkeys(host))
    for each in hosts:
        ctx.config.host(each)
    states = {each: _Layers() for each in hosts}

    async def one(name: str) -> str:
        engine, state = await ctx.engine(name), states[name]
        async for line in engine.pull(image):
            said = state.take(line.layer, line.status, line.done, line.total)
            if said:
                ctx.report(printable(f"{name}: {said}" if len(hosts) > 1 else said, 300))
            totals = list(states.values())
            ctx.progress(sum(s.done for s in totals), sum(s.total for s in totals) or None)
        found = await engine.inspect_image(image)
        return f"{name}: {size(found.get('Size'))}"

    answers = await asyncio.gather(*(one(each) for each in hosts), return_exceptions=True)
    return _together(ctx, f"pulled {image}", hosts, answers)


def _together(
    ctx: ActionContext, what: str, hosts: Sequence[str], answers: Sequence[str | BaseException]
) -> str:
    """What was done where. Raises what went wrong, after saying all of it."""
    failed: list[BerthError] = []
    for answer in answers:
        if isinstance(answer, BerthError):
            failed.append(answer)
        elif isinstance(answer, BaseException):
            raise answer
    if len(failed) == 1 and len(hosts) == 1:
        raise failed[0]
    done = [answer for answer in answers if isinstance(answer, str)]
    if failed:
        for error in failed:
            ctx.report(printable(str(error), 600))
        raise ActionFailed(
            f"{what} on {len(done)} of {len(hosts)} hosts; what the others said is above.",
            hint=failed[0].hint,
        )
    return f"{what}: {', '.join(done)}"


# ------------------------------------------------------------------------------------------ removing


@action(
    on=ImageRow,
    verb="image rm",
    key="ctrl+d",
    title="remove",
    applies=is_there,
    danger="Remove image {0.name} ({0.short_id}) on {0.host}?{0.besides}",
    footer=True,
    group=GROUP,
)
async def image_rm(
    ctx: ActionContext,
    row: ImageRow,
    *,
    force: Annotated[bool, Option("also where stopped containers use it")] = False,
    all_names: Annotated[bool, Option("all its names, not only this one")] = False,
) -> str:
    """Remove a name of an image; with its last name the image goes.

    An image that a running container or a waiting job needs stays in any case; one that only stopped
    containers use goes by `--force`, after asking.
    """
    from backend.imagerows import bare

    engine = await ctx.engine(row.host)
    name = await the_same(engine, row)
    found = await engine.inspect_image(name)
    tags = [str(tag) for tag in found.get("RepoTags") or ()]
    others = [tag for tag in tags if tag != name]
    if others and name in tags and not all_names:
        await engine.remove_image(name)
        return f"{name} is no name of {row.short_id} on {row.host} any more; it is {', '.join(others)}"
    await _free(ctx, engine, row, force=force)
    for tag in [*others, name] if tags else [row.id]:
        if bare(str((await engine.inspect_image(tag)).get("Id"))) != row.id:
            raise Refused(f"{row.host}: {tag} is another image now.", hint="Look again: berth images")
        await engine.remove_image(tag, force=force or bool(ctx.notes.get("forced")))
    return f"removed {row.name} from {row.host}"


async def _free(ctx: ActionContext, engine: EngineClient, row: ImageRow, *, force: bool) -> None:
    """Make sure that nobody needs it. Raises `Refused` naming who does."""
    from backend.images import look
    from backend.model import Image

    users, containers = await look.users(engine, ctx.access, ctx.config, ())
    needed = users.of(Image(id=row.id, tags=row.tags))
    mine = {f"container {each.name}": each for each in containers}
    held = [user for user in needed if user not in mine or _holds(mine[user])]
    if held:
        raise Refused(
            f"{row.host}: {row.name} is needed by {', '.join(held)}.",
            hint="Stop and remove the containers, cancel the jobs, then remove the image.",
        )
    if needed and not force:
        who = ", ".join(needed)
        if ctx.assume_yes or not await ctx.confirm(
            f"{row.name} on {row.host} is used by {who}, which need it to start again. Remove it by force?"
        ):
            raise Refused(
                f"{row.host}: {row.name} is used by {who}.",
                hint="Remove the container first, or say --force.",
            )
        ctx.notes["forced"] = "yes"


def _holds(container: Container) -> bool:
    return container.state not in ("exited", "created", "dead")
