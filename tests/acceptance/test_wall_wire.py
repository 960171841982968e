"""The wall over real SSH: only what is on the page crosses the network."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.terminal import Terminal, match
from tests.lab import Host
from tests.lab.machine import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

PAGE = 12
SIZE = (160, 40)
"""Room for a page of 4 by 3 tiles."""
BUSY = "i=0; while :; do i=$((i + 7)); seq $i $((i + 23)); sleep 0.2; done"
WINDOW = 1.0
"""Seconds over which traffic is counted: live panes send in each of them, lists of sessions in few."""


class Wire:
    """What a host sends over its cable."""

    def __init__(self, host: Host) -> None:
        cable = host._network.cable(host._number)
        self._counter = Path(f"/sys/class/net/{cable}/statistics/rx_bytes")

    def rate(self) -> float:
        """Bytes per second from now on."""
        began, before = time.monotonic(), int(self._counter.read_text())
        wait_for(lambda: time.monotonic() > began + WINDOW, "the window to pass")
        return (int(self._counter.read_text()) - before) / (time.monotonic() - began)


def test_twelve_panes_live_and_nothing_of_those_that_are_not_seen(
    hosts: list[Host], terminal: Callable[..., Terminal], env: dict[str, str]
) -> None:
    h1 = hosts[0]
    for number in range(PAGE):
        for name, command in (("busy", BUSY), ("idle", "echo at rest; exec sleep 1d")):
            session = ["tmux", "new-session", "-d", "-x80", "-y24", "-s", f"{name}-{number:02}", command]
            h1.run(session, user="alice")
    Path(env["BERTH_CONFIG_DIR"], "settings.yaml").write_text("sort: {sessions: name}\n")
    it, wire = terminal(size=SIZE), Wire(h1)
    it.line("berth")
    it.until("3 hosts · ")
    it.keys("7")
    it.until("─ Sessions 24 ")

    it.keys("w")
    it.until("24 panes · 1 host · page 1")
    for number in range(PAGE):
        it.until(f"busy-{number:02}")
    wait_for(lambda: lines(it) >= 5 * PAGE, "all panes to be live")
    seen = wire.rate()
    assert seen > PAGE * 500

    it.keys("n")
    it.until("24 panes · 1 host · page 2")
    it.until(lambda screen: screen.count("at rest") == PAGE)
    wait_for(lambda: wire.rate() < seen / 10, "silence on the wire")

    it.keys("p")
    it.until("24 panes · 1 host · page 1")
    it.keys("z")
    it.until(match(r"busy-00"))
    it.until_gone("busy-01")
    wait_for(lambda: wire.rate() < seen * 0.6, "one pane on the wire")  # which is looked at more often

    it.keys("Escape")
    it.until("busy-11")
    it.keys("q")
    it.until("─ Sessions 24 ")
    wait_for(lambda: wire.rate() < seen / 10, "silence on the wire")


def lines(it: Terminal) -> int:
    """Lines of digits in all tiles together."""
    return sum(word.isdigit() for word in it.screen().replace("│", " ").split())
