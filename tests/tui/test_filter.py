"""The filter language: what it understands, what it refuses, and that nothing makes it fail otherwise."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.filter import Field, FilterError, Term, compile_filter, parse, quote


class Row(NamedTuple):
    name: str = "train"
    state: str = "running"
    cpu: float | None = 12.5
    mem: int | None = 11 << 30
    free: bool = False
    since: datetime | None = None


FIELDS = {
    "name": Field(lambda r: r.name),
    "state": Field(lambda r: r.state),
    "cpu": Field(lambda r: f"{r.cpu} %", lambda r: r.cpu),
    "gpu_mem": Field(lambda r: str(r.mem), lambda r: r.mem),
    "mem": Field(lambda r: str(r.mem), lambda r: r.mem),
    "free": Field(lambda r: "yes" if r.free else "no", lambda r: r.free),
    "since": Field(lambda r: "", lambda r: r.since),
}


def passes(text: str, row: Row | None = None) -> bool:
    test = compile_filter(text, FIELDS, lambda r: f"{r.name}\n{r.state}".lower())
    return test is None or test(row or Row())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", True),
        ("TRAIN", True),
        ("train running", True),
        ("train exited", False),
        ("!exited", True),
        ("!train", False),
        ("state:run", True),
        ("!state:run", False),
        ("state:", True),
        ("name:'train'", True),
        ("free:no", True),
        ("free:yes", False),
        ("cpu:>10", True),
        ("cpu:>=12.5", True),
        ("cpu:<12.5", False),
        ("cpu:=12", True),
        ("mem:>10G", True),
        ("mem:<10G", False),
        ("mem:>10GiB", True),
        ("gpu-mem:>10g", True),
        ("!mem:>10G", False),
        ("cpu:>", True),
    ],
)
def test_terms(text: str, expected: bool) -> None:
    assert passes(text) is expected


def test_unknown_values_pass_no_comparison_and_every_inverse_of_one() -> None:
    row = Row(cpu=None)
    assert not passes("cpu:>0", row)
    assert not passes("cpu:<100", row)
    assert passes("!cpu:>0", row)


def test_ages_are_compared_in_time_units() -> None:
    row = Row(since=datetime.now(UTC) - timedelta(hours=3))
    assert passes("since:>2h", row)
    assert not passes("since:>1d", row)
    assert passes("since:<200m", row)


@pytest.mark.parametrize("text", ["'open", 'name:"open', "!'open"])
def test_an_open_quote_is_an_error(text: str) -> None:
    with pytest.raises(FilterError, match="not closed"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ubuntu:22.04", "no column 'ubuntu'"),
        ("name:>3", "name is text"),
        ("cpu:>high", "not a number"),
        ("cpu:>3x", "unit"),
    ],
)
def test_what_cannot_be_understood_is_named(text: str, says: str) -> None:
    with pytest.raises(FilterError, match=says):
        passes(text)


def test_quotes_hold_spaces_and_colons() -> None:
    assert parse("'two words' \"ubuntu:22.04\"") == (Term("two words"), Term("ubuntu:22.04"))


@given(st.text())
def test_any_text_is_understood_or_refused(text: str) -> None:
    try:
        passes(text)
    except FilterError as error:
        assert "\n" not in error.message.replace(text, "")


@given(st.text(min_size=1).filter(lambda t: not ("'" in t and '"' in t)))
def test_a_quoted_word_comes_back_as_one_term(word: str) -> None:
    assert parse(quote(word)) == (Term(word.lower()),)


@given(
    st.sampled_from(["train", "run", "state:run", "cpu:>10", "mem:<1G", "free:yes", "x"]), st.text(max_size=5)
)
def test_an_inverse_passes_exactly_the_others(term: str, name: str) -> None:
    row = Row(name=name)
    assert passes(term, row) is not passes("!" + term, row)
