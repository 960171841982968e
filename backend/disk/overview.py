"""The disks of hosts, side by side: file systems, and what the engine holds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from backend.disk import engine as engines
from backend.disk.model import EngineUse, FileSystem, HostDisk, Owner
from backend.disk.remote import HostSide
from backend.errors import BerthError

if TYPE_CHECKING:
    from backend.actions.context import Access
    from backend.config import Config

FRESH = timedelta(minutes=5)
"""An engine's answer that is not older is taken as it is."""
_INFO = 10.0
"""Seconds an engine may take to say where its data is."""
Say = Callable[[str], None]


async def overview(
    config: Config,
    access: Access,
    hosts: Sequence[str],
    *,
    fresh: bool,
    timeout: float,
    say: Say = lambda line: None,
) -> list[HostDisk]:
    """One answer for each host. `timeout`: seconds that engines may count; then what is known is shown."""

    async def one(host: str) -> HostDisk:
        try:
            return await _one(config, access, host, fresh=fresh, timeout=timeout, say=say)
        except BerthError as error:
            return HostDisk(host=host, ok=False, error=str(error))

    return list(await asyncio.gather(*map(one, hosts)))


async def _one(
    config: Config, access: Access, host: str, *, fresh: bool, timeout: float, say: Say
) -> HostDisk:
    await access.link(host)  # what is wrong with the host itself is said once
    counting = asyncio.create_task(_engine(config, access, host, fresh=fresh, timeout=timeout, say=say))
    try:
        found = await filesystems(config, access, host)
        error = ""
    except BerthError as caught:
        found, error = (), str(caught)
    use, age, problem = await counting
    return HostDisk(
        host=host,
        ok=not error,
        error=error or None,
        filesystems=found,
        engine=use,
        engine_age=age,
        engine_error=problem,
        sums=engines.sums(use) if use is not None else (),
        owners=owners_of(use) if use is not None else (),
    )


async def filesystems(config: Config, access: Access, host: str) -> tuple[FileSystem, ...]:
    """How full a host's disks are. Raises `BerthError`s."""
    wanted = [("root", "/")]
    if root := await engine_root(config, access, host):
        wanted.append(("engine", root))
    wanted += [("folder", each) for each in config.host(host).disk_folders]
    async with await HostSide.open(await access.link(host), polite=False) as side:
        return await side.filesystems(wanted)


async def engine_root(config: Config, access: Access, host: str) -> str:
    """Where a host's engine keeps its data; empty where there is none or it does not say."""
    if config.host(host).engine == "none":
        return ""
    try:
        async with asyncio.timeout(_INFO):
            found = (await (await access.engine(host)).info()).get("DockerRootDir")
    except (BerthError, TimeoutError):
        return ""
    return found if isinstance(found, str) and found.startswith("/") else ""


async def _engine(
    config: Config, access: Access, host: str, *, fresh: bool, timeout: float, say: Say
) -> tuple[EngineUse | None, float | None, str | None]:
    """What the engine holds, how old that is in seconds, and what went wrong."""
    if config.host(host).engine == "none":
        return None, None, None
    known = engines.kept(host)
    now = datetime.now(UTC)
    if known is not None and not fresh and now - known.at < FRESH:
        return known, (now - known.at).total_seconds(), None
    asking = asyncio.create_task(_ask(access, host))
    say(f"{host}: its engine counts what it holds ...")
    try:
        async with asyncio.timeout(timeout):
            return await asyncio.shield(asking), 0.0, None
    except TimeoutError:
        problem = f"{host}: its engine did not finish counting within {timeout:g} s."
    except BerthError as error:
        problem = str(error)
    finally:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    age = (datetime.now(UTC) - known.at).total_seconds() if known is not None else None
    return known, age, problem


async def _ask(access: Access, host: str) -> EngineUse:
    return await engines.ask(await access.engine(host))


def owners_of(use: EngineUse, known: Mapping[str, str] | None = None) -> tuple[Owner, ...]:
    """Who owns what containers wrote, the most first."""
    found = engines.by_owner(use.items, known)
    rows = [Owner(host=use.host, owner=owner, bytes=size) for owner, (size, _) in found.items()]
    return tuple(sorted(rows, key=lambda each: -each.bytes))
