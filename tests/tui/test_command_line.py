"""The language of `:` and its completion."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.command_line import Command, CommandError, Vocabulary, complete, parse

WORDS = Vocabulary(
    views={
        "fleet": "fleet",
        "hosts": "fleet",
        "gpus": "gpus",
        "containers": "containers",
        "ps": "containers",
    },
    hosts=["h100-1", "h100-2", "mi300"],
    tags=["amd"],
    themes=["berth-dark", "berth-light"],
    columns=["name", "cpu", "mem"],
)


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("ps", Command("view", "containers")),
        ("gpus @h100-1 /train alice", Command("view", "gpus", "h100-1", "train alice")),
        ("ps @mi", Command("view", "containers", "mi300")),
        ("@amd", Command("view", "", "amd")),
        ("/train", Command("view", "", None, "train")),
        ("ps /", Command("view", "containers", None, "")),
        ("sort -cpu", Command("sort", "-cpu")),
        ("sort", Command("sort")),
        ("columns name,cpu mem", Command("columns", words=("name", "cpu", "mem"))),
        ("theme berth-light", Command("theme", "berth-light")),
        ("q", Command("quit")),
        ("  help  ", Command("help")),
    ],
)
def test_lines(line: str, command: Command) -> None:
    assert parse(line, WORDS) == command


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("", "nothing"),
        ("gpu", "no command 'gpu': gpus?"),
        ("ps @h100", "no host or tag 'h100': h100-2 or h100-1?"),
        ("ps h100-1", "@HOST limits"),
        ("ps @mi300 more", "'more'"),
        ("sort cpus", "no column 'cpus': cpu?"),
        ("columns name,nam", "no column 'nam': name?"),
        ("theme dark", "no theme 'dark'"),
    ],
)
def test_what_cannot_be_understood_is_named_with_what_may_be_meant(line: str, says: str) -> None:
    with pytest.raises(CommandError) as caught:
        parse(line, WORDS)
    assert says in caught.value.message


@pytest.mark.parametrize(
    ("line", "first"),
    [
        ("g", "gpus"),
        ("ps @h", "ps @h100-1"),
        ("ps ", "ps @h100-1"),
        ("theme ", "theme berth-dark"),
        ("sort c", "sort cpu"),
        ("columns name,c", "columns name,cpu"),
        ("@a", "@amd"),
    ],
)
def test_completion_offers_the_likeliest_whole_line_first(line: str, first: str) -> None:
    assert complete(line, WORDS)[0] == first


def test_nothing_is_offered_inside_a_filter() -> None:
    assert complete("ps /tra", WORDS) == []


@given(st.text())
def test_any_line_is_understood_or_refused_and_completions_extend_it(line: str) -> None:
    try:
        parse(line, WORDS)
    except CommandError as error:
        assert error.message
    for longer in complete(line, WORDS):
        assert longer.startswith(line.lstrip())
