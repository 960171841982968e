"""Doing a command of the user's own: on the host of its target, in a container, or on this machine."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend import placeholders
from backend.actions.context import ActionContext, Terminal
from backend.errors import ActionFailed, UsageError
from backend.everywhere.following import ended, reported
from backend.everywhere.run import Everywhere, HostRun
from backend.everywhere.wish import Wish, choose
from backend.model import ContainerRow, ContextRow, GpuRow, HostRow, ImageRow, JobRow, SessionRow

if TYPE_CHECKING:
    from backend.config import Config
    from backend.config.schema import OwnCommand

_LOGIN_SHELL = 'exec "${SHELL:-/bin/sh}" -c "$1"'


@dataclass(frozen=True)
class Place:
    """What a command is done to."""

    host: str
    container: str
    """Its id, else its name; empty where the target has none."""
    values: Mapping[str, str]
    label: str


def place_of(target: Any) -> Place:
    """What is known of a target, as placeholders."""
    host = str(getattr(target, "host", ""))
    if isinstance(target, HostRow):
        return Place(target.name, "", {}, target.name)
    if isinstance(target, ContainerRow):
        container = target.id or target.name
        values = {"container": target.name, "id": target.id, "image": target.image}
        return Place(host, container, values | {"context": target.context or ""}, f"{target.name} on {host}")
    if isinstance(target, ContextRow):
        container = target.container_id or target.container
        values = {"context": target.name, "container": target.container, "image": target.image}
        return Place(host, container, values, target.name)
    if isinstance(target, GpuRow):
        return Place(
            host, "", {"gpu": str(target.index), "uuid": target.uuid}, f"GPU {target.index} of {host}"
        )
    if isinstance(target, JobRow):
        values = {"job": target.id, "name": target.name, "container": target.container}
        return Place(host, target.container, values, f"job {target.id} on {host}")
    if isinstance(target, ImageRow):
        return Place(host, "", {"image": target.name, "id": target.id}, f"{target.name} on {host}")
    assert isinstance(target, SessionRow)
    return Place(host, "", {"session": target.name}, f"{target.name} on {host}")


async def run(
    ctx: ActionContext, name: str, own: OwnCommand, target: Any, options: Mapping[str, Any]
) -> str | Terminal:
    """Do it. Raises `ActionFailed` with its exit code where that is not 0."""
    said = values_of(own, options)
    ctx.secrets.update(
        said[each] for each, param in own.params.items() if param.type == "secret" and said[each]
    )
    ctx.notes["command"] = " ".join(own.texts)
    if target is None:
        return await reported(ctx, wish_of(ctx.config, own, options))
    place = place_of(target)
    values = {**place.values, **said}
    if own.show == "terminal":
        values |= await placeholders.of_host(ctx.config.host(place.host), _wanted(own))
        return await _terminal(ctx, name, own, place, values)
    if own.runs == "container":
        values |= await placeholders.of_host(ctx.config.host(place.host), _wanted(own))
        return await _inside(ctx, name, own, place, values)
    wish = Wish(
        own.texts,
        (place.host,),
        as_words=not isinstance(own.command, str),
        local=own.runs == "laptop",
        values=values,
    )

    async def heard(run: HostRun, lines: list[str]) -> None:
        for line in lines:
            ctx.report(line)

    everywhere = Everywhere(ctx.config, ctx.access, wish, heard=heard)
    await everywhere.run()
    (ran,) = everywhere.runs
    if not ran.ok:
        _failed(name, place, ran)
    return f"{name}: done on {place.label}"


def values_of(own: OwnCommand, options: Mapping[str, Any]) -> dict[str, str]:
    """The values of a command's own parameters. Raises `UsageError` for one that cannot be sent."""
    found = {}
    for name, param in own.params.items():
        text = str(options.get(name, param.default or ""))
        if re.search("[\0\n\r]", text):
            raise UsageError(f"{name.replace('_', ' ')}: one line is wanted.")
        if param.type == "path" and text.startswith("~/"):
            # a command begins in the home of the host, so there the rest is enough
            text = str(Path(text).expanduser()) if own.runs == "laptop" else text[2:] or "."
        found[name] = text
    return found


