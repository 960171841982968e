"""A client for a host's engine, that speaks the engine's version of the API."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from backend.config import HostConfig
from backend.engine.caller import Caller
from backend.engine.client import EngineClient
from backend.engine.faults import LostError
from backend.enginesockets import Sockets, find_sockets
from backend.errors import BerthError, EngineError, NoSuchTarget
from backend.link import Link
from backend.model import Engine, EngineState
from backend.text import printable

_HELLO = 8.0
"""Seconds an engine has to say its version."""


class _Component(Struct, frozen=True):
    Name: str = ""
    Version: str = ""


class _Version(Struct, frozen=True):
    """`GET /version`, what matters of it."""

    ApiVersion: str
    Version: str = ""
    Components: list[_Component] | None = None

    @property
    def kind(self) -> str:
        names = " ".join(each.Name for each in self.Components or ())
        return "podman" if "podman" in names.lower() else "docker"


async def connect(link: Link, host: HostConfig, known: Engine | None = None) -> EngineClient:
    """A client for the engine of a host; `known`: what the host's agent says of it.

    Raises `EngineError` saying why the engine cannot be used, or a `HostError` when the link is lost.
    """
    if host.engine == "none":
        raise EngineError(f"{host.name} has no engine.", hint="`engine: none` says so in hosts.yaml.")
    if known is not None and known.state is EngineState.UP and known.socket.startswith("/"):
        found = Sockets(use=(known.socket,))
    else:
        try:
            found = await find_sockets(link, host)
        except TimeoutError:
            raise EngineError(f"{host.name} did not answer in time.") from None
    failure: BerthError | None = None
    for socket in found.use:
        path = await link.forward_socket(socket)
        try:
            return await _greet(link, path, socket)
        except LostError:
            failure = failure or EngineError(
                f"{host.name}: nothing answers on {socket}.",
                hint="Start the engine there: sudo systemctl start docker",
            )
        except BerthError as error:
            failure = failure or error
    if failure is not None:
        raise failure
    if found.denied:
        raise EngineError(
            f"{host.name}: {found.user or 'this user'} may not use {found.denied[0]}.",
            hint=f"Join its group there (sudo usermod -aG docker {found.user or 'USER'}) and log in again.",
        )
    if host.socket:
        raise EngineError(f"{host.name}: {host.socket} is not there.", hint="Correct `socket` in hosts.yaml.")
    hint = "Start it there (sudo systemctl start docker), or set `socket` in hosts.yaml."
    if known is not None and known.state is not EngineState.UP and known.error:
        raise EngineError(f"{host.name}: {printable(known.error)}", hint=printable(known.hint))
    raise EngineError(f"{host.name}: no Docker or Podman socket found.", hint=hint)


async def _greet(link: Link, path: str, socket: str) -> EngineClient:
    """Ask the engine for its version, and make the client for it."""
    # The oldest version the SDK knows is asked without a version in the path, so any engine answers.
    caller = Caller(link.name, path, "1.24")
    try:
        said: Any = await caller.call(
            "ask its version", lambda lane: lane.version(api_version=False), timeout=_HELLO
        )
        version = msgspec.convert(said, _Version)
    except NoSuchTarget as error:
        raise EngineError(error.message, hint=f"{socket} is not Docker's or Podman's.") from None
    except msgspec.ValidationError:
        raise EngineError(
            f"{link.name}: what answers on {socket} is no Docker or Podman.",
            hint="Correct `socket` in hosts.yaml.",
        ) from None
    finally:
        caller.close()
    return EngineClient(
        link,
        path,
        socket=socket,
        api=version.ApiVersion,
        kind=version.kind,
        version=printable(version.Version, 64),
    )
