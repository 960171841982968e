"""The dashboard inside tmux, as its user sees it: shells open in a window, a pane or a popup."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.terminal import Terminal, match
from tests.lab import Host
from tests.lab.machine import wait_for

pytestmark = pytest.mark.lab

Shows = Callable[[str], bool]


def dashboard(screen: str) -> bool:
    return "─ Containers 1 " in screen


@pytest.mark.parametrize(
    ("place", "while_inside"),
    [
        ("window", lambda screen: not dashboard(screen) and " 1:work_on_h1*" in screen),
        ("pane", lambda screen: dashboard(screen) and match(r"│/ #")(screen)),
        ("popup", lambda screen: " 1 Fleet " in screen and match(r"│/ #.*│")(screen)),
    ],
    ids=["window", "pane", "popup"],
)
def test_a_shell_opens_where_the_settings_say_and_gives_the_place_back(
    hosts: list[Host],
    terminal: Callable[..., Terminal],
    env: dict[str, str],
    place: str,
    while_inside: Shows,
) -> None:
    h1 = hosts[0]
    h1.docker("run", "-d", "--name", "work", "busybox:latest", "sleep", "1d")
    Path(env["BERTH_CONFIG_DIR"], "settings.yaml").write_text(f"terminal: {place}\n")
    tmux = ["tmux", "-S", f"{env['BERTH_STATE_DIR']}.tmux"]

    def inner(*words: str) -> str:
        return subprocess.run([*tmux, *words], capture_output=True, text=True, check=False).stdout

    it = terminal(size=(160, 44))
    it.line(f"{' '.join(tmux)} -f /dev/null new-session berth")
    try:
        it.until("3 hosts · ")
        it.keys("3")
        it.until(match(r"h1 +work .*running"))
        it.keys("e")
        it.until(match(r"/ #"))
        it.until(while_inside)
        it.line("echo inside-$((40 + 2))")
        it.until("inside-42")
        it.line("exit")
        wait_for(lambda: inner("list-panes", "-a").count("\n") == 1, "the shell's place to be given back")
        screen = it.until(dashboard)
        assert "inside-42" not in screen and match(r"h1 +work .*running")(screen)
        assert h1.docker("inspect", "--format", "{{.State.Running}}", "work") == "true"
        it.until(dashboard)
        it.keys("2")
        it.until("─ GPUs 20 ")  # it has the keyboard again
        it.keys("q")
        it.until_prompt()
    finally:
        inner("kill-server")
