"""The same output once, under the names of all hosts that said it; and what the others say differently."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from backend.everywhere.run import HostRun

_COMPARED = 2_000
"""Lines that are aligned with each other; what is longer is compared line by line."""


@dataclass(frozen=True)
class Block:
    """Hosts that ended in the same way and said the same."""

    runs: tuple[HostRun, ...]
    lines: tuple[str, ...]
    dropped: int = 0
    """Lines before these that are not kept."""
    differs: frozenset[int] = frozenset()
    """Places of lines that the largest block does not have; empty for that one itself."""
    lacks: int = 0
    """Lines of the largest block that are not here."""

    @property
    def hosts(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(run.host for run in self.runs)

    @property
    def first(self) -> HostRun:
        """One that stands for all."""
        return self.runs[0]


def blocks(runs: Sequence[HostRun], *, fold: bool = True) -> list[Block]:
    """One block for each different way to end; those that still run, or all without `fold`, stand alone.

    In the order of their first hosts. Differences are those to the largest block of those that ended.
    """
    found: dict[object, list[HostRun]] = {}
    for run in runs:
        alone = not fold or not run.over
        key = run.host if alone else (run.state, run.code, run.error_kind, run.output.fingerprint)
        found.setdefault(key, []).append(run)
    made = [_block(group) for group in found.values()]
    ended = [each for each in made if each.first.over and each.lines]
    if len(ended) < 2:
        return made
    model = max(ended, key=lambda each: len(each.runs))  # the first of the largest
    return [_compared(each, model) if each in ended and each is not model else each for each in made]


def _block(group: Sequence[HostRun]) -> Block:
    output = group[0].output
    lines = [*output.lines, *([output.rest] if output.rest else [])]
    return Block(tuple(group), tuple(lines), output.dropped)


def _compared(block: Block, model: Block) -> Block:
    differs, lacks = differences(model.lines, block.lines)
    return Block(block.runs, block.lines, block.dropped, differs, lacks)


def differences(model: Sequence[str], lines: Sequence[str]) -> tuple[frozenset[int], int]:
    """The places of `lines` that `model` has not, and how many lines of `model` are missing from `lines`."""
    if len(model) > _COMPARED or len(lines) > _COMPARED:
        same = sum(left == right for left, right in zip(model, lines, strict=False))
        odd = {at for at, line in enumerate(lines) if at >= len(model) or line != model[at]}
        return frozenset(odd), max(0, len(model) - same - len(odd))
    odd = set()
    lacks = 0
    for kind, left, right, start, end in SequenceMatcher(None, model, lines, autojunk=False).get_opcodes():
        if kind != "equal":
            odd.update(range(start, end))
            lacks += max(0, (right - left) - (end - start))
    return frozenset(odd), lacks


def several(hosts: Sequence[str], limit: int = 8) -> str:
    """Names of hosts for a heading."""
    shown = ", ".join(hosts[:limit])
    return f"{shown} and {len(hosts) - limit} more" if len(hosts) > limit else shown
