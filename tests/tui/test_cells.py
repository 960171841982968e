"""Cells: exact widths, harmless text, and words for every state."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from backend.model import HostState
from backend.text import printable
from tui import cells
from tui.columns import STYLES

NAN = float("nan")
TEXT = st.text() | st.text(alphabet="aé世界🚀❤\ufe0f\u200d\u0301\u202e\x1b\n [/]")
CELLS = st.lists(st.tuples(TEXT, st.sampled_from(STYLES)), max_size=4).map(tuple)
PERCENT = st.none() | st.floats(0, 100) | st.just(NAN)


def harmless(text: str) -> bool:
    return all(unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} for char in text)


@given(CELLS, st.integers(-1, 40), st.sampled_from(["left", "right"]))
def test_fit_is_exactly_as_wide_as_asked_whatever_the_text(cell, width, align):
    fitted = cells.fit(cell, width, align)
    assert sum(cell_len(text) for text, _ in fitted) == max(0, width)
    assert harmless(cells.text_of(fitted))


@given(CELLS, st.integers(2, 30))
def test_wrapped_text_stays_within_its_width_and_loses_nothing(cell, width):
    cell = tuple((printable(text), style) for text, style in cell)
    lines = cells.wrap(cell, width)
    assert all(cells.width_of(line) <= width for line in lines)
    kept = "".join(cells.text_of(line) for line in lines).replace(" ", "")
    assert kept == cells.text_of(cell).replace(" ", "")


def test_text_wraps_at_words():
    assert [cells.text_of(line).rstrip() for line in cells.wrap((("ab cd", ""), (" efghijk", "bad")), 6)] == [
        "ab cd",
        "efghij",
        "k",
    ]


@given(TEXT)
def test_host_text_cannot_steer_the_terminal(text):
    assert harmless(cells.text_of(cells.plain(text)))
    assert harmless(cells.text_of(cells.state(text, text)))
    assert harmless(cells.text_of(cells.ports([text, text + "->" + text])))
    assert harmless(cells.text_of(cells.owners([text, text])))


@given(PERCENT, st.integers(0, 40))
def test_bars_keep_their_width(value, width):
    assert cells.width_of(cells.bar(value, width)) == width
    if width >= 9:
        assert cells.width_of(cells.percent_bar(value, width)) == width
    assert cells.width_of(cells.spark([value] * 3, width)) == width


@given(st.none() | st.integers(0, 2**50), st.none() | st.integers(0, 2**50))
def test_usage_keeps_its_width(used, total):
    if used is not None and total is not None:
        used = min(used, total)
    elif used is not None:
        used = min(used, 2**43)
    assert cells.width_of(cells.usage(used, total, 22)) == 22


def test_fit_cuts_and_pads():
    assert cells.text_of(cells.fit((("container", ""),), 6)) == "conta…"
    assert cells.text_of(cells.fit((("42", "good"),), 5, "right")) == "   42"
    assert cells.text_of(cells.fit((("世界世界", ""),), 4)) == "世… "
    assert cells.text_of(cells.fit((("世界", ""),), 4)) == "世界"
    assert cells.text_of(cells.fit((("ab", ""), ("cdef", "bad")), 4)) == "abc…"


def test_fit_keeps_styles_and_spans():
    assert cells.fit((("ab", "good"), ("cd", "bad")), 3) == (("ab", "good"), ("…", "bad"))
    assert cells.fit((("ab", "good"),), 2) == (("ab", "good"),)


def test_a_bar_shows_the_least_work():
    assert cells.bar(0, 4) == (("▁▁▁▁", "bar-rest"),)
    assert cells.bar(1, 4) == (("▇", "bar-mid"), ("▁▁▁", "bar-rest"))
    assert cells.bar(100, 4) == (("▇▇▇▇", "bar-mid"),)
    assert cells.bar(None, 4) == (("-   ", "dim"),)


def test_only_what_is_nearly_full_is_a_warning():
    assert cells.usage(97, 100, 22)[0][1] == "bar-high"
    assert cells.usage(90, 100, 22)[0][1] == "bar-low"
    assert cells.percent_bar(100)[0][1] == "bar-mid"


def test_numbers_do_not_jump():
    assert {len(cells.text_of(cells.percent(value))) for value in (None, 0, 9.4, 38, 100)} == {5}
    assert {len(cells.text_of(cells.temperature(value))) for value in (None, 7, 67, 104)} == {5}
    assert {len(cells.text_of(cells.power(*pair))) for pair in ((None, 1), (71, 700), (1000, 1200))} == {11}
    assert {len(cells.text_of(cells.size(value))) for value in (None, 0, 999, 10**9, 10**12)} == {7}


def test_a_strip_has_one_glyph_for_each_gpu():
    strip = cells.gpu_strip([97, 100, 0, None, 50])
    assert cells.text_of(strip) == "██▁?▅"
    assert strip[1] == ("▁", "bar-rest")
    assert cells.gpu_strip([]) == cells.DASH


def test_a_spark_shows_gaps_and_the_newest_on_the_right():
    assert cells.text_of(cells.spark([0, 50, NAN, 100], 6)) == "  ▁▅ █"
    assert cells.text_of(cells.spark([1, 2, 3, 99], 2)) == "▁█"


@pytest.mark.parametrize("state", HostState)
def test_every_host_state_has_words(state):
    ((word, style),) = cells.host_state(state)
    assert len(word) > 1
    assert style in STYLES


def test_problems_are_told_without_colour():
    assert "!" in cells.text_of(cells.marker(True))
    assert "!" not in cells.text_of(cells.marker(False))
    assert "!" in cells.text_of(cells.host_state(HostState.UP, warnings=True))
    assert "unhealthy" in cells.text_of(cells.state("running", "unhealthy"))
    assert "137" in cells.text_of(cells.state("exited", None, 137))


def test_ports_are_short_and_tell_who_can_reach_them():
    text = cells.text_of(
        cells.ports(["127.0.0.1:9999->9999/tcp", "0.0.0.0:80->8080/tcp", ":::80->8080/tcp", "53/udp"])
    )
    assert text == "9999 *:80→8080 53/udp"
    assert cells.text_of(cells.ports(["10.0.0.7:81->81/tcp"])) == "10.0.0.7:81"


def test_age_and_owners():
    now = datetime(2030, 1, 1, tzinfo=UTC)
    assert cells.text_of(cells.age(now - timedelta(hours=3), now)) == "     3 h"
    assert cells.owners(["alice", "bob"]) == (("alice, bob", ""),)
    assert cells.owners([]) == cells.DASH
    assert cells.free(0, 8) == (("0/8", "dim"),)
    assert cells.free(2, 8) == (("2/8", "free"),)
