"""What can be asked of a host's engine: one method per thing, awaited, with a time limit each."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal

import msgspec
from msgspec import Struct

from backend.engine import cdi
from backend.engine.builds import Builds
from backend.engine.caller import CALL_TIMEOUT
from backend.engine.execs import Execs
from backend.engine.files import Files
from backend.engine.images import Images
from backend.engine.lane import Lane
from backend.errors import BerthError, EngineError
from backend.link import Link
from backend.whole import whole

GRACE = 10
"""Seconds a container has to end by itself when it is stopped: the engine's own default."""
_CLEAN_UP = 10.0
_ANY = dict[str, Any]


class _Created(Struct, frozen=True):
    Id: str


class _Exit(Struct, frozen=True):
    StatusCode: int


class Top(Struct, frozen=True):
    """The processes of a container, as the engine's `ps` shows them."""

    Titles: list[str]
    Processes: list[list[str]] | None = None


class EngineClient(Builds, Execs, Files, Images):
    """A host's engine. Containers are named by id or name; a name is never trusted to be one.

    Every method raises `NoSuchTarget` where the engine knows no such thing, and `EngineError` with the
    engine's own words, or with what is wrong with the engine, for everything else.
    """

    def __init__(self, link: Link, path: str, *, socket: str, api: str, kind: str, version: str) -> None:
        """Made by `backend.engine.connect`, which finds all of these out."""
        super().__init__(link.name, path, api)
        self.link = link
        self.socket = socket
        """Its path on the host."""
        self.kind = kind
        """`docker` or `podman`."""
        self.version = version

    @property
    def program(self) -> list[str]:
        """The program on the host that speaks to this very engine, for what only it can do there.

        Without the socket a user's own engine would answer where this is the machine's.
        """
        return [self.kind, "-H" if self.kind == "docker" else "--url", f"unix://{self.socket}"]

    # ------------------------------------------------------------------------------------ looking

    async def containers(self, *, all: bool = True) -> list[_ANY]:
        """The engine's list, newest first."""
        return await self.call(
            "list containers", lambda lane: msgspec.convert(lane.containers(all=all), list[_ANY])
        )

    async def inspect(self, container: str) -> _ANY:
        """Everything the engine knows of a container, in its own words."""
        return await self.call(
            "look at the container",
            lambda lane: msgspec.convert(lane.inspect_container(container), _ANY),
        )

    async def info(self) -> _ANY:
        """What the engine says of itself and its host."""
        return await self.call("look at the engine", lambda lane: msgspec.convert(lane.info(), _ANY))

    async def top(self, container: str, ps_args: str | None = None) -> Top:
        """The processes of a running container, with pids of the host."""
        return await self.call(
            "list its processes", lambda lane: msgspec.convert(lane.top(container, ps_args), Top)
        )

    async def wait(
        self,
        container: str,
        *,
        timeout: float | None,
        condition: Literal["not-running", "next-exit", "removed"] = "not-running",
    ) -> int | None:
        """Wait for a container's end; its exit code, or None if it still runs after `timeout` seconds."""

        def ask(lane: Lane) -> int:
            return msgspec.convert(lane.wait(container, condition=condition), _Exit).StatusCode

        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                return await self.call("wait for its end", ask, timeout=None)
        return None

    # ---------------------------------------------------------------------------------- life cycle

    async def start(self, container: str) -> None:
        """Start a container. No error if it runs."""
        await self.call("start", lambda lane: lane.start(container), timeout=60)

    async def stop(self, container: str, *, grace: int = GRACE) -> None:
        """SIGTERM, after `grace` seconds SIGKILL. No error if it does not run."""
        await self.call(
            "stop", lambda lane: lane.stop(container, timeout=grace), timeout=grace + CALL_TIMEOUT
        )

    async def restart(self, container: str, *, grace: int = GRACE) -> None:
        """Stop it if it runs, and start it."""
        await self.call("restart", lambda lane: lane.restart(container, timeout=grace), timeout=grace + 60)

    async def pause(self, container: str) -> None:
        """Freeze all its processes."""
        await self.call("pause", lambda lane: lane.pause(container))

    async def unpause(self, container: str) -> None:
        """Let frozen processes go on."""
        await self.call("unpause", lambda lane: lane.unpause(container))

    async def kill(self, container: str, signal: str = "KILL") -> None:
        """Send a signal to its first process."""
        await self.call("kill", lambda lane: lane.kill(container, signal=signal))

    async def remove(self, container: str, *, force: bool = False, volumes: bool = False) -> None:
        """Remove a container. `force` kills it first; `volumes` takes its anonymous volumes along."""
        await self.call(
            "remove", lambda lane: lane.remove_container(container, v=volumes, force=force), timeout=60
        )

    async def rename(self, container: str, name: str) -> None:
        """Give it another name."""
        await self.call("rename", lambda lane: lane.rename(container, name))

    async def set_restart_policy(self, container: str, policy: Mapping[str, Any]) -> None:
        """Change what the engine does when it ends: `{"Name": "no"}`."""
        wanted: Any = dict(policy)
        await self.call("update", lambda lane: lane.update_container(container, restart_policy=wanted))

    # ------------------------------------------------------------------------------------ creating

    async def create(self, config: Mapping[str, Any], name: str) -> str:
        """Create a container from the engine API's own JSON (`POST /containers/create`); its id.

        If this is cancelled while the engine creates it, it is removed again.
        """
        if self.kind == "podman" and cdi.asked(config):
            config = cdi.named(config, self.version, self.host)

        def work(lane: Lane) -> str:
            made: object = lane.create_container_from_config(dict(config), name)  # type: ignore[no-untyped-call]
            return msgspec.convert(made, _Created).Id

        creating = asyncio.create_task(self.call(f"create {name}", work, timeout=120))
        try:
            return await asyncio.shield(creating)
        except asyncio.CancelledError:
            await whole(self._take_back_container(creating))
            raise

    async def _take_back_container(self, creating: asyncio.Task[str]) -> None:
        try:
            async with asyncio.timeout(_CLEAN_UP):
                await self.remove(await asyncio.shield(creating), force=True)
        except (BerthError, TimeoutError):
            creating.cancel()

    async def connect_network(self, network: str, container: str, endpoint: Mapping[str, Any]) -> None:
        """Join another network; `endpoint` is the API's EndpointSettings."""

        def work(lane: Lane) -> None:
            url = lane.endpoint("/networks/{}/connect", network)
            body = {"Container": container, "EndpointConfig": dict(endpoint)}
            lane.checked(lane.post(url, json=body, timeout=None))

        await self.call(f"join network {network}", work)

    # ----------------------------------------------------------------------------------- processes

    async def shell(self, container: str, candidates: Sequence[str] = ("bash", "sh")) -> str:
        """The first of these shells that is in the container. Raises `EngineError` where none is."""
        for shell in candidates:
            result = await self.exec(container, [shell, "-c", "exit 0"])
            if result.exit_code == 0:
                return shell
        tried = ", ".join(candidates)
        raise EngineError(
            f"{self.host}: the container has none of these shells: {tried}.",
            hint="Its image was made without a shell; only its own program runs in it.",
        )
