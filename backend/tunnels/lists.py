"""`berth tunnels`: all tunnels of this user on this machine, whichever berth holds them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from backend import tables, text
from backend.config import Config
from backend.listoutput import Output
from backend.model import TunnelRow
from backend.tunnels import book

_STATES = {"up": "good", "reconnecting": "warn", "silent": "bad"}


def leads_to(row: TunnelRow) -> str:
    """Where it leads, as people name it."""
    place = f"{row.host}/{row.name}" if row.name else row.host
    return f"{row.context} ({place})" if row.context else place


COLUMNS = (
    tables.Col("ID", lambda row: row.id),
    tables.Col("STATE", lambda row: row.state, lambda row: _STATES.get(row.state, "")),
    tables.Col("ADDRESS", lambda row: row.url or row.address, flex=True, least=15),
    tables.Col("SERVICE", lambda row: row.service),
    tables.Col("TO", leads_to, flex=True),
    tables.Col("PORT", lambda row: str(row.port), right=True, rank=3),
    tables.Col("IN", lambda row: text.size(row.received), right=True, rank=1),
    tables.Col("OUT", lambda row: text.size(row.sent), right=True, rank=1),
    tables.Col("CONN", lambda row: f"{row.connections}/{row.served}", right=True, rank=2),
    tables.Col("SINCE", lambda row: text.age(row.since), right=True, rank=2),
    tables.Col("HELD BY", lambda row: f"{row.holder} {row.pid}", rank=4),
    tables.Col("NOTE", lambda row: row.note, flex=True, rank=1),
)


async def show(config: Config, *, hosts: Sequence[str] | None, json: bool, watch: float | None) -> int:
    """Print it, once or whenever it changed; the exit code. Raises `NoSuchTarget` for an unknown host."""
    wanted = {config.host(name).name for name in hosts} if hosts else None
    output = Output(
        lambda: COLUMNS, "no tunnels are open: see berth tunnel --help.", json=json, watch=watch is not None
    )
    while True:
        rows = [row for row in await book.rows() if wanted is None or row.host in wanted]
        output.write(rows, [])
        if watch is None:
            return 0
        await asyncio.sleep(max(0.5, watch))
