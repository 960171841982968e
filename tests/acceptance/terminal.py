"""A real terminal with a shell in it: a tmux server of its own, driven by keys, read from its screen."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.lab.machine import wait_for
from tests.lab.spec import LabError

PROMPT = "berth-test$ "
"""What the shell in it says when it waits."""
_MESSAGES_STAY = 2.0
"""Seconds that berth's messages stay at least: a failed test shows what they said."""
_DROPPED = ("TMUX", "TMUX_PANE", "COLUMNS", "LINES", "NO_COLOR")


class Terminal:
    """`with Terminal(folder, env) as it: it.line("berth"); it.until("2 hosts"); it.keys("4", "n")`."""

    def __init__(
        self,
        folder: Path,
        env: Mapping[str, str],
        *,
        size: tuple[int, int] = (140, 40),
        inside_tmux: bool = False,
    ) -> None:
        """`inside_tmux`: what is started in it knows that it runs in tmux."""
        self.socket = folder / "terminal"
        columns, rows = size
        dropped = [] if inside_tmux else [f"-u{name}" for name in ("TMUX", "TMUX_PANE")]
        told = {"TERM": "screen-256color", "LANG": "C.UTF-8", "PS1": PROMPT, **env}
        shell = ["env", *dropped, *(f"{name}={value}" for name, value in told.items()), "bash", "--norc"]
        size_words = ["-x", str(columns), "-y", str(rows)]
        self.tmux("-f", "/dev/null", "new-session", "-d", *size_words, shlex.join(shell))
        self.tmux("set", "-g", "status", "off")
        self.until(PROMPT.strip())

    def tmux(self, *words: str) -> str:
        """Run its tmux; what it printed."""
        env = {name: value for name, value in os.environ.items() if name not in _DROPPED}
        argv = ["tmux", "-u", "-S", str(self.socket), *words]
        return subprocess.run(argv, env=env, capture_output=True, text=True, check=True, timeout=20).stdout

    # ------------------------------------------------------------------------------------ typing

    def keys(self, *names: str, pane: str = "") -> None:
        """Press keys by tmux's names: `x`, `Enter`, `C-s`."""
        self.tmux("send-keys", *_at(pane), *names)

    def text(self, text: str, pane: str = "") -> None:
        """Type text as it is."""
        self.tmux("send-keys", *_at(pane), "-l", text)

    def line(self, text: str, pane: str = "") -> None:
        """Type a line and press Enter."""
        self.text(text, pane)
        self.keys("Enter", pane=pane)

    def resize(self, columns: int, rows: int) -> None:
        """Make the window that large."""
        self.tmux("resize-window", "-x", str(columns), "-y", str(rows))

    # ------------------------------------------------------------------------------------ reading

    def screen(self, pane: str = "", *, colours: bool = False) -> str:
        """What is on it now, without the blanks at the right."""
        return self.tmux("capture-pane", "-p", *(["-e"] if colours else []), *_at(pane))

    def past(self, lines: int) -> list[str]:
        """The last lines that left at the top, and what is on it now."""
        return self.tmux("capture-pane", "-p", "-S", f"-{lines}").splitlines()

    def told(self, value: str, pane: str = "") -> str:
        """What tmux knows of it: `alternate_on`, `mouse_any_flag`."""
        return self.tmux("display-message", "-p", *_at(pane), f"#{{{value}}}").strip()

    def panes(self) -> list[str]:
        """The ids of all panes, the oldest first."""
        return sorted(
            self.tmux("list-panes", "-a", "-F", "#{pane_id}").split(), key=lambda each: int(each[1:])
        )

    def until(self, what: str | Callable[[str], object], *, seconds: float = 30, pane: str = "") -> str:
        """Wait until this stands on the screen, as text or as a pattern of `match`; the screen."""
        check = (lambda screen: what in screen) if isinstance(what, str) else what
        seen = early = ""
        began = time.monotonic()

        def look() -> bool:
            nonlocal seen, early
            seen = self.screen(pane)
            if time.monotonic() < began + _MESSAGES_STAY:
                early = seen
            return bool(check(seen))

        try:
            wait_for(look, "", seconds=seconds)
        except LabError:
            name = what if isinstance(what, str) else getattr(what, "pattern", what)
            said = f"{early}\nand at last\n{seen}"
            raise AssertionError(f"waited {seconds:.0f} s in vain for {name!r} on\n{said}") from None
        return seen

    def until_gone(self, text: str, *, seconds: float = 30, pane: str = "") -> str:
        """Wait until this stands nowhere on the screen."""
        return self.until(lambda screen: text not in screen, seconds=seconds, pane=pane)

    def until_prompt(self, *, seconds: float = 30) -> str:
        """Wait until the shell waits for a line; the screen."""
        return self.until(match(rf"^{re.escape(PROMPT.strip())}\s*\Z"), seconds=seconds)

    def close(self) -> None:
        """End what runs in it."""
        subprocess.run(["tmux", "-S", str(self.socket), "kill-server"], capture_output=True, check=False)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def match(pattern: str) -> Callable[[str], object]:
    """A condition for `until`: a regular expression found on the screen."""
    found = re.compile(pattern, re.MULTILINE).search

    def check(screen: str) -> object:
        return found(screen)

    check.pattern = pattern  # type: ignore[attr-defined]
    return check


def _at(pane: str) -> list[str]:
    return ["-t", pane] if pane else []
