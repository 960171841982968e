"""Placeholders, output in bounded memory, folding, and which hosts are meant: without any host."""

from __future__ import annotations

import os
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend import placeholders
from backend.config import Config, HostConfig
from backend.errors import NoSuchTarget, Refused, UsageError
from backend.everywhere.fold import blocks, differences
from backend.everywhere.output import LONGEST, Output
from backend.everywhere.run import HostRun, worst
from backend.everywhere.text import Page, summary
from backend.everywhere.wish import Wish, choose

VALUES = {"host": "h1", "user": "a b; $(id) `id` \"'\\*"}


def shell(line: str, values: dict[str, str] = VALUES) -> str:
    env = {placeholders.variable(name): value for name, value in values.items()}
    argv = ["sh", "-c", placeholders.line(line, values)]
    env["PATH"] = os.environ["PATH"]
    done = subprocess.run(argv, capture_output=True, env=env, check=True)
    return done.stdout.decode()


def test_words_hold_their_values_and_everything_else_stays():
    argv = ["{user}", "x{host}y", "{{host}}", "{print $1}", "{{.Names}}", "{other}"]
    assert placeholders.words(argv, VALUES) == [
        VALUES["user"],
        "xh1y",
        "{host}",
        "{print $1}",
        "{{.Names}}",
        "{other}",
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("printf %s {user}", VALUES["user"]),
        ('printf %s "<{user}>"', f"<{VALUES['user']}>"),
        ('printf %s "{host}{user}"end', f"h1{VALUES['user']}end"),
        ('printf %s "$(printf %s "{user}")"', None),  # split by the shell, but never run by it
        ("printf %s {{host}}", "{host}"),
        ("printf '%s' a\\'b{host}", "a'bh1"),
        ("awk 'BEGIN {print 1}'", "1\n"),
    ],
)
def test_in_a_line_a_value_is_one_word_and_never_a_part_of_it(line, said):
    shown = shell(line)
    assert shown == said if said is not None else "uid=" not in shown


@settings(max_examples=25, deadline=None)
@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1))
def test_any_value_arrives_as_it_is(value):
    assert shell('printf %s {x}; printf %s "-{x}-"', {"x": value}) == f"{value}-{value}-"


def test_inside_single_quotes_a_placeholder_is_refused():
    with pytest.raises(UsageError, match="single quotes"):
        placeholders.line("echo '{host}'", placeholders.HOST)
    with pytest.raises(UsageError, match="several lines"):
        placeholders.environment({"x": "a\nBERTH_Y=b"})


def test_output_is_cut_by_size_and_progress_bars_are_what_is_left_of_them():
    output = Output(20)
    assert output.feed("a\r\nb 1%\rb 99%\nü".encode()[:-1]) == ["a", "b 99%"]
    assert output.feed("ü".encode()[1:], last=True) == ["ü"]
    assert [*output.lines] == ["a", "b 99%", "ü"]
    for number in range(100):
        output.feed(f"line {number}\n".encode())
    assert [*output.lines] == ["line 98", "line 99"] and output.dropped == 101
    long = Output(10**6)
    long.feed(b"x" * (3 * LONGEST + 5))
    assert [len(line) for line in long.lines] == [LONGEST] * 3 and len(long.rest) == 5


@given(st.lists(st.binary(max_size=50)))
def test_pieces_make_the_same_lines_as_the_whole(pieces):
    parts, whole = Output(10**6), Output(10**6)
    for piece in pieces:
        parts.feed(piece)
    parts.feed(b"", last=True)
    whole.feed(b"".join(pieces), last=True)
    assert [*parts.lines] == [*whole.lines]


def ran(host: str, text: str, code: int = 0, **more: object) -> HostRun:
    run = HostRun(host, state="done", code=code, took=0.5)
    run.output.feed(text.encode(), last=True)
    for name, value in more.items():
        setattr(run, name, value)
    return run


def test_equal_ends_are_folded_and_differences_are_those_to_most():
    runs = [
        ran("h1", "a\nb\n"),
        ran("h2", "a\nc\nd\n"),
        ran("h3", "a\nb\n"),
        ran("h4", "a\nb\n", code=1),
        ran("h5", "", state="unreachable", code=None, error="h5: refused."),
        ran("h6", "", state="unreachable", code=None, error="h6: refused."),
    ]
    found = blocks(runs)
    assert [block.hosts for block in found] == [("h1", "h3"), ("h2",), ("h4",), ("h5", "h6")]
    assert [sorted(block.differs) for block in found] == [[], [1, 2], [], []]
    lines = [*Page(runs).lines()]
    assert lines[0] == "── h1, h3 (2) · exit 0 · 0.5 s" and "~ c" in lines and "  a" in lines
    assert len(blocks(runs, fold=False)) == 6
    assert worst(runs) == 3 and worst(runs[:4]) == 1 and worst(runs[:1]) == 0
    assert [line.split()[:2] for line in summary(runs)][4:6] == [["h4", "1"], ["h5", "unreachable"]]


@settings(deadline=None)
@given(st.lists(st.sampled_from("abc")), st.lists(st.sampled_from("abc")))
def test_what_does_not_differ_is_in_the_model(model, lines):
    odd, lacks = differences(model, lines)
    same = [line for at, line in enumerate(lines) if at not in odd]
    rest = iter(model)
    assert all(line in rest for line in same)  # in its order
    assert 0 <= lacks <= len(model) - len(same)


def test_hostile_output_is_harmless_on_a_terminal():
    runs = [ran("h1", "a\x1b[2Jb\x1b]0;t\x07\n\u202ex\n")]
    text = "\n".join(Page(runs, width=80).lines())
    assert "\x1b" not in text and "\u202e" not in text and "ab" in text
    assert [*Page(runs, width=1).lines()]  # one column is enough not to fail


def config(**local: object) -> Config:
    hosts = (
        HostConfig(name="local", host="local", local=True),
        HostConfig(name="h1", host="h1", tags=("gpu",)),
        HostConfig(name="h2", host="h2", tags=("gpu", "prod"), read_only=True),
        HostConfig(name="x3", host="x3", skip=True, tags=("gpu",)),
        HostConfig(name="x4", host="x4"),
    )
    return Config(directory=os.devnull, hosts=hosts)  # type: ignore[arg-type]


def test_which_hosts_are_meant():
    made = config()
    assert choose(made) == (("h1", "x4"), ("h2",))
    assert choose(made, changes=False) == (("h1", "h2", "x4"), ())
    assert choose(made, tags=["gpu"]) == (("h1",), ("h2",))
    assert choose(made, only="x*") == (("x4",), ())
    assert choose(made, only="l*") == (("local",), ())
    assert choose(made, hosts=["local", "x4"]) == (("local", "x4"), ())
    with pytest.raises(NoSuchTarget, match="h9"):
        choose(made, hosts=["h9"])
    with pytest.raises(NoSuchTarget, match="tag 'cpu'"):
        choose(made, tags=["cpu"])
    with pytest.raises(NoSuchTarget, match="fits 'z"):
        choose(made, only="z*")
    for name in ("h2", "x3"):
        with pytest.raises(Refused, match=name):
            choose(made, hosts=[name])
    with pytest.raises(Refused, match="h2"):
        choose(made, tags=["prod"])


@pytest.mark.parametrize(
    "more", [{"command": ()}, {"command": (" ",)}, {"parallel": -1}, {"timeout": 0.0}, {"command": ("a\0",)}]
)
def test_a_wish_that_cannot_be_is_refused_before_anything_runs(more):
    with pytest.raises(UsageError):
        Wish(**{"command": ("true",), "hosts": ("h1",), **more})
