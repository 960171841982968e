from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.terminal import scripts, shells
from backend.tmux import argument, session_name, session_stem
from tests.lab.machine import wait_for

NAMES = ("host", "visit", "inside", "hang", "list", "end", "shells")


@pytest.mark.parametrize("name", NAMES)
def test_a_script_is_one_line_that_every_login_shell_passes_on(name: str) -> None:
    text = scripts._script(name)
    assert not set(text) & set("\n\r\\'!")
    assert not text.endswith(";")  # tmux would take that for its own
    for shell in ("sh", "bash"):
        done = subprocess.run([shell, "-n", "-c", text], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", NAMES)
def test_only_whole_lines_are_comments(name: str) -> None:
    source = Path(scripts.__file__).with_name("scripts") / f"{name}.sh"
    lines = [line.strip() for line in source.read_text().splitlines()]
    assert not [line for line in lines if " # " in line and not line.startswith("#")]


def test_what_tmux_is_given_fits_into_its_messages() -> None:
    intro = ["x" * 1000] * 50
    argv = scripts.enter(
        scripts.Seat("s" * 500, visit="0" * 16), scripts.Engine(), "c" * 200, intro=intro, workdir="/w" * 100
    )
    assert sum(len(word.encode()) + 1 for word in argv) < 16_000


def test_text_is_harmless_before_it_is_shown_inside() -> None:
    argv = scripts.enter(scripts.Seat("s"), scripts.Engine(), "c", intro=["\x1b]0;evil\x07a\nb"])
    assert "a b" in argv


@given(st.text())
def test_a_session_s_name_holds_nothing_tmux_or_a_shell_reads(name: str) -> None:
    stem = session_stem(name)
    assert stem
    assert stem.isascii()
    assert not stem.startswith("-")
    assert all(char.isalnum() or char in "_-" for char in stem)
    assert session_name(name, 3) == f"{stem}-3"


@pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux")
@pytest.mark.parametrize("word", ["plain", "semi;", ";", "#{pid}", "$(id)", "a;b", "--"])
def test_a_word_reaches_the_command_that_tmux_starts(word: str, tmp_path: Path) -> None:
    tmux = ["tmux", "-S", str(tmp_path / "socket"), "-f", "/dev/null"]
    target = tmp_path / "said"
    command = ["sh", "-c", 'printf %s "$1" >"$0.part"; mv "$0.part" "$0"', str(target), argument(word)]
    subprocess.run([*tmux, "new-session", "-d", "--", *command], check=True)
    try:
        wait_for(target.exists, "the word")
        assert target.read_text() == word
    finally:
        subprocess.run([*tmux, "kill-server"], check=False, capture_output=True)


def test_shells_are_read_from_what_a_container_says() -> None:
    text = "12 root pts/3 75 100200 bash -l \nnoise\n7 evil\x1b[31m pts/1 x 3 sh\n"
    assert shells.parse(text) == [shells.Shell(12, "root", "pts/3", 75, "100200", "bash -l")]
    assert str(shells.parse(text)[0]).split() == ["12", "root", "pts/3", "1", "m", "15", "s", "bash", "-l"]


@given(st.text())
def test_whatever_a_container_says_is_survived(text: str) -> None:
    for shell in shells.parse(text):
        assert "\x1b" not in str(shell)
        assert shell.start.isdigit()
