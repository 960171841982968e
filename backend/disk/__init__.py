"""Where the room of a host went, and how to get it back. See docs/disk.md."""

from __future__ import annotations

from collections.abc import Sequence

_SUB = frozenset({"show", "tree", "top", "prune", "remove", "notify"})


def spelled_out(argv: Sequence[str], at: int) -> list[str]:
    """`berth disk HOST` as `berth disk show HOST`; `at` is where the verb stands."""
    rest = list(argv[at + 1 :])
    if rest[:1] in (["-h"], ["--help"]) or (rest and rest[0] in _SUB):
        return list(argv)
    return [*argv[: at + 1], "show", *rest]
