"""From rules as they are written to trees that can be looked at: rules within one folder are one tree."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from backend.config import SyncProfile, SyncRule
from backend.errors import UsageError
from backend.sync.host.walk import Rule, Tree, encoded
from backend.sync.model import Pair, Part, Way

Verb = str
"""`push`, `pull` or `sync`."""


def chosen(profile: SyncProfile, verb: Verb) -> list[SyncRule]:
    """The rules that a verb carries out. Raises `UsageError` where there are none."""
    wanted = {"push": ("push", "both"), "pull": ("pull", "both")}.get(verb, ("push", "pull", "both"))
    rules = [rule for rule in profile.rules if rule.direction in wanted]
    if not rules:
        other = "pull" if verb == "push" else "push"
        raise UsageError(
            f"profile {profile.name} has nothing to {verb}.",
            hint=f"berth {other} {profile.name}, or give its rules `direction: both` in sync.yaml.",
        )
    return rules


def ways(rule: SyncRule, verb: Verb) -> tuple[Way, ...]:
    """Which ways a rule goes now."""
    if verb in ("push", "pull"):
        return (verb,)  # type: ignore[return-value]  # one of the two
    return ("push", "pull") if rule.direction == "both" else (rule.direction,)


def sides(rule: SyncRule) -> tuple[str, str]:
    """Its folder on this machine, and on the host."""
    return (rule.target, rule.source) if rule.direction == "pull" else (rule.source, rule.target)


def pairs(rules: Sequence[SyncRule]) -> list[Pair]:
    """The trees of these rules."""
    rooted = [(_here(sides(rule)[0]), _there(sides(rule)[1]), rule) for rule in rules]
    tops: list[tuple[str, str]] = []
    for here, there, _ in sorted(rooted, key=lambda each: (len(each[0]), len(each[1]))):
        if not any(_within((here, there), top) is not None for top in tops):
            tops.append((here, there))
    found: dict[tuple[str, str], list[Part]] = {top: [] for top in tops}
    for here, there, rule in rooted:
        for top in tops:
            prefix = _within((here, there), top)
            if prefix is not None:
                found[top].append(Part(encoded(prefix), rule))
                break
    return [Pair(here, there, tuple(parts)) for (here, there), parts in found.items()]


def _here(path: str) -> str:
    return os.path.normpath(os.path.join(os.path.expanduser("~"), os.path.expanduser(path)))


def _there(path: str) -> str:
    text = os.path.normpath(path)
    return text[2:] if text.startswith("~/") else text


def _within(folders: tuple[str, str], top: tuple[str, str]) -> str | None:
    """What leads from a pair of folders to one inside it, if the same does on both sides."""
    rest = []
    for folder, base in zip(folders, top, strict=True):
        if folder == base:
            rest.append("")
        elif folder.startswith(base + "/"):
            rest.append(folder[len(base) + 1 :])
        else:
            return None
    return rest[0] if rest[0] == rest[1] else None


def tree(pair: Pair) -> Tree:
    """The same as what looks at files; a rule nearer to a file is asked before a wider one."""
    ordered = sorted(pair.parts, key=lambda part: -len(part.prefix))
    return Tree([Rule(part.prefix, list(part.rule.filter), part.rule.links) for part in ordered])


def request(pair: Pair, side: str, verb: Verb) -> dict[str, Any]:
    """What `Session.do_look` is asked."""
    ordered = sorted(pair.parts, key=lambda part: -len(part.prefix))
    return {
        "source": any(("push" if side == "here" else "pull") in ways(part.rule, verb) for part in pair.parts),
        "root": pair.here if side == "here" else pair.there,
        "rules": [
            {
                "prefix": part.prefix.decode("utf-8", "surrogateescape"),
                "filter": list(part.rule.filter),
                "links": part.rule.links,
            }
            for part in ordered
        ],
    }