def wish_of(config: Config, own: OwnCommand, options: Mapping[str, Any]) -> Wish:
    """What a command for all hosts asks for. Raises as `choose` does."""
    hosts, left_out = choose(
        config,
        hosts=options.get("host") or (),
        tags=options.get("tag") or (),
        only=options.get("only") or "",
        changes=not own.reads,
    )
    if own.runs == "laptop" and not placeholders.used(own.texts, placeholders.HOST):
        hosts = hosts[:1]  # it would do the same thing again and again
    return Wish(
        own.texts,
        hosts,
        as_words=not isinstance(own.command, str),
        local=own.runs == "laptop",
        values=values_of(own, options),
        left_out=left_out,
    )


def _wanted(own: OwnCommand) -> set[str]:
    return placeholders.used(own.texts, placeholders.HOST)


def _failed(name: str, place: Place, ran: HostRun) -> None:
    if ran.state != "done":
        ended([ran], f"{name} on {place.label}")
    failed = ActionFailed(f"{name} on {place.label} ended with exit code {ran.code}.")
    failed.exit_code = ran.code or 1  # scripts ask for it, as they do of ssh
    raise failed


def _argv(own: OwnCommand, values: Mapping[str, str]) -> list[str]:
    """The words that run it below `env`, with its line in the login shell."""
    if isinstance(own.command, str):
        return ["sh", "-c", _LOGIN_SHELL, "berth", placeholders.line(own.command, values.keys())]
    return placeholders.words(own.command, values)


async def _inside(
    ctx: ActionContext, name: str, own: OwnCommand, place: Place, values: Mapping[str, str]
) -> str:
    from backend.actions.container_look import Lines

    if not place.container:
        raise UsageError(f"{place.label} has no container.")
    placeholders.environment(values)  # says what cannot be sent
    lines = Lines(ctx)
    engine = await ctx.engine(place.host)
    env = {placeholders.variable(key): value for key, value in values.items()}
    result = await engine.exec(place.container, _argv(own, values), env=env, output=lines.feed)
    lines.end()
    if result.exit_code:
        _failed(name, place, HostRun(place.host, state="done", code=result.exit_code))
    return f"{name}: done in {place.label}"


async def _terminal(
    ctx: ActionContext, name: str, own: OwnCommand, place: Place, values: Mapping[str, str]
) -> str | Terminal:
    placeholders.environment(values)
    argv = _argv(own, values)
    env = {placeholders.variable(key): value for key, value in values.items()}
    if own.runs == "laptop":
        return await _here(ctx, name, place, argv, env)
    argv = ["env", *(f"{key}={value}" for key, value in env.items()), *argv]
    if own.runs == "container":
        from backend.terminal import scripts, visits

        context = next((each for each in ctx.config.contexts if each.name == values.get("context")), None)
        argv = scripts.enter(
            scripts.Seat(name, "none"),
            visits.engine_of(ctx, place.host),
            place.container,
            user=context.user if context else "",
            profile=context.profile if context else "tuned",
            shell=argv,
            workdir=(context.workdir or "") if context else "",
        )
    return Terminal(host=place.host, argv=argv, title=f"{name} on {place.label}")


async def _here(
    ctx: ActionContext, name: str, place: Place, argv: Sequence[str], env: Mapping[str, str]
) -> str:
    async with ctx.voice.lend_terminal():
        try:
            child = await asyncio.create_subprocess_exec(*argv, env={**os.environ, **env})
        except OSError as error:
            raise ActionFailed(f"{argv[0]} cannot be started: {error.strerror}.") from None
        code = await child.wait()
    if code:
        _failed(name, place, HostRun(place.host, state="done", code=code if code > 0 else 128 - code))
    return f"{name}: done for {place.label}"
