"""docs/features.md names verbs that there are, and leaves none of the capabilities out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from backend.actions import load
from backend.arguments import VERBS

PAGE = (Path(__file__).parents[2] / "docs/features.md").read_text()
ROWS = {match[1]: match[2] for match in re.finditer(r"^\| ([A-Z]\d+) \|(.*)\|$", PAGE, re.MULTILINE)}
COUNTS = {"J": 23, "D": 10, "R": 8, "S": 6, "P": 10, "B": 14}


def known() -> set[str]:
    verbs = {" ".join(action.verb) for action in load().values() if action.verb} | {
        verb.name for verb in VERBS
    }
    return verbs | {verb.split()[0] for verb in verbs}


def named() -> list[tuple[str, str]]:
    """Every verb that a row names: `berth image save\\|load`, and words after it, `pull`, of the same row."""
    found = []
    for row, text in ROWS.items():
        for code in re.findall(r"`berth ([^`]*)`", text):
            head, _, rest = code.replace("\\|", "|").partition(" ")
            second = rest.split(" ")[0] if re.fullmatch(r"[a-z][a-z|-]*", rest.split(" ")[0]) else ""
            found += [(row, f"{head} {each}".strip()) for each in second.split("|")]
    return found


def test_each_capability_has_a_row():
    expected = {f"{letter}{number}" for letter, count in COUNTS.items() for number in range(1, count + 1)}
    assert set(ROWS) == expected


@pytest.mark.parametrize(("row", "verb"), named())
def test_its_verbs_are_there(row, verb):
    verbs = known()
    alone = {one for one in verbs if not any(each.startswith(f"{one} ") for each in verbs)}
    assert verb in verbs or verb.split()[0] in alone, verb
