"""Lines of ours in other people's files: in and out without a trace."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.prepare import blocks

OURS = blocks.render("one line")
OTHERS = st.text(st.characters(exclude_categories=("Cs",))).filter(lambda text: "berth" not in text)


@given(OTHERS, st.booleans())
def test_what_is_put_in_is_taken_out_again(text: str, top: bool) -> None:
    joined = blocks.joined(text) and not top
    put = blocks.put(text, OURS, top=top)
    found = blocks.find(put)
    assert found is not None
    assert found.text == OURS
    assert blocks.put(put, OURS) == put
    assert blocks.take(put, joined=joined) == text


def test_what_people_add_behind_it_stays() -> None:
    put = blocks.put("first", OURS) + "alias ll='ls -l'\n"
    assert blocks.take(put, joined=True) == "first\nalias ll='ls -l'\n"


@pytest.mark.parametrize(
    "text",
    [
        blocks.BEGIN,
        f"x\n{blocks.BEGIN}\nexport A=1\n",
        f"{blocks.END}\n{blocks.BEGIN}\n",
        OURS + OURS,
        f"{OURS}{blocks.END}\n",
    ],
)
def test_markers_that_are_no_pair_are_never_guessed_at(text: str) -> None:
    for change in (blocks.find, blocks.take, lambda text: blocks.put(text, OURS)):
        with pytest.raises(blocks.Broken):
            change(text)


def test_a_newer_block_takes_the_place_of_the_old_one() -> None:
    text = "a\n" + blocks.render("old") + "b\n"
    assert blocks.put(text, OURS) == f"a\n{OURS}b\n"
