"""The port of a tunnel on this machine. It stays as long as the tunnel does, whatever becomes of links."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import Callable

from backend.errors import BerthError, HostError
from backend.tunnels.relay import Dial, Near, Traffic

ADDRESS = "127.0.0.1"
PATIENCE = 30.0
"""Seconds that a new connection waits for a link that is lost, before it is refused."""
BACKLOG = 1024
"""Connections that may come at the same moment."""
_TAKEN = (errno.EADDRINUSE, errno.EACCES)
"""Why another port may do: somebody has it, or only root may (below 1024)."""


class Listener:
    """Takes connections, and joins each with the far end as soon as that can be reached."""

    def __init__(self, knocked: Callable[[], None] = lambda: None) -> None:
        """`knocked`: called when somebody connects while there is no way to the far end."""
        self.port = 0
        self.traffic = Traffic()
        self.refusal = ""
        """Why the last connection did not reach the far end; empty: it did."""
        self._dial: Dial | None = None
        self._there = asyncio.Event()
        self._knocked = knocked
        self._server: asyncio.Server | None = None
        self._near: set[Near] = set()
        self._joining: set[asyncio.Task[None]] = set()

    async def open(self, wanted: int, *, exact: bool) -> bool:
        """Listen on the wanted port; where that is taken, on a free one, unless it has to be that one.

        Whether it is the wanted one. Raises `ActionFailed` where it had to be and is not to be had.
        """
        try:
            await self._listen(wanted)
        except OSError as error:
            if exact or not wanted or error.errno not in _TAKEN:
                from backend.tunnels.taken import refusal

                raise refusal(wanted, error) from None
            await self._listen(0)
        return not wanted or self.port == wanted

    async def _listen(self, port: int) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Near(self._accepted), ADDRESS, port, backlog=BACKLOG, reuse_address=True
        )
        self.port = self._server.sockets[0].getsockname()[1]

    @property
    def waiting(self) -> bool:
        """Whether somebody waits for the far end."""
        return bool(self._joining)

    def lead_to(self, dial: Dial | None) -> None:
        """Where connections go from now on; None: they wait."""
        self._dial = dial
        if dial is None:
            self._there.clear()
        else:
            self._there.set()

    async def close(self) -> None:
        """Let go of the port, and of all connections."""
        if self._server is not None:
            self._server.close()
        for task in list(self._joining):
            task.cancel()
        await asyncio.gather(*self._joining, return_exceptions=True)
        for near in list(self._near):
            near.other.abort()
            near.abort()
        self._near.clear()

    def _accepted(self, near: Near) -> None:
        self._near = {each for each in self._near if not each.lost}
        self._near.add(near)
        task = asyncio.create_task(self._join(near))
        self._joining.add(task)
        task.add_done_callback(self._joining.discard)

    async def _join(self, near: Near) -> None:
        """Reach the far end, over the next link if this one is lost on the way."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not near.lost:
                    if self._dial is None:
                        self._knocked()
                    await self._there.wait()
                    dial = self._dial
                    if dial is None:
                        continue
                    try:
                        await near.join(dial, self.traffic)
                    except HostError:
                        if self._dial is dial:  # whoever keeps the tunnel hears of it in a moment
                            await asyncio.sleep(0.1)
                        continue
                    self.refusal = ""
                    return
        except TimeoutError:
            self._refuse(near, "the host did not come back in time")
        except BerthError as error:
            self._refuse(near, error.message)
        except OSError as error:
            self._refuse(near, error.strerror or str(error))
        except BaseException:
            near.abort()
            raise

    def _refuse(self, near: Near, why: str) -> None:
        self.traffic.failed += 1
        self.refusal = why
        with contextlib.suppress(OSError):
            near.abort()
