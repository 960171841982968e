"""Tunnels: ports of this machine that lead to hosts, containers and their services. See docs/tunnels.md."""

from __future__ import annotations

from collections.abc import Sequence

_SUB = frozenset({"hold", "stop", "open"})


def spelled_out(argv: Sequence[str], at: int) -> list[str]:
    """`berth tunnel TARGET ...` as `berth tunnel hold TARGET ...`; `at` is where the verb stands."""
    rest = list(argv[at + 1 :])
    if rest[:1] in (["-h"], ["--help"]) or (rest and rest[0] in _SUB):
        return list(argv)
    return [*argv[: at + 1], "hold", *rest]
