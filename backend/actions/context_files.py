"""Making and changing contexts as files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from backend.actions.registry import Option, action
from backend.errors import ActionFailed, ConfigError, UsageError
from backend.model import ContextRow

if TYPE_CHECKING:
    from backend.actions.context import ActionContext

GROUP = "Contexts"


@action(on=None, verb="context new", key="n", title="new context", group=GROUP)
async def context_new(
    ctx: ActionContext,
    target: None,
    *,
    name: Annotated[str, Option("its name", positional=True)],
    host: Annotated[str, Option("a host of hosts.yaml, or local")],
    image: Annotated[str, Option("the image")],
    container: Annotated[str | None, Option("the container's name; default: the context's", ask=True)] = None,
    user: Annotated[str | None, Option("who shells inside run as; default: root", ask=True)] = None,
    gpus: Annotated[str | None, Option("all, how many, or which (0,1 or UUIDs)", ask=True)] = None,
    mount: Annotated[tuple[str, ...], Option("source:target[:ro]", ask=True)] = (),
    port: Annotated[tuple[str, ...], Option("[address:]outside:inside", ask=True)] = (),
    shm_size: Annotated[str | None, Option("size of /dev/shm, 16G", ask=True)] = None,
    workdir: Annotated[str | None, Option("where shells start", ask=True)] = None,
    cpuset: Annotated[str | None, Option("0-7,16, or auto: the CPUs beside its GPUs", ask=True)] = None,
    env: Annotated[tuple[str, ...], Option("NAME=VALUE", short="e", ask=True, masked=True)] = (),
    folders: Annotated[bool, Option("mount ~/shared and ~/sharedump of the host, see berth prepare")] = False,
) -> str:
    """Write a new context. Whatever is not given here stands in its file as a comment."""
    from backend.contexts import files

    if folders:
        names = ctx.config.settings.folders
        home = "/root" if user in (None, "root", "0") else f"/home/{user}"
        mount += tuple(f"~/{each}:{home}/{each}" for each in (names.shared, names.sharedump))

    text = files.TEMPLATE.format(host=host, image=image, name=name)
    values = {
        "container": container,
        "user": user,
        "gpus": parse_gpus(gpus),
        "shm_size": shm_size,
        "workdir": workdir,
        "cpuset": cpuset,
        "env": _environment(env),
        "mounts": list(mount),
        "ports": list(port),
    }
    files.new(ctx.config, name, text + files.render(values) if any(values.values()) else text)
    return f"{files.path_of(ctx.config, name)}: start it with berth up {name}"


def _environment(pairs: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise UsageError(f"{pair.partition('=')[0][:40]!r} is not NAME=VALUE.")
        found[name] = value
    return found


def parse_gpus(text: str | None) -> str | int | list[str] | None:
    """What people type for `gpus`: `all`, a number of them, or a list of indices and UUIDs.

    One number is how many; a single index is written with a comma: `3,`.
    """
    if not text or text == "all":
        return text or None
    if text.isdigit():
        return int(text)
    return [word for word in text.replace(" ", "").split(",") if word]


@action(on=ContextRow, verb="context set", bulk=False, group=GROUP)
async def context_set(
    ctx: ActionContext,
    row: ContextRow,
    *,
    values: Annotated[
        tuple[str, ...], Option("KEY=VALUE, as YAML", positional=True, many=True, masked=True)
    ] = (),
) -> str:
    """Change values of a context's file: `berth context set work gpus=2 'mounts=[~/a:/a]'`. `KEY=` removes.

    Comments in the file are kept where the key stands on a line of its own.
    """
    import yaml

    from backend.contexts import editing, files

    if not values:
        raise UsageError("nothing to set.", hint="Write KEY=VALUE, as in gpus=2.")
    text = files.text_of(ctx.config, row.name)
    for pair in values:
        key, equals, written = pair.partition("=")
        if not equals or not key.isidentifier():
            raise UsageError(f"{pair[:60]!r} is not KEY=VALUE.")
        try:
            value = yaml.safe_load(written) if written else None
        except (yaml.YAMLError, ValueError, RecursionError):  # ValueError: what looks like a date and is none
            value = written
        text = editing.with_value(text, key, value)
    files.change(ctx.config, row.name, text)
    return f"changed {row.name}"


@action(on=ContextRow, verb="context edit", key="ctrl+e", bulk=False, group=GROUP)
async def context_edit(ctx: ActionContext, row: ContextRow) -> str:
    """Open its file in $VISUAL or $EDITOR; what would be an error is never saved."""
    from backend.contexts import editing, files

    draft = before = files.text_of(ctx.config, row.name)
    while True:
        draft = await editing.edit(ctx, draft, f"{row.name}.yaml")
        if draft == before:
            return f"{row.name} is as it was"
        try:
            files.change(ctx.config, row.name, draft)
        except ConfigError as error:
            ctx.report(str(error))
            if await ctx.confirm(f"{error} Edit it again?"):
                continue
            raise ActionFailed(f"{row.name} was not changed.", hint=str(error)) from None
        return f"changed {row.name}; what it was is in its history"


@action(on=None, verb="context restore", title="restore context", group=GROUP)
async def context_restore(
    ctx: ActionContext, target: None, *, name: Annotated[str, Option("the removed context", positional=True)]
) -> str:
    """Bring a removed context back from the trash."""
    from backend.contexts import files

    return f"{files.restore(ctx.config, name)} is back"


@action(on=None, name="import", verb="import", title="import", group=GROUP)
async def import_(
    ctx: ActionContext,
    target: None,
    *,
    kind: Annotated[
        Literal["container-juggle", "docker", "ssh", "dok", "rp"], Option("whose files", positional=True)
    ],
    path: Annotated[
        str | None, Option("its file or folder; default: the usual place", positional=True)
    ] = None,
    host: Annotated[str | None, Option("for dok and rp: where the contexts are to run")] = None,
    dry_run: Annotated[bool, Option("only show what would be written")] = False,
) -> str:
    """Read hosts and contexts of other tools. Scripts are parsed, never executed; nothing is replaced.

    What could not be translated is listed line by line.
    """
    from pathlib import Path

    from backend import imports
    from backend.imports.apply import apply

    found = imports.read(kind, Path(path) if path else None, host)
    if dry_run:
        for machine in found.hosts:
            ctx.report(f"host {machine.name}: {machine.values}")
        for draft in found.contexts:
            ctx.report(f"context {draft.name}: {draft.values}")
        for note in found.notes:
            ctx.report(note)
        return f"would add {len(found.hosts)} hosts and {len(found.contexts)} contexts"
    done = apply(ctx.config, found)
    for note in done.notes:
        ctx.report(note)
    return f"added {len(done.hosts)} hosts and {len(done.contexts)} contexts"
