"""Lines made harmless, and a buffer that never grows past its bound."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import UsageError
from backend.logs.buffer import LogBuffer
from backend.logs.lines import MAX_CHARACTERS, LogLine, clean, plain
from backend.logs.pattern import Pattern, pattern


def line(text: str) -> LogLine:
    return LogLine(None, 0, False, text, text)


def filled(*texts: str, **bounds) -> LogBuffer:
    buffer = LogBuffer(**bounds)
    buffer.extend(map(line, texts))
    return buffer


@given(st.binary(max_size=400))
def test_a_cleaned_line_holds_no_control_but_colours(raw):
    text = plain(clean(raw))
    assert all(unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} for c in text)


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        (b"plain", "plain"),
        (b"\x1b[31mred\x1b[0m", "\x1b[31mred\x1b[0m"),
        (b"\x1b[2J\x1b[Hhome", "home"),
        (b"\x1b]0;title\x07text", "text"),
        (b" 10 %\r 20 %\r 30 %\r", " 30 %"),
        (b"a\tb", "a       b"),
        (b"bell\x07", "bell\N{REPLACEMENT CHARACTER}"),
        ("日本\x1b[1m!".encode(), "日本\x1b[1m!"),
        (b"\xff\xfe", "\N{REPLACEMENT CHARACTER}" * 2),
    ],
)
def test_what_stays_of_a_line(raw, kept):
    assert clean(raw) == kept


def test_an_endless_line_is_cut():
    assert len(clean(b"x" * 10_000_000)) == MAX_CHARACTERS


@given(st.lists(st.integers(0, 60), max_size=30), st.integers(1, 40))
def test_the_buffer_keeps_the_newest_lines_and_their_numbers(batches, limit):
    buffer = LogBuffer(max_lines=limit)
    total = 0
    for count in batches:
        buffer.extend(line(str(total + i)) for i in range(count))
        total += count
    assert len(buffer) == min(total, limit)
    assert buffer.end == total == buffer.first + len(buffer)
    assert all(buffer[number].text == str(number) for number in buffer.numbers())


def test_memory_is_bounded_by_bytes_too():
    buffer = filled(*("x" * 10_000 for _ in range(1000)), max_bytes=1_000_000)
    assert 90 <= len(buffer) <= 100
    assert buffer.dropped == 1000 - len(buffer)


def test_a_line_that_fell_off_is_gone():
    buffer = filled("a", "b", "c", max_lines=2)
    with pytest.raises(IndexError):
        buffer[0]
    assert buffer[2].text == "c"


def on_plain(text: str):
    wanted = Pattern(text)
    return lambda line: wanted(line.plain)


def test_a_filter_holds_for_old_and_new_lines():
    buffer = filled("one", "two", "three", max_lines=4)
    buffer.filter(on_plain("t"))
    buffer.extend([line("four"), line("ten")])
    assert [buffer[n].text for n in buffer.numbers()] == ["two", "three", "ten"]
    assert buffer[buffer.number(2)].text == "ten"
    buffer.filter(None)
    assert len(buffer) == 4


@pytest.mark.parametrize(
    ("start", "step", "found"), [(-1, 1, 0), (0, 1, 2), (2, 1, 0), (4, -1, 2), (2, -1, 0), (0, -1, 2)]
)
def test_search_goes_round(start, step, found):
    buffer = filled("error", "fine", "error", "fine", "fine")
    buffer.seek(on_plain("error"))
    assert buffer.next_hit(start, step) == found


def test_what_is_found_is_counted_while_lines_come_and_go():
    buffer = filled("error", "fine", "error", max_lines=3)
    buffer.seek(on_plain("error"))
    assert (buffer.hits, buffer.hit_place(2), buffer.hit_place(1)) == (2, 1, None)
    buffer.extend([line("error again")])
    assert (buffer.hits, buffer.hit_place(2), buffer.hit_place(3)) == (2, 0, 1)
    buffer.seek(None)
    assert buffer.hits == 0 and buffer.next_hit(0, 1) is None


def test_search_sees_only_what_the_filter_shows():
    buffer = filled("error a", "b", "error c")
    buffer.seek(on_plain("error"))
    buffer.filter(on_plain("!a"))
    assert buffer.hits == 1 and buffer.next_hit(0, 1) == 2


def test_cleared_lines_are_forgotten_and_numbers_go_on():
    buffer = filled("error", "b")
    buffer.seek(on_plain("error"))
    buffer.clear()
    buffer.extend([line("error")])
    assert list(buffer.numbers()) == [2] and buffer.hits == 1


@pytest.mark.parametrize(
    ("typed", "text", "wanted"),
    [
        ("error", "An ERROR", True), ("Error", "an error", False), ("!error", "fine", True),
        ("!error", "error", False), ("/e.r/", "ear", True), ("/^e/", "the", False), ("a.c", "abc", False),
        ("!/^a/", "abc", False), ("!", "wow!", True),
    ],
)  # fmt: skip
def test_what_people_type(typed, text, wanted):
    assert Pattern(typed)(text) is wanted


def test_an_empty_pattern_is_none_and_a_bad_one_says_so():
    assert pattern("") is None
    with pytest.raises(UsageError, match="regular expression"):
        pattern("/(/")


@pytest.mark.parametrize(
    ("typed", "text", "spans"),
    [
        ("er", "Er her", [(0, 2), (4, 6)]), ("Er", "Er her", [(0, 2)]), ("!er", "her", []),
        ("/x*/", "axxb", [(1, 3)]), ("a.", "a.ab", [(0, 2)]),
    ],
)  # fmt: skip
def test_what_is_highlighted(typed, text, spans):
    assert Pattern(typed).spans(text) == spans


@pytest.mark.parametrize("typed", ["/(a|aa)+$/", "!/(a|aa)+$/", "/(.*a){25}$/"])
def test_an_expression_that_would_take_for_ever_is_given_up(typed: str) -> None:
    wanted = Pattern(typed)
    assert not wanted("a" * 400 + "b")
    assert "takes too long" in wanted.failed
    assert not any(wanted("a" * 400 + "b") for _ in range(10_000))
    assert wanted.spans("a" * 400 + "b") == []
    marked = Pattern(typed.lstrip("!"))
    assert marked.spans("a" * 400 + "b") == [] and marked.failed


def test_many_lines_that_are_each_a_little_slow_are_given_up_too() -> None:
    wanted = Pattern("/(.*a){4}$/")
    assert any(wanted("a" * 150 + "b") or wanted.failed for _ in range(2_000))
    assert Pattern("/a+$/")("b" * 16_000 + "a")
