"""`berth ownership list`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from backend.errors import BerthError, exit_code_for
from backend.listoutput import Output
from backend.ownership.model import OwnershipRow
from backend.ownership.work import rows as look
from backend.text import UNKNOWN

if TYPE_CHECKING:
    from backend.access import StandaloneAccess
    from backend.actions.context import Access
    from backend.config import Config
    from backend.tables import Col

_EMPTY = "nothing is watched: berth ownership watch HOST [FOLDER...]."
_STYLES = {"watching": "good", "sampling": "good", "ended": "bad"}
_LIMIT = 15.0
"""Seconds a host may take."""


def columns() -> Sequence[Col]:
    """How people see it."""
    from backend.tables import Col

    return (
        Col("HOST", lambda row: row.host, flex=True),
        Col("ID", lambda row: row.id),
        Col("FOLDERS", lambda row: ", ".join(row.folders), flex=True, least=16),
        Col("WANTED", lambda row: row.wanted, flex=True, least=12),
        Col("STATE", lambda row: row.state, lambda row: _STYLES.get(row.state, "")),
        Col("CHANGED", lambda row: f"{row.changed:,}", right=True),
        Col("LEFT", lambda row: f"{row.left:,}", right=True, rank=1),
        Col("WATCHED", lambda row: f"{row.watched:,}", right=True, rank=3),
        Col("SINCE", lambda row: f"{row.since.astimezone():%Y-%m-%d %H:%M}" if row.since else None, rank=2),
        Col("WHY", lambda row: row.error or "; ".join(row.why) or UNKNOWN, flex=True, rank=4),
    )


def asked(config: Config, hosts: Sequence[str]) -> list[str]:
    """Which hosts are asked. Raises `NoSuchTarget`."""
    if hosts:
        return [config.host(name).name for name in dict.fromkeys(hosts)]
    here = sys.platform == "linux"
    return [host.name for host in config.hosts if not host.skip and (here or not host.local)]


async def everywhere(access: Access, hosts: Sequence[str]) -> tuple[list[OwnershipRow], list[BerthError]]:
    """The watches of all these hosts, asked side by side; and who could not be asked."""

    async def one(host: str) -> list[OwnershipRow] | BerthError:
        try:
            async with asyncio.timeout(_LIMIT):
                return await look(await access.link(host))
        except BerthError as error:
            return error
        except TimeoutError:
            return BerthError(f"{host} did not answer within {_LIMIT:.0f} s.")

    answers = await asyncio.gather(*map(one, hosts))
    found = [row for answer in answers if not isinstance(answer, BerthError) for row in answer]
    return found, [answer for answer in answers if isinstance(answer, BerthError)]


async def watches(
    access: StandaloneAccess, rows: Sequence[Any], *, host: tuple[str, ...] = (), json: bool = False
) -> int:
    """Print the list; the exit code, the worst of all hosts'."""
    found, wrong = await everywhere(access, asked(access.config, host))
    Output(columns, _EMPTY, json=json, watch=False).write(found, [str(each) for each in wrong])
    return max(map(exit_code_for, wrong), default=0)
