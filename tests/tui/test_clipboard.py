"""OSC 52: what reaches the terminal, also through tmux."""

from __future__ import annotations

import re
from base64 import b64decode

from hypothesis import given
from hypothesis import strategies as st

from tui.clipboard import LIMIT, osc52

PLAIN = re.compile(r"\x1b\]52;c;([A-Za-z0-9+/=]*)\x07\Z")


def decoded(sequence: str) -> str:
    match = PLAIN.match(sequence)
    assert match, sequence[:50]
    return b64decode(match[1]).decode()


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_text_arrives_whole_and_nothing_in_it_can_end_the_sequence(text: str) -> None:
    assert decoded(osc52(text, {})) == text


def test_long_text_is_cut_between_characters() -> None:
    text = decoded(osc52("漢" * LIMIT, {}))
    assert set(text) == {"漢"}
    assert LIMIT - 3 < len(text.encode()) <= LIMIT


def test_inside_tmux_it_is_sent_to_tmux_and_to_the_terminal_around_it() -> None:
    both = osc52("hello", {"TMUX": "/tmp/tmux-0/default,1,0"})
    plain, _, wrapped = both.partition("\x1bPtmux;")
    assert decoded(plain) == "hello"
    assert wrapped.endswith("\x1b\\")
    assert decoded(wrapped.removesuffix("\x1b\\").replace("\x1b\x1b", "\x1b")) == "hello"
