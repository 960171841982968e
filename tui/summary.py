"""The fleet in a few words, for the header."""

from __future__ import annotations

from collections.abc import Sequence

from backend.model import HostRow, HostState
from tui.header import Part


def summary(rows: Sequence[HostRow]) -> list[list[Part]]:
    """The fleet in a few words: how many hosts, how many free GPUs, what is wrong. Longest version first."""
    counted = [row for row in rows if row.state is not HostState.SKIPPED]
    hosts = [(f"{len(counted)} host{'s' if len(counted) != 1 else ''}", "plain")]
    free = sum(row.gpus_free or 0 for row in counted)
    gpus = any(row.gpus for row in counted)
    style = "free" if free else "muted"
    long = [(f"{free} GPU{'s' if free != 1 else ''} free", style)] if gpus else []
    short = [(f"{free} free", style)] if gpus else []
    waiting = sum(row.state is HostState.CONNECTING for row in counted)
    connecting = [(f"{waiting} connecting", "muted")] if waiting else []
    troubles = [
        (sum(row.state in (HostState.AUTH, HostState.HOST_KEY) for row in counted), "locked out", "bad"),
        (sum(row.state is HostState.DOWN for row in counted), "down", "bad"),
        (sum(bool(row.warnings) and row.state is HostState.UP for row in counted), "unwell", "warn"),
    ]
    wrong = [(f"! {count} {what}", style) for count, what, style in troubles if count]
    worst = wrong[0][1] if wrong else ""
    total = sum(count for count, _, _ in troubles)
    merged = [(f"! {total} need{'s' if total == 1 else ''} help", worst)] if len(wrong) > 1 else wrong
    return [hosts + long + connecting + wrong, hosts + short + wrong, hosts + short + merged]
