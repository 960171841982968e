"""A new container in the place of an old one: the old one stays until the new one runs, or comes back.

made      the new container exists under a name of its own; nothing else has changed
stopped   the old one is stopped, since both may want the same ports and GPUs
renamed   the old one is called NAME-before-TIME, the new one NAME
runs      the new one was started and is still there a moment later
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from backend.engine.faults import LostError
from backend.engine.lasting import Lasting
from backend.errors import ActionFailed, BerthError, EngineError, HostError, NoSuchTarget
from backend.recreate.request import first_network
from backend.whole import whole

if TYPE_CHECKING:
    from backend.engine import EngineClient
    from backend.engine.lasting import Again

_LOOK = 1.0
"""Seconds for which a new container has to run before the old one is no longer needed."""
_NO_RESTART = {"Name": "no", "MaximumRetryCount": 0}


class Swap:
    """One exchange. `found` is the engine's inspect of the old container."""

    def __init__(self, engine: EngineClient, found: Mapping[str, Any], again: Again | None = None) -> None:
        """`again`: the engine anew, to put things back if the connection is lost in the middle."""
        state = found.get("State") or {}
        self._engine = engine
        self._lasting = Lasting(engine, again)
        self.old = str(found["Id"])
        self.name = str(found["Name"]).lstrip("/")
        self.ran = bool(state.get("Running"))
        """Whether the old one ran (paused counts)."""
        self._paused = bool(state.get("Paused"))
        self._policy = (found.get("HostConfig") or {}).get("RestartPolicy") or {}
        now = datetime.now(UTC)
        self.kept = f"{self.name}-before-{now:%Y%m%dT%H%M%S}.{now.microsecond // 1000:03}Z"
        """What the old one is called afterwards; twice in one second gives two names."""
        self._stopping = False
        self._new = ""

    async def run(self, body: dict[str, Any]) -> str:
        """Do it; the new container's id. When it fails or is cancelled, all is as it was before."""
        others = first_network(body)
        self._new = f"{self.name}-new-{secrets.token_hex(4)}"
        try:
            self._new = await self._engine.create(body, self._new)
        except (HostError, LostError):  # it may have been made all the same
            with suppress(BerthError):
                await whole(self._lasting.do(self._remove_new))
            raise
        try:
            for name, endpoint in others:
                await whole(self._engine.connect_network(name, self._new, endpoint))
            await whole(self._stop_old())
            await whole(self._engine.rename(self.old, self.kept))
            await whole(self._engine.rename(self._new, self.name))
            if self.ran:
                await whole(self._engine.start(self._new))
                await self._look()
        except BaseException as error:
            trouble = await whole(self._undo())
            if trouble:
                raise ActionFailed(
                    f"{self.name} on {self._engine.host} could not be put back: {trouble}",
                    hint=f"The old container may now be called {self.kept}.",
                ) from error
            raise
        return self._new

    async def _stop_old(self) -> None:
        self._stopping = True
        if self._policy.get("Name") not in (None, "", "no"):
            # Or the engine starts the old one beside the new one when it is itself restarted.
            with suppress(NoSuchTarget):  # an engine that cannot change it: Podman 4
                await self._engine.set_restart_policy(self.old, _NO_RESTART)
        if self._paused:
            await self._engine.unpause(self.old)
        if self.ran:
            await self._engine.stop(self.old)

    async def _look(self) -> None:
        """Raise `ActionFailed` if the new container ended at once and not well."""
        code = await self._engine.wait(self._new, timeout=_LOOK)
        if code is None:  # Podman looks for an end now and then only
            state = (await self._engine.inspect(self._new)).get("State") or {}
            code = 0 if state.get("Running") else state.get("ExitCode")
        if code:
            raise ActionFailed(
                f"the new {self.name} on {self._engine.host} ended at once with exit code {code}.",
                hint="The old one was put back.",
            )

    async def _undo(self) -> str:
        """Put everything back; what could not be, in words."""
        troubles = []
        for step in (self._remove_new, self._rename_back, self._start_old):
            try:
                await self._lasting.do(step)
            except BerthError as error:
                troubles.append(error.message)
        return " ".join(troubles)

    async def _remove_new(self, engine: EngineClient) -> None:
        with suppress(NoSuchTarget):
            await engine.remove(self._new, force=True)

    async def _rename_back(self, engine: EngineClient) -> None:
        now = str((await engine.inspect(self.old)).get("Name", "")).lstrip("/")
        if now != self.name:
            await engine.rename(self.old, self.name)

    async def _start_old(self, engine: EngineClient) -> None:
        if not self._stopping:
            return
        if self._policy.get("Name") not in (None, "", "no"):
            with suppress(NoSuchTarget):
                await engine.set_restart_policy(self.old, self._policy)
        if self.ran:
            await engine.start(self.old)
        if self._paused and not (await engine.inspect(self.old)).get("State", {}).get("Paused"):
            await engine.pause(self.old)


async def image_id(engine: EngineClient, found: Mapping[str, Any]) -> tuple[str, Mapping[str, Any] | None]:
    """What to create an equal container from: its image's name, or its id where the name moved on.

    The second is the image's inspect, None where the image is gone.
    """
    name, used = str((found.get("Config") or {}).get("Image") or ""), str(found.get("Image") or "")
    try:
        image = await engine.inspect_image(used)
    except (NoSuchTarget, EngineError):
        return name, None
    with suppress(NoSuchTarget, EngineError):
        if name and str((await engine.inspect_image(name)).get("Id")) == str(image.get("Id")):
            return name, image
    return used, image
