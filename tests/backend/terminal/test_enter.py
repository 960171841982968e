"""Entering containers of a real host through sshd, tmux and Docker."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.backend.terminal.conftest import HOSTILE, Berth, shells_in
from tests.lab import Host
from tests.lab.machine import wait_for

PROMPT = b"# "
pytestmark = pytest.mark.lab


def test_what_is_typed_and_printed_arrives_unchanged_and_the_exit_code_comes_out(berth: Berth) -> None:
    it = berth("sh", "h1/work")
    it.expect(PROMPT)
    it.send("echo 'žluťoučký 鯨 🐳'; printf '\\033[31mred\\033[m\\001\\n'\r")
    it.expect("\nžluťoučký 鯨 🐳\r\n".encode())
    it.expect(b"\x1b[31mred\x1b[m\x01\r\n")
    it.expect(PROMPT)
    it.send("exit 41\r")
    assert it.wait() == 41


def test_the_window_s_size_is_the_size_inside_down_to_one_cell(berth: Berth) -> None:
    it = berth("sh", "h1/work", size=(97, 31))
    it.expect(PROMPT)
    it.send("stty size\r")
    it.expect(b"31 97")
    it.expect(PROMPT)
    it.send("while sleep 0.05; do stty size; done\r")
    for columns, rows in ((120, 40), (2, 2), (80, 24)):
        it.resize(columns, rows)
        it.expect(f"{rows} {columns}\r\n".encode())
        it.resize(1, 1)
    it.resize(80, 24)
    it.send(b"\x03")
    it.expect(PROMPT)
    it.send("exit 5\r")
    assert it.wait() == 5


def test_control_keys_reach_the_inside(berth: Berth, host: Host) -> None:
    it = berth("sh", "h1/work")
    it.expect(PROMPT)
    it.send(
        'sh -c \'trap "echo got-int" INT; trap "echo got-quit" QUIT; echo on; while :; do sleep 0.1; done\'\r'
    )
    it.expect(b"on\r\n")
    it.send(b"\x03")
    it.expect(b"got-int\r\n")
    it.send(b"\x1c")
    it.expect(b"got-quit\r\n")
    it.send(b"\x1a")
    it.expect(b"Stopped")
    it.send("echo job-$((1 + 1))\r")
    it.expect(b"job-2\r\n")
    inside = [line.split() for line in host.docker("top", "work", "-eo", "pid,stat,args").splitlines()]
    (stopped,) = [words for words in inside if words[2:4] == ["sh", "-c"] and '"echo' in words]
    assert stopped[1].startswith("T"), "it was stopped, not ended"


def test_paste_and_mouse_bytes_are_not_touched(berth: Berth) -> None:
    it = berth("sh", "h1/work")
    it.expect(PROMPT)
    it.send("stty raw -echo; echo ready; dd bs=1 count=24 2>/dev/null | od -An -tx1; stty sane\r")
    it.expect(b"\nready")
    it.expect(b"\n")
    it.send(b"\x1b[200~a\r\n\x00\x11\x13\x1b[201~\x1b[<0;1")
    assert b"".join(it.expect(PROMPT).split())[:48] == b"1b5b3230307e610d0a0011131b5b3230317e1b5b3c303b31"


def test_a_shell_survives_being_left_and_is_found_again(berth: Berth) -> None:
    first = berth("enter", "train")
    first.expect(PROMPT)
    first.send("kept=here$((40 + 2)); pwd\r")
    first.expect(b"/tmp\r\n")
    first.send(b"\x02d")
    assert first.wait() == 0
    again = berth("enter", "train")
    again.expect(PROMPT)
    again.send("echo $kept\r")
    again.expect(b"here42\r\n")
    again.send("exit 9\r")
    assert again.wait() == 9


def test_a_second_visitor_gets_a_session_of_its_own_unless_it_asks_for_the_first(
    berth: Berth, host: Host
) -> None:
    first = berth("enter", "train")
    first.expect(PROMPT)
    first.send("mark=first$((1 + 1))\r")
    second = berth("enter", "train")
    second.expect(b"Also inside: root on pts/")
    second.expect(PROMPT)
    names = host.run(["tmux", "list-sessions", "-F", "#{session_name}"], user="alice").stdout.split()
    assert names == ["train-1", "train-2"]
    shared = berth("enter", "train", "--session", "1")
    shared.expect(b"Also attached to this session: /dev/pts/")
    shared.expect(PROMPT)
    shared.send("echo $mark\r")
    shared.expect(b"first2\r\n")
    first.expect(b"first2\r\n")


def test_new_sessions_and_the_lowest_free_number(berth: Berth, host: Host) -> None:
    for _ in range(3):
        it = berth("enter", "h1/other", "--new")
        it.expect(PROMPT)
        it.send(b"\x02d")
        assert it.wait() == 0
    host.run(["tmux", "kill-session", "-t", "=other-2"], user="alice")
    it = berth("enter", "h1/other", "--new")
    it.expect(b"[other-2]")


def test_a_lost_link_restores_the_terminal_says_how_to_get_back_and_loses_nothing(
    berth: Berth, host: Host
) -> None:
    it = berth("enter", "train")
    before = it.modes()
    it.expect(PROMPT)
    it.send("kept=alive$((1 + 1)); printf '\\033[?1003h\\033[?2004h'; echo read$((1 + 1))\r")
    it.expect(b"read2\r\n")  # a prompt alone may be the first one, drawn again before the line was read
    host.partition()
    text = it.expect(b"berth enter train", timeout=60)
    assert b"\x1b[?1049l" in text
    assert b"berth: The link to h1 was lost: " in text  # dead, or closed, whatever is noticed first
    assert it.wait() == 3
    assert it.modes() == before
    host.heal()
    again = berth("enter", "train", "--session", "1")
    again.expect(PROMPT)
    again.send("echo $kept\r")
    again.expect(b"alive2\r\n")


def test_being_told_to_end_restores_the_terminal_first(berth: Berth) -> None:
    it = berth("enter", "train")
    before = it.modes()
    it.expect(PROMPT)
    os.kill(it.pid, signal.SIGTERM)
    it.expect(b"\x1b[?1049l")
    assert it.wait() == 128 + signal.SIGTERM
    assert it.modes() == before


def test_no_shell_is_left_inside_when_its_visitor_is_gone(berth: Berth, host: Host) -> None:
    it = berth("sh", "h1/other")
    it.expect(PROMPT)
    assert shells_in(host, "other")
    os.kill(it.pid, signal.SIGKILL)
    wait_for(lambda: not shells_in(host, "other"), "the shell to end")
    kept = berth("enter", "h1/other")
    kept.expect(PROMPT)
    host.run(["tmux", "kill-session", "-t", "=other-1"], user="alice")
    kept.wait()
    wait_for(lambda: not shells_in(host, "other"), "the session's shell to end")


def test_an_image_without_any_shell_is_said_to_be_one(berth: Berth, bare: str) -> None:
    for verb in ("enter", "sh"):
        it = berth(verb, f"h1/{bare}")
        it.expect(b"berth: bare has no shell (tried: bash sh).")
        assert it.wait() == 127


def test_a_shell_the_image_lacks_is_replaced_and_said(berth: Berth) -> None:
    it = berth("sh", "h1/work", "--shell", "zsh -l")
    it.expect(b"this image has no zsh.")
    it.expect(PROMPT)
    it.send("exit 127\r")  # the shell's own, not the engine's
    assert it.wait() == 127
    assert b"no shell" not in it.output


@pytest.mark.parametrize("verb", ["enter", "sh", "attach"])
def test_a_container_that_cannot_be_entered_says_why(berth: Berth, host: Host, verb: str) -> None:
    host.docker("create", "--name", "idle", "busybox:latest", "sleep", "1d")
    try:
        it = berth(verb, "h1/idle")
        it.expect(b"berth: idle is not running (created): start it first.")
        assert it.wait() != 0
    finally:
        host.docker("rm", "-f", "idle")
    it = berth(verb, "h1/idle")
    it.expect(b"berth: there is no container idle on this host.")
    assert it.wait() == 4


def test_a_user_that_is_not_inside_is_an_error_even_if_it_looks_like_an_option(berth: Berth) -> None:
    it = berth("enter", "h1/work", "--user=--privileged")
    it.expect(b"berth: unable to find user --privileged")
    assert it.wait() == 126


def test_no_part_of_a_name_is_run_by_a_shell_or_by_tmux(berth: Berth, host: Host) -> None:
    it = berth("enter", HOSTILE)
    it.expect(PROMPT)
    it.send(b"\x02d")
    assert it.wait() == 0
    again = berth("enter", HOSTILE)
    again.expect(PROMPT)
    assert len(host.run(["tmux", "list-sessions"], user="alice").stdout.splitlines()) == 1
    found = host.run(["find", "/home/alice", "/tmp", "/root", "-name", "pwned"]).stdout
    assert found == ""
    assert not Path("pwned").exists()


def test_without_tmux_it_is_a_plain_shell_and_says_so(berth: Berth, host: Host) -> None:
    host.run(["mv", "/usr/bin/tmux", "/usr/bin/tmux.away"])
    try:
        it = berth("enter", "train")
        assert it.expect(PROMPT).count(b"tmux is not installed on this host.") == 1
        it.send("exit 3\r")
        assert it.wait() == 3
    finally:
        host.run(["mv", "/usr/bin/tmux.away", "/usr/bin/tmux"])


def test_a_tmux_server_that_dies_gives_the_terminal_back(berth: Berth, host: Host) -> None:
    it = berth("enter", "h1/other")
    before = it.modes()
    it.expect(PROMPT)
    pid = host.run(["tmux", "display-message", "-p", "#{pid}"], user="alice").stdout.strip()
    host.run(["kill", "-KILL", pid])
    assert it.wait() != 0
    assert it.modes() == before
    again = berth("enter", "h1/other")
    again.expect(PROMPT)


def test_much_output_arrives_whole_and_stops_at_once(berth: Berth) -> None:
    it = berth("sh", "h1/work")
    it.expect(PROMPT)
    it.send("seq 1 200000; echo end-$((1 + 1))\r")
    text = it.expect(b"end-2", timeout=60)
    lines = text.split(b"\r\n")[1:-1]
    assert lines == [b"%d" % number for number in range(1, 200_001)]
    it.expect(PROMPT)
    it.send("yes 0123456789abcdef\r")
    for _ in range(200):
        it.expect(b"0123456789abcdef\r\n" * 50)
    it.send(b"\x03")
    assert len(it.expect(PROMPT)) < 20_000_000  # what was on its way, not all that would have come
