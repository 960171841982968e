"""What is right, and what is sent to hosts."""

from __future__ import annotations

import stat
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.config import Config
from backend.errors import ActionFailed, UsageError
from backend.ownership.asking import program
from backend.ownership.host.rules import mode_of, parsed
from backend.ownership.host.starting import Trouble, resolved
from backend.ownership.work import as_row, request

FOLDER, FILE = stat.S_IFDIR, stat.S_IFREG


@pytest.mark.parametrize(
    ("before", "change", "after"),
    [
        (FILE | 0o400, "u+rwX", 0o600),
        (FILE | 0o510, "u+rwX", 0o710),
        (FOLDER | 0o000, "u+rwX", 0o700),
        (FILE | 0o644, "g+rwX,o-r", 0o660),
        (FILE | 0o755, "ug+rwX", 0o775),
        (FOLDER | 0o755, "g+ws", 0o2775),
        (FILE | 0o644, "g+s", 0o644),
        (FILE | 0o644, "a+x", 0o755),
        (FILE | 0o4755, "u+rwX", 0o4755),
        (FILE | 0o644, "", 0o644),
    ],
)
def test_modes_as_chmod_has_them(before: int, change: str, after: int) -> None:
    assert mode_of(before, parsed(change)) == after


@given(st.integers(0, 0o7777), st.text("ugoa+-rwxXs,", max_size=12))
def test_nothing_is_ever_made_to_run_as_somebody_else(mode: int, change: str) -> None:
    try:
        clauses = parsed(change)
    except ValueError:
        return
    assert not mode_of(FILE | mode, clauses) & 0o6000 & ~mode
    assert not mode_of(FOLDER | mode, clauses) & stat.S_ISUID & ~mode


@pytest.mark.parametrize("change", ["u=rw", "777", "u+s", "+x", "u+rwX;g+w", "o+t"])
def test_what_is_no_change_of_modes(change: str, tmp_path) -> None:
    with pytest.raises(UsageError, match="no change of modes"):
        request(Config(directory=tmp_path), [], "", "", change)
    with pytest.raises(UsageError, match="nothing would be set right"):
        request(Config(directory=tmp_path), [], "keep", "", "")


@pytest.mark.parametrize("folder", ["/", "/etc", "/usr/local", "/proc/self", "/home", "~", "."])
def test_folders_of_the_system_and_whole_homes_are_refused(folder: str) -> None:
    with pytest.raises(Trouble, match=r"is not a folder to share|No such file"):
        resolved(folder)


def test_the_program_is_whole_and_small() -> None:
    text = zlib.decompress(program()).decode()
    assert "backend" not in text.replace("backend/", "")
    assert len(program()) < 20_000
    compile(text, "program", "exec")


def test_a_host_that_lies_is_an_error_not_a_crash() -> None:
    for told in ({}, {"order": 1}, {"order": {"folders": []}, "status": {"left": [1]}}, None):
        with pytest.raises(ActionFailed, match="cannot be read"):
            as_row("h1", told)
