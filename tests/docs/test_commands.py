"""Every `berth ...` that a page, the help or the manual names is one that the program takes."""

from __future__ import annotations

import pytest

from backend.examples import EXAMPLES, GENERAL
from tests.docs import commands

NAMED = {page.relative_to(commands.ROOT).as_posix(): page.read_text("utf-8") for page in commands.PAGES}


IMPLIED = {"sync run", "tunnel hold", "disk show"}
"""Verbs whose last word is left out: `berth sync PROFILE`."""


def refused(lines: list[str], check: object) -> list[str]:
    """What the command line says of those that it does not take."""
    found = []
    for line in lines:
        try:
            check(line)  # type: ignore[operator]
        except (commands.NotBerth, ValueError) as error:
            found.append(f"{line}: {error}")
    return found


@pytest.mark.parametrize("page", NAMED)
def test_blocks_of_commands_parse(page: str) -> None:
    assert refused(list(commands.blocks(NAMED[page])), commands.check) == []


@pytest.mark.parametrize("page", NAMED)
def test_verbs_and_options_that_are_named_exist(page: str) -> None:
    assert refused(list(commands.inline(NAMED[page])), commands.mention) == []


def test_examples_of_the_help_parse_and_belong_to_their_verb() -> None:
    lines = [line for examples in (GENERAL, *EXAMPLES.values()) for line, _ in examples]
    plain = [line.removeprefix("source <(").removesuffix(")") for line in lines]
    assert refused(plain, commands.check) == []
    for verb, examples in EXAMPLES.items():
        commands.path_of(verb.split())
        word = f"berth {verb.split()[0] if verb in IMPLIED else verb}"
        assert all(word in line for line, _ in examples), verb


def test_a_command_that_does_not_exist_is_found() -> None:
    bad = ["berth sotp h/x", "berth stop h/x --foce", "berth context shw x", "berth images build"]
    assert len(refused(bad, commands.check)) == len(bad)
    bad = ["sotp", "context new|shw", "images build --bse X"]
    assert len(refused(bad, commands.mention)) == len(bad)
