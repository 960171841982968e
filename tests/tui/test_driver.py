"""Keys on a real terminal: read by the app's own loop, and not read any more once somebody else has it."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from tests.bench.terminal import Terminal
from tui.driver import Keys

APP = """
import os, sys
from textual import events
from textual.app import App
from textual.widgets import Static
from tui.driver import prompt

class Keys(App):
    def compose(self):
        yield Static("ready", markup=False)

    def get_driver_class(self):
        return prompt(super().get_driver_class())

    def on_key(self, event: events.Key) -> None:
        if event.key == "s":
            with self.suspend():
                print("yours", flush=True)
                line = sys.stdin.readline()
                print("other got", repr(line), flush=True)
        elif event.key == "q":
            self.exit()
        self.query_one(Static).update(f"key {event.key}")

Keys().run()
print("left", flush=True)
"""


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    """Opens the app on a terminal of its own."""
    script = tmp_path / "keys.py"
    script.write_text(APP)
    env = {"PYTHONPATH": str(Path(__file__).parents[2])}
    with ExitStack() as stack:

        def open_it(**more: str) -> Terminal:
            argv = [sys.executable, str(script)]
            terminal = stack.enter_context(Terminal(argv, size=(40, 5), env={**env, **more}))
            terminal.wait_for("ready", timeout=60)
            return terminal

        yield open_it


def until(terminal: Terminal, true: Callable[[str], bool]) -> None:
    end = time.monotonic() + 30
    while not true(terminal.text):
        assert time.monotonic() < end, terminal.text[-400:]
        terminal.pump(0.1)


def test_keys_come_and_so_does_a_lone_escape_that_nothing_follows(opened: Callable[..., Terminal]) -> None:
    terminal = opened()
    for typed, name in ((b"a", "a"), (b"\x1b[A", "up"), (b"\x1b", "escape"), ("é".encode(), "é")):
        terminal.write(typed)
        until(terminal, lambda text, name=name: f"key {name}" in text)  # type: ignore[misc]
    told = [terminal.text.index(f"key {name}") for name in ("a", "up", "escape", "é")]
    assert told == sorted(told), "keys come in the order in which they were pressed"


def test_a_key_in_two_parts_is_one(opened: Callable[..., Terminal]) -> None:
    terminal = opened(ESCDELAY="20000")
    terminal.write(b"\x1b[")
    terminal.pump(0.3)  # three looks whether that was all
    terminal.write(b"6~")
    until(terminal, lambda text: "key pagedown" in text)
    assert "key escape" not in terminal.text


def test_what_is_typed_while_another_has_the_terminal_is_theirs(
    opened: Callable[..., Terminal],
) -> None:
    terminal = opened()
    for number, back in enumerate("bcd", start=1):
        terminal.write(b"s")
        until(terminal, lambda text, n=number: text.count("yours") == n)  # type: ignore[misc]
        terminal.write(b"jkl\n")
        until(terminal, lambda text, n=number: text.count("other got 'jkl\\n'") == n)  # type: ignore[misc]
        # The second key comes behind what the terminal answers to an app that is back.
        for key in (back, back.upper()):
            terminal.write(key.encode())
            until(terminal, lambda text, key=key: f"key {key}" in text)  # type: ignore[misc]
    terminal.write(b"q")
    until(terminal, lambda text: "left" in text)
    assert not any(f"key {key}" in terminal.text for key in "jkl"), "the app read what was for another"


async def test_a_terminal_that_is_gone_is_not_asked_again() -> None:
    there, fails = os.pipe()  # an end that is only written to: to read from it fails, and it is ready once
    os.close(there)  # nobody is at the other
    loop = asyncio.get_running_loop()
    errors: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: errors.append(context))
    Keys(Mock(fileno=fails, _debug=False), loop)
    for _ in range(3):  # each turn of the loop looks at what is ready
        await asyncio.sleep(0)
    there_still = loop.remove_reader(fails)
    os.close(fails)
    assert errors == [] and not there_still
