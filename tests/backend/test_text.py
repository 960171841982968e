"""Host text is harmless once it went through printable(); numbers read as people write them."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend import text


@given(st.text())
def test_printable_is_one_line_without_anything_that_acts(raw):
    shown = text.printable(raw)
    assert all(unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} for c in shown)
    assert len(shown) <= 1000


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=900))
def test_plain_text_is_left_as_it_is(raw):
    assert text.printable(raw) == raw


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("a\x1b[31mred\x1b[0m", "ared"),
        ("title\x1b]0;owned\x07!", "title!"),
        ("link\x1b]8;;http://x\x1b\\text", "linktext"),
        ("\x9b2Jgone", "gone"),
        ("two\nlines\tand tab", "two lines and tab"),
        ("abc\u202edcba", "abc\N{REPLACEMENT CHARACTER}dcba"),
        ("zero\u200bwidth", "zero\N{REPLACEMENT CHARACTER}width"),
        ("e\u0301\u0301\u0301\u0301", "e\u0301"),
        ("[/oops] [b]", "[/oops] [b]"),
        ("日本", "日本"),
        ("\ud800", "\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_hostile_text(raw, shown):
    assert text.printable(raw) == shown


def test_long_text_says_that_it_goes_on():
    assert text.printable("x" * 50, limit=10) == "x" * 9 + "…"


@pytest.mark.parametrize(
    ("count", "shown"),
    [(None, "-"), (0, "0 B"), (712, "712 B"), (1434, "1.4 K"), (999 * 2**20, "999 M"),
     (1000 * 2**20, "1.0 G"), (80 * 2**30, "80.0 G"), (3 * 2**50, "3072 T")],
)  # fmt: skip
def test_size(count, shown):
    assert text.size(count) == shown


@pytest.mark.parametrize(
    ("used", "total", "shown"),
    [(71.2 * 2**30, 80 * 2**30, "71.2/80.0 G"), (None, 80 * 2**30, "-/80.0 G"), (5, None, "5 B"),
     (88 * 2**30, 2015 * 2**30, "88/2015 G"), (0, 0, "0/0 B")],
)  # fmt: skip
def test_sizes_share_the_unit_of_the_total(used, total, shown):
    assert text.sizes(None if used is None else int(used), total) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, "-"), (-5, "0 s"), (8.9, "8 s"), (100, "1 m 40 s"), (180, "3 m"), (5 * 3600, "5 h"),
     (5400, "1 h 30 m"), (90000, "1 d 1 h"), (3 * 86400, "3 d")],
)  # fmt: skip
def test_duration(seconds, shown):
    assert text.duration(seconds) == shown


def test_age_is_never_negative_when_clocks_disagree():
    now = datetime.now(UTC)
    assert text.age(now + timedelta(hours=1), now) == "0 s"
    assert text.age(None) == "-"
