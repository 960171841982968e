"""From the words of a command line or a form to tunnels: where to, and to what."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from backend.config.schema import Context
from backend.config.services import TUNNEL_HINT, is_tunnel
from backend.errors import BerthError, NoSuchTarget, UsageError
from backend.tunnels.keeping import Keeper, PortKeeper
from backend.tunnels.tunnel import Far, Tunnel

if TYPE_CHECKING:
    from backend.actions.context import ActionContext
    from backend.config import Config

WEB = frozenset({80, 443, 3000, 5000, 6006, 7860, 8000, 8080, 8265, 8501, 8888, 9999})
"""Ports that usually speak HTTP: their address is shown as a link."""


class Target(Struct, frozen=True, kw_only=True):
    """Where tunnels lead."""

    host: str
    container: str = ""
    """Empty: to the host itself."""
    context: Context | None = None
    """Of the configuration, or made up for a container that has none; None for a host."""

    @property
    def label(self) -> str:
        """As people name it."""
        return self.context.name if self.context is not None else self.host


class Wish(Struct, frozen=True, kw_only=True):
    """One tunnel that is wanted."""

    service: str = ""
    """Its name; empty: a port."""
    port: int = 0
    local: int = 0
    """The port here, and no other one; 0: the same, or a free one."""

    @property
    def name(self) -> str:
        """What it is called in lists."""
        return self.service or str(self.port)


def split(config: Config, words: Sequence[str]) -> tuple[Target, list[Wish]]:
    """`[CONTEXT|HOST/CONTAINER|HOST] [SERVICE|PORT|LOCAL:PORT ...]`; without the first the last context."""
    from backend.lastcontext import last_context

    words = [word for word in words if word]
    first = words[0] if words else ""
    known = {each.name for each in config.contexts} | {each.name for each in config.hosts}
    if first and ("/" in first or first in known or not is_tunnel(first)):
        target, rest = find(config, first), words[1:]
    elif last := last_context():
        if first and not first[0].isdigit() and first not in _services(config.context(last)):
            find(config, first)  # neither: says so
        target, rest = find(config, last), words
    elif first:
        target, rest = find(config, first), words[1:]
    else:
        raise UsageError("tunnels to what?", hint="Name a context, HOST/CONTAINER or a host.")
    return target, wishes(target, rest)


def find(config: Config, word: str) -> Target:
    """The target of that name. Raises `NoSuchTarget`."""
    host, slash, container = word.partition("/")
    if slash:
        return of_container(config, config.host(host).name, container)
    for context in config.contexts:
        if context.name == word:
            return Target(host=context.host, container=context.container, context=context)
    if any(each.name == word for each in config.hosts):
        return Target(host=word)
    contexts = ", ".join(each.name for each in config.contexts) or "none"
    raise NoSuchTarget(
        f"no context and no host is called {word!r:.80}.",
        hint=f"Contexts: {contexts}. Or say HOST/CONTAINER.",
    )


def of_container(config: Config, host: str, container: str) -> Target:
    """A container, with its context where it has one."""
    if not container:
        raise UsageError(f"which container of {host}?", hint=f"Say {host}/NAME.")
    for context in config.contexts:
        if (context.host, context.container) == (host, container):
            return Target(host=host, container=container, context=context)
    made_up = Context(name=f"{host}/{container}", host=host, image="", container=container, user="")
    return Target(host=host, container=container, context=made_up)


def wishes(target: Target, words: Sequence[str]) -> list[Wish]:
    """What is wanted of it; of a context those of its file where nothing is said."""
    said = list(words) or list(target.context.tunnels if target.context else ())
    found = []
    for word in dict.fromkeys(said):
        if not is_tunnel(word):
            raise UsageError(f"{word!r:.80} is no tunnel.", hint=TUNNEL_HINT)
        before, _, what = word.rpartition(":")
        local = int(before or 0)
        if what.isdecimal():
            found.append(Wish(port=int(what), local=local))
            continue
        if target.context is None:
            raise UsageError(
                f"a host has no services: {what}.", hint=f"Say a port: berth tunnel {target.host} 8888"
            )
        from backend.workspaces import services

        services.find(target.context, what)
        found.append(Wish(service=what, local=local))
    return found


def _services(context: Context) -> set[str]:
    from backend.workspaces import services

    return set(services.of(context))


def keeper(ctx: ActionContext, target: Target, wish: Wish) -> Keeper:
    """What holds that tunnel."""
    from backend.workspaces import services
    from backend.workspaces.opening import ServiceKeeper

    context = target.context
    if wish.service and context is not None:
        service = services.find(context, wish.service)
        if service.command:
            return ServiceKeeper(ctx, context, wish.service)
        port, path, ready = service.port, service.path, service.ready
    else:
        port, path, ready = wish.port, "/" if wish.port in WEB else "", ""
    named = context.name if context is not None and "/" not in context.name else None
    far = Far(host=target.host, service=wish.name, container=target.container, context=named)
    if target.container:
        return PortKeeper(ctx, far, port, path=path, ready=ready)
    made = Keeper(ctx, far, port)
    made.path = path
    return made


async def only_port(ctx: ActionContext, target: Target) -> list[Wish]:
    """The one port of a container of which nothing was said. Raises `UsageError` naming those it has."""
    from backend.actions.ports import where

    if not target.container:
        raise UsageError(
            f"which port of {target.host}?", hint=f"For example: berth tunnel {target.host} 8888"
        )
    engine = await ctx.engine(target.host)
    found = await engine.inspect(target.container)
    _, _, port = where(found, None, target.container)
    return [Wish(port=port)]


async def hold(
    ctx: ActionContext,
    target: Target,
    wanted: Sequence[Wish],
    *,
    told: Callable[[Wish, Tunnel], None],
    failed: Callable[[Wish, BerthError], None],
) -> None:
    """Hold all of them side by side until each has ended. One that fails does not disturb the others."""

    async def one(wish: Wish) -> None:
        held = keeper(ctx, target, wish)
        try:
            await held.keep(local=wish.local, exact=bool(wish.local), told=lambda tunnel: told(wish, tunnel))
        except BerthError as error:
            for line in getattr(error, "said", ()):
                ctx.report(line)
            failed(wish, error)

    async with asyncio.TaskGroup() as group:
        for wish in wanted:
            group.create_task(one(wish))
