"""Files between this machine and hosts: profiles, previews, transfers, history. See docs/sync.md."""

from __future__ import annotations

from collections.abc import Sequence

_SUB = frozenset({"run", "history", "undo", "profiles", "show"})


def spelled_out(argv: Sequence[str], at: int) -> list[str]:
    """`berth sync PROFILE` as `berth sync run PROFILE`; `at` is where the verb stands."""
    rest = list(argv[at + 1 :])
    if rest[:1] in (["-h"], ["--help"]) or (rest and rest[0] in _SUB):
        return list(argv)
    return [*argv[: at + 1], "run", *rest]
