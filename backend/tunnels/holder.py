"""The tunnels that this process holds, and how others hear of them: a file, and a socket that answers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import msgspec

from backend import atomic
from backend.link import sockets
from backend.tunnels import book
from backend.tunnels.tunnel import Far, Tunnel

_log = logging.getLogger("berth.tunnels")
_holders: WeakKeyDictionary[asyncio.AbstractEventLoop, Holder] = WeakKeyDictionary()
_LONGEST = 4096
"""Bytes of a question."""


def holder() -> Holder:
    """The one of this process."""
    loop = asyncio.get_running_loop()
    if loop not in _holders:
        _holders[loop] = Holder()
    return _holders[loop]


class Holder:
    """All tunnels of this process. Nothing of it is there while there is none."""

    def __init__(self) -> None:
        self.tunnels: dict[str, Tunnel] = {}
        self.kind = "shell"
        """`dashboard` or `shell`."""
        self._folder: Path | None = None
        self._server: asyncio.Server | None = None
        self._file = Path()
        self._writing: asyncio.Task[None] | None = None
        self._again = False
        self._ending: dict[str, asyncio.Event] = {}
        self._opening = asyncio.Lock()

    @asynccontextmanager
    async def held(self, far: Far, *, wanted: int = 0, exact: bool = False) -> AsyncIterator[Tunnel]:
        """A new tunnel, listed once its port here is open; let go of at the end, whatever happens."""
        tunnel = Tunnel(self._new_id(), far, wanted=wanted, exact=exact)
        tunnel.changed = self._changed
        self.tunnels[tunnel.id] = tunnel
        ended = self._ending[tunnel.id] = asyncio.Event()
        try:
            await self._open()
            yield tunnel
        finally:
            await tunnel.close()
            self.tunnels.pop(tunnel.id, None)
            self._ending.pop(tunnel.id, None)
            ended.set()
            if self.tunnels:
                self._changed()
            else:
                await self._close()

    def _new_id(self) -> str:
        taken = {row.id for _, entry in book.entries() for row in entry.tunnels} | self.tunnels.keys()
        while (id := secrets.token_hex(2)) in taken or id.isdecimal():  # a number reads like a port
            pass
        return id

    # ------------------------------------------------------------------------------- telling others

    async def _open(self) -> None:
        async with self._opening:
            if self._server is not None:
                return
            folder = sockets.make()
            try:
                self._server = await asyncio.start_unix_server(
                    self._answer, folder / "tunnels", limit=_LONGEST
                )
            except OSError as error:  # only the lists of others lack it then
                _log.warning("no socket in %s: %s", folder, error)
                shutil.rmtree(folder, ignore_errors=True)
                return
            self._folder = folder
            self._file = book.folder() / f"{folder.name}.json"

    async def _close(self) -> None:
        async with self._opening:
            if self._writing is not None:
                await asyncio.gather(self._writing, return_exceptions=True)
            if self.tunnels:  # one has come meanwhile
                self._changed()
                return
            server, self._server = self._server, None
            if server is not None:
                server.close()
                with contextlib.suppress(OSError):
                    self._file.unlink(missing_ok=True)
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
                self._folder = None

    def _changed(self) -> None:
        """Write down which tunnels there are. Figures are asked for at the socket."""
        self._again = True
        if self._writing is None and self._folder is not None:
            self._writing = asyncio.create_task(self._write())

    async def _write(self) -> None:
        try:
            while self._again and self._folder is not None:
                self._again = False
                entry = book.own(self._folder / "tunnels", tuple(self._rows()))
                data = msgspec.json.encode(entry)
                try:
                    await asyncio.to_thread(atomic.write, self._file, data, durable=False)
                except OSError as error:
                    _log.warning("%s: %s", self._file, error)
        finally:
            self._writing = None

    def _rows(self) -> list[Any]:
        return [each.row(self.kind) for each in self.tunnels.values() if each.local_port]

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One question, one answer. The socket's folder lets nobody in but this user."""
        try:
            question = msgspec.json.decode(await reader.readline(), type=dict[str, str])
            writer.write(msgspec.json.encode(await self._reply(question)) + b"\n")
            await writer.drain()
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            _log.debug("asked for tunnels: %s", error)
        finally:
            writer.close()

    async def _reply(self, question: dict[str, str]) -> dict[str, Any]:
        if question.get("cmd") == "list":
            return {"tunnels": self._rows()}
        tunnel = self.tunnels.get(question.get("id", ""))
        if tunnel is None:
            return {"ok": False}
        if question.get("cmd") == "url":
            return {"ok": True, "url": tunnel.url, "page": tunnel.page}
        if question.get("cmd") == "stop":
            ended = self._ending[tunnel.id]
            tunnel.stopped.set()
            await ended.wait()
            return {"ok": True}
        return {"ok": False}
