"""Attach, login, sessions, root shells, and ending the shells that were left."""

from __future__ import annotations

import pytest

from tests.backend.terminal.conftest import Berth, shells_in
from tests.lab import Host

PROMPT = b"# "
pytestmark = pytest.mark.lab


def test_attach_talks_to_the_process_itself_and_its_keys_leave_it_running(berth: Berth, host: Host) -> None:
    host.docker("run", "-dit", "--name", "talker", "busybox:latest", "sh")
    try:
        it = berth("attach", "h1/talker")
        it.expect(b"Ctrl+P Ctrl+Q leaves it running.")
        it.send("echo pid=$$\r")
        it.expect(b"pid=1\r\n")
        it.send(b"\x10\x11")
        it.wait()
        assert host.docker("inspect", "-f", "{{.State.Running}}", "talker") == "true"
    finally:
        host.docker("rm", "-f", "talker")


def test_attach_to_a_process_that_takes_nothing_is_refused_with_a_reason(berth: Berth) -> None:
    it = berth("attach", "h1/work")
    it.expect(b"berth: the process of work has neither a terminal nor open input.")
    assert it.wait() == 1


def test_root_shell(berth: Berth, host: Host) -> None:
    host.docker("run", "-d", "--name", "modest", "--user", "7:7", "busybox:latest", "sleep", "1d")
    try:
        it = berth("root-shell", "h1/modest")
        it.expect(PROMPT)
        it.send("echo uid=$(id -u)\r")
        it.expect(b"uid=0\r\n")
        it.send("exit 9\r")
        assert it.wait() == 9
        assert host.docker("exec", "modest", "id", "-u") == "7", "its own user is the one it had"
    finally:
        host.docker("rm", "-f", "modest")


def test_login_is_a_login_shell_of_the_user(berth: Berth) -> None:
    it = berth("login", "h1", "--context", "train")
    it.expect(b"$ ")
    it.send("echo $USER-$BERTH_CONTEXT-$0; exit 6\r")
    it.expect(b"alice-train-/bin/bash\r\n")
    assert it.wait() == 6


def test_a_session_has_its_size_before_its_shell_starts(berth: Berth, host: Host) -> None:
    profile = "stty size >/tmp/size-at-start\n"
    host.run(["sh", "-c", "cat >~/.bash_profile"], user="alice", data=profile.encode())
    try:
        it = berth("login", "h1", "--persist")
        it.expect(b"$ ")
        assert host.run(["cat", "/tmp/size-at-start"]).stdout == "23 80\n", "tmux has the 24th line"
        it.send("exit\r")
        it.wait()
    finally:
        host.run(["sh", "-c", "rm ~/.bash_profile"], user="alice")


def test_login_can_outlive_the_connection_and_is_a_session_as_any_other(berth: Berth, host: Host) -> None:
    it = berth("login", "h1", "--persist")
    it.expect(b"$ ")
    it.send("kept=there$((1 + 1)); echo $kept\r")
    it.expect(b"there2\r\n")
    it.expect(b"$ ")
    host.run(["tmux", "detach-client", "-s", "=login-1"], user="alice")
    assert it.wait() == 0
    again = berth("session", "attach", "h1/login-1")
    again.expect(b"$ ")
    again.send("echo $kept; exit 5\r")
    again.expect(b"there2\r\n")
    again.wait()


def test_killses_ends_what_was_left_and_nothing_else(berth: Berth, host: Host) -> None:
    host.docker("run", "-dt", "--name", "crowded", "busybox:latest", "sh")
    try:
        for trap in ("", "trap '' HUP;"):
            host.docker("exec", "-dt", "crowded", "sh", "-c", f"{trap} while :; do sleep 0.2; done")
        assert len(shells_in(host, "crowded")) >= 3
        listed = berth("killses", "h1/crowded")
        lines = listed.expect(b"End 2 shells in crowded on h1?").decode().splitlines()
        listed.send("n\r")
        listed.wait()
        stubborn = next(line.split()[0] for line in lines if "trap" in line)
        one = berth("killses", "h1/crowded", "--pid", stubborn)
        one.expect(b"1 by SIGKILL")
        assert one.wait() == 0
        rest = berth("killses", "h1/crowded", "--yes")
        rest.expect(b"ended 1 in crowded on h1")
        assert rest.wait() == 0
        none = berth("killses", "h1/crowded")
        none.expect(b"no interactive shell is left")
        assert host.docker("inspect", "-f", "{{.State.Running}}", "crowded") == "true"
    finally:
        host.docker("rm", "-f", "crowded")


def test_read_only_enters_nothing(berth: Berth) -> None:
    it = berth("--read-only", "enter", "train")
    it.expect(b"read-only")
    assert it.wait() == 5


def test_after_a_lost_link_the_same_shell_is_found_while_the_host_thinks_somebody_looks_at_it(
    berth: Berth, host: Host
) -> None:
    first = berth("enter", "train", size=(120, 24))
    first.expect(PROMPT)
    first.send("kept=lost$((1 + 1))\r")
    other = berth("enter", "train", size=(120, 24))
    other.expect(PROMPT)
    host.partition()
    first.expect(b"Back to it: berth enter train", timeout=60)
    assert first.wait() == 3
    other.expect(b"Back to it: berth enter train", timeout=60)
    host.heal()
    for expected in (b"lost2\r\n", b"none\r\n"):  # the two that were lost, the lower number first
        again = berth("enter", "train", size=(120, 24))
        again.expect(PROMPT)
        again.send("echo ${kept:-none}\r")
        again.expect(expected)
    names = host.run(["tmux", "list-sessions", "-F", "#{session_name}"], user="alice").stdout.split()
    assert names == ["train-1", "train-2"]
