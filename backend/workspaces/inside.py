"""Services in a container: found, started, watched, ended."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from backend.config import Context
from backend.config.schema import Service
from backend.errors import ActionFailed, BerthError, NoSuchTarget, Refused
from backend.text import printable
from backend.workspaces import kept, services

if TYPE_CHECKING:
    from backend.engine import EngineClient
    from backend.engine.execs import ExecResult

_DIED, _SILENT, _NONE = 3, 4, 5
_NO_PROGRAM = "exit 127"
_SAY = 8.0
"""Seconds between two lines about a service that does not listen yet."""
Told = Callable[[str], None]
_ANSWER = re.compile(r"(?:runs|starts) [0-9]{1,9} [0-9]{1,5}( [A-Za-z0-9_-]+)?|free [0-9]{1,5}|[0-9]{1,9}")


class Running(Struct, frozen=True):
    """A service that runs."""

    pid: int
    """In its container."""
    port: int
    """In its container."""
    token: str
    """Empty where nobody knows it any more."""
    new: bool
    """Whether it was started by this call."""


class Place(Struct, frozen=True):
    """A service, and the container that it runs in."""

    context: Context
    name: str
    service: Service
    container: str
    """Its id."""
    loopback: bool = False
    """Whether it is to listen on loopback alone: where that of the host is the container's too, and where the
    tunnel reaches into the container anyway."""

    @property
    def process(self) -> str:
        """The service that it is a page of."""
        return services.SAME.get(self.name, self.name)

    @property
    def user(self) -> str:
        """Who runs it."""
        return self.service.user or self.context.user


class Ended(ActionFailed):
    """A service that is not there any more, or not as it should be, with what it said last."""

    def __init__(self, message: str, *, hint: str = "", said: str = "") -> None:
        super().__init__(message, hint=hint)
        self.said = said.splitlines()
        """Its last lines, printable."""


async def begin(
    engine: EngineClient, place: Place, *, start: bool = True, told: Told = lambda line: None
) -> Running:
    """The service once it listens, started where it does not run. Raises `ActionFailed` with its last lines.

    Without `start`, `Refused` where it does not run. `told` hears what is waited for, and for how long.
    """
    found = await _ask(engine, place, "find", str(place.service.port))
    words = _answer(found, place)
    inside = place.context.container
    if words[0] in ("runs", "starts"):
        token = words[3] if len(words) > 3 else kept.token(place.context, place.process)
        if words[0] == "starts":
            told(f"{place.name} is starting in {inside} already; waiting until it listens on port {words[2]}")
            _checked(await _patiently(engine, place, _ask(engine, place, "settle"), told), place)
        return Running(int(words[1]), int(words[2]), token, new=False)
    if not start:
        raise Refused(
            f"{place.name} does not run in {place.context.container}, and starting it is not allowed here.",
            hint="berth or the host is read-only.",
        )
    token, port = secrets.token_urlsafe(24), int(words[1])
    kept.keep(place.context, place.process, token)
    address = "127.0.0.1" if place.loopback else "0.0.0.0"  # noqa: S104  # of the container alone
    values = {"port": str(port), "address": address, "token": token}
    command = [services.filled(word, values) for word in place.service.command]
    env = {"BERTH_PORT": str(port), "BERTH_ADDRESS": address, "BERTH_TOKEN": token, "JUPYTER_TOKEN": token}
    told(f"starting {place.name} in {inside}; waiting until it listens on port {port}")
    asking = _ask(engine, place, "start", str(port), *command, env=env)
    started = _checked(await _patiently(engine, place, asking, told), place)
    return Running(int(_answer(started, place)[0]), port, token, new=True)


async def _patiently(
    engine: EngineClient, place: Place, asking: Coroutine[Any, Any, ExecResult], told: Told
) -> ExecResult:
    """The answer. While it does not come, `told` hears what the service says."""
    task = asyncio.ensure_future(asking)
    began = time.monotonic()
    try:
        while not (await asyncio.wait({task}, timeout=_SAY))[0]:
            with suppress(BerthError):
                last = _text((await _ask(engine, place, "last")).stdout)
                after = round(time.monotonic() - began)
                told(f"{place.name} does not listen yet, after {after} s" + f": {last}" * bool(last))
        return task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _checked(found: ExecResult, place: Place) -> ExecResult:
    if found.exit_code:
        raise _failed(found, place)
    return found


async def ended(engine: EngineClient, place: Place, running: Running) -> str | None:
    """Wait for the end of a service; the last lines of what it said, None where its container ended too."""
    found = await _ask(engine, place, "watch", str(running.pid))
    return None if found.exit_code else _text(found.stdout)


async def end(engine: EngineClient, place: Place) -> None:
    """End a service: SIGTERM, after some seconds SIGKILL. Raises `NoSuchTarget` where it does not run."""
    found = await _ask(engine, place, "stop")
    if found.exit_code == _NONE:
        raise NoSuchTarget(f"{place.name} does not run in {place.context.container}.")
    if found.exit_code:
        raise ActionFailed(f"{place.name} cannot be ended: {_text(found.stderr)}.")


async def _ask(
    engine: EngineClient, place: Place, verb: str, *words: str, env: dict[str, str] | None = None
) -> ExecResult:
    argv = ["sh", "-c", services.script("service"), "berth-service", verb, place.process, *words]
    return await engine.exec(place.container, argv, user=place.user, workdir=place.context.workdir, env=env)


def _answer(found: ExecResult, place: Place) -> tuple[str, ...]:
    """The words of the last line, which is the answer. Raises `ActionFailed` where it is none."""
    match = _ANSWER.fullmatch(_text(found.stdout).rpartition("\n")[2].strip())
    if found.exit_code or match is None:
        said = _text(found.stderr) or _text(found.stdout) or "no answer"
        raise ActionFailed(f"{place.context.container} cannot be asked for {place.name}: {said}.")
    return tuple(match[0].split())


def _failed(found: ExecResult, place: Place) -> ActionFailed:
    """Why it did not start, with what it said last."""
    where = f"{place.context.container} on {place.context.host}"
    code, _, rest = _text(found.stdout).partition("\n")
    if found.exit_code == _DIED and code == _NO_PROGRAM:
        hint = services.MISSING.get(place.name, "Is its program in the image?")
        return Ended(f"the program of {place.name} is not in {where}.", hint=hint, said=rest)
    if found.exit_code == _DIED:
        return Ended(f"{place.name} ended at once in {where}: {code}.", said=rest)
    if found.exit_code == _SILENT:
        hint = "It goes on. The same verb finds it again; --stop ends it."
        message = f"{place.name} runs in {where}, but does not listen on its port."
        return Ended(message, hint=hint, said=_text(found.stdout))
    return ActionFailed(f"{place.name} cannot be started in {where}: {_text(found.stderr) or code}.")


def _text(data: bytes) -> str:
    """What a container said, a line each."""
    lines = data.decode(errors="replace").strip().splitlines()
    return "\n".join(printable(line, 500) for line in lines)
