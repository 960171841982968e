"""The tunnels of all berths of this user on this machine: written down by their holders, read by everybody.

Each holder has one file in the state directory, with its process, when that began, and the socket where it
tells more. A file whose process is gone is removed by whoever sees it first.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import sys
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from backend.config.paths import state_dir
from backend.errors import ActionFailed, NoSuchTarget
from backend.model import TunnelRow
from backend.tunnels.tunnel import SILENT

FOLDER = "tunnels"
_ANSWER = 2.0
"""Seconds that a holder may take to answer."""
_STOP = 15.0
_LIMIT = 4 * 1024 * 1024


class Entry(Struct, frozen=True, kw_only=True):
    """What a holder writes down."""

    machine: str
    """Its name: homes are shared between some."""
    pid: int
    began: str
    """When that process began, in the system's own words: another process may get its number."""
    socket: str
    tunnels: tuple[TunnelRow, ...] = ()


def folder() -> Path:
    """Where the files are."""
    return state_dir() / FOLDER


def began(pid: int) -> str:
    """When a process began; empty where there is none."""
    if sys.platform == "linux":
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
        except (OSError, IndexError):
            return ""
    import psutil

    try:
        return str(psutil.Process(pid).create_time())
    except psutil.Error:
        return ""


def entries() -> list[tuple[Path, Entry]]:
    """What holders that are alive have written down; what others left is removed."""
    found = []
    for path in sorted(folder().glob("*.json")):
        try:
            entry = msgspec.json.decode(path.read_bytes(), type=Entry)
        except FileNotFoundError:
            continue
        except (OSError, msgspec.MsgspecError, ValueError):
            entry = None
        if entry is not None and entry.machine != platform.node():
            continue
        if entry is not None and began(entry.pid) == entry.began:
            found.append((path, entry))
            continue
        with contextlib.suppress(OSError):
            path.unlink()
        if entry is not None and Path(entry.socket).parent.name.startswith("berth-"):
            with contextlib.suppress(OSError):
                Path(entry.socket).unlink()
    return found


async def rows() -> list[TunnelRow]:
    """All tunnels as they are now, the oldest first."""
    found = await asyncio.gather(*(_rows(entry) for _, entry in await asyncio.to_thread(entries)))
    return sorted((row for each in found for row in each), key=lambda row: (row.since, row.id))


async def _rows(entry: Entry) -> list[TunnelRow]:
    try:
        said = await _ask(entry, {"cmd": "list"}, _ANSWER)
        return msgspec.convert(said.get("tunnels"), list[TunnelRow])
    except (OSError, TimeoutError, ValueError, AttributeError):
        if began(entry.pid) != entry.began:
            return []
        note = f"its berth (process {entry.pid}) does not answer"
        return [replace(row, state=SILENT, note=note) for row in entry.tunnels]


async def stop(id: str) -> None:
    """End a tunnel, whoever holds it. Raises `NoSuchTarget`, `ActionFailed`."""
    await _tell(id, "stop", _STOP)


async def address(id: str) -> tuple[str, str]:
    """The whole address of a tunnel's page, with its token, and what a browser is given to open."""
    said = await _tell(id, "url", _ANSWER)
    return str(said.get("url", "")), str(said.get("page", ""))


async def _tell(id: str, command: str, timeout: float) -> dict[str, Any]:
    for _, entry in await asyncio.to_thread(entries):
        if all(row.id != id for row in entry.tunnels):
            continue
        try:
            said = await _ask(entry, {"cmd": command, "id": id}, timeout)
        except (OSError, TimeoutError, ValueError) as error:
            raise ActionFailed(
                f"the berth that holds tunnel {id} (process {entry.pid}) does not answer"
                f" ({error or 'too late'}).",
                hint=f"To end it with all it does: kill {entry.pid}",
            ) from None
        if said.get("ok"):
            return said
        break
    raise NoSuchTarget(f"there is no tunnel {id!r:.40}.", hint="See: berth tunnels")


async def _ask(entry: Entry, question: dict[str, str], timeout: float) -> dict[str, Any]:
    async with asyncio.timeout(timeout):
        reader, writer = await asyncio.open_unix_connection(entry.socket, limit=_LIMIT)
        try:
            writer.write(msgspec.json.encode(question) + b"\n")
            said = msgspec.json.decode(await reader.readline())
        finally:
            writer.close()
    if not isinstance(said, dict):
        raise ValueError("no answer")
    return said


def own(socket: Path, tunnels: tuple[TunnelRow, ...]) -> Entry:
    """What this process writes down."""
    pid = os.getpid()
    return Entry(machine=platform.node(), pid=pid, began=began(pid), socket=str(socket), tunnels=tunnels)
