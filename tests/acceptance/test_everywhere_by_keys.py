"""A command on all hosts and commands of one's own: by keys, then by verbs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.conftest import IMAGE
from tests.acceptance.terminal import Terminal, match
from tests.lab import Host

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]
COMMANDS = """\
commands:
  talk:
    on: container
    show: terminal
    key: f6
    command: 'echo "this is {container}"; read word; echo "$word" >/tmp/said'
  note:
    runs: laptop
    show: terminal
    key: f7
    command: 'echo "about {host}:"; read word; echo "$word" >"$BERTH_STATE_DIR/noted"'
"""


def test_a_command_everywhere_and_commands_of_ones_own(
    hosts: list[Host], terminal: Callable[..., Terminal], env: dict[str, str]
) -> None:
    (Path(env["BERTH_CONFIG_DIR"]) / "settings.yaml").write_text(COMMANDS)
    host = hosts[0]
    host.docker("run", "-d", "--name", "partner", IMAGE)
    it = terminal(size=(150, 40))
    it.line("berth")
    it.until("3 hosts · ")
    it.until(match(r"h1 +up"))

    it.keys("@")
    it.until("a command for all hosts")
    it.line("cat /etc/hostname; echo the same")
    it.until(match(r"✓ h1 · exit 0 .* │ ✓ m1 · exit 0 .* │ ✓ p1 · exit 0"))
    it.until(match(r"~ m1 +│|│ ~ m1"))
    it.keys("e", "C-u")
    it.line("@h1 @m1 echo began; exec sleep 777")
    it.until(match(r"▸ h1 · running"))
    it.keys("C-k")
    it.until(match(r"! h1, m1 \(2\) · cancelled"))
    assert not sleeps(host)
    it.keys("Escape")
    it.until("─ Fleet ")

    it.keys("/")
    it.line("h1")
    it.keys("F7")
    it.until("about h1:")
    it.line("noted here")
    it.until("note: done for h1")
    assert (Path(env["BERTH_STATE_DIR"]) / "noted").read_text() == "noted here\n"
    it.keys("3", "/")
    it.line("partner")
    it.until(match(r"h1 +partner .* running"))
    it.keys("F6")
    it.until("this is partner")
    it.line("hello inside")
    it.until("─ Containers ")
    assert host.docker("exec", "partner", "cat", "/tmp/said") == "hello inside"
    it.keys("q")
    it.until_prompt()

    it.line("clear; berth each -- 'echo {host} >&2; exit 3' | cat; echo code ${PIPESTATUS[0]}")
    it.until("code 1")
    it.line("clear; berth each --tag nothing -- true; echo code $?")
    it.until("code 4")
    it.line("clear; berth each -- 'echo came; exec sleep 777'")
    it.until("waiting for")
    it.until(lambda _: all(map(sleeps, hosts)))
    it.keys("C-c")
    it.until(match(r"── h1, m1, p1 \(3\) · cancelled"))
    it.until_prompt()
    assert not any(map(sleeps, hosts))


def sleeps(host: Host) -> bool:
    """Whether the command runs there; what ends it may stay for its two seconds."""
    return bool(host.run(["pgrep", "-f", "^sleep 777"], check=False).stdout)
