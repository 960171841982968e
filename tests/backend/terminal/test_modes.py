from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from backend.terminal.modes import Modes

SESSION = b"text\x1b[?1049h\x1b[?1;1000;1006h\x1b[>1u\x1b[?25l\x1b[?2004h more \x1b[?1000l\x1b[31m"


def undone(pieces: list[bytes]) -> bytes:
    modes = Modes()
    for piece in pieces:
        modes.feed(piece)
    return modes.undo(broken=False)


def test_exactly_what_is_still_switched_is_undone_and_the_other_screen_is_left_last() -> None:
    assert undone([SESSION]) == b"\x1b[<u\x1b[?1l\x1b[?25h\x1b[?1006l\x1b[?2004l\x1b[?1049l"


def test_a_program_that_tidies_up_leaves_nothing_to_undo() -> None:
    assert undone([SESSION, b"\x1b[<u\x1b[?1;1006l\x1b[?25h\x1b[?2004l\x1b[?1049l"]) == b""


@given(st.lists(st.integers(0, len(SESSION)), max_size=12))
def test_sequences_may_be_cut_anywhere(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(SESSION)]
    pieces = [SESSION[a:b] for a, b in pairwise(places)]
    assert undone(pieces) == undone([SESSION])


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_any_bytes_are_survived_in_little_memory(pieces: list[bytes]) -> None:
    modes = Modes()
    for piece in pieces:
        modes.feed(piece)
    assert len(modes._rest) < 64
    assert modes.undo(broken=True).startswith(b"\x18\x1b[0m")
    assert modes.undo(broken=False) == b""
