"""The argument lists that start terminals on hosts.

Everything is decided by one script on the host (`scripts/host.sh`), because every question asked from afar
costs a round trip: is tmux there, which session is free, which engine, which shell. What a container, a user
or a session is called reaches it as arguments and is nowhere part of a script.
"""

from __future__ import annotations

import locale
import os
import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from backend.terminal.lostvisits import lost_visits
from backend.terminal.process import Size
from backend.text import printable
from backend.tmux import session_stem

Which = Literal["first", "new", "none"] | int
"""The session where our link was lost, else the first nobody looks at, else a new one; a new one; no session
at all; or that number."""
DETACH_KEYS = "ctrl-p,ctrl-q"
_LINES, _LONGEST = 12, 200
"""Of an introduction: tmux takes 16 KB of arguments in all."""


@dataclass(frozen=True)
class Engine:
    """What speaks to the containers of a host."""

    kind: str = "auto"
    """`docker`, `podman`, or `auto`: the host knows."""
    socket: str = ""
    """Where it is not the usual one."""


@dataclass(frozen=True)
class Seat:
    """Where a shell lives on its host."""

    stem: str
    """Its tmux session is called `<stem>-<n>`."""
    which: Which = "first"
    window: str = ""
    """Name of the session's window."""
    visit: str = ""
    """Its session is marked with this word."""

    def words(self) -> list[str]:
        """The arguments that the modes `enter` and `login` share."""
        size = _screen()
        return [
            session_stem(self.stem),
            str(self.which),
            "1" if _utf8() else "",
            str(size.columns),
            str(size.rows),
            _script("visit"),
            session_stem(self.window or self.stem),
            self.visit,
            " ".join(lost_visits()) if self.which == "first" else "",
        ]


def enter(
    seat: Seat,
    engine: Engine,
    container: str,
    *,
    user: str = "",
    profile: str = "tuned",
    shell: Sequence[str] = (),
    workdir: str = "",
    intro: Sequence[str] = (),
) -> list[str]:
    """A shell in a container: `shell`, else bash, else sh."""
    lines = [printable(line, _LONGEST) for line in intro[:_LINES]]
    command = [*lines, workdir, *shell]
    place = [engine.kind, engine.socket, container, user, os.urandom(8).hex(), profile]
    place += [_inside("inside"), _inside("hang"), shell[0] if shell else "", str(len(lines))]
    return _host("enter", *seat.words(), *place, *command)


def login(seat: Seat, env: Sequence[str] = ()) -> list[str]:
    """A login shell on the host, with these `NAME=value` in its environment."""
    return _host("login", *seat.words(), *env)


def attach(engine: Engine, container: str) -> list[str]:
    """The terminal of the container's own process."""
    return _host("attach", engine.kind, engine.socket, container, DETACH_KEYS)


def session(socket: str, identity: str) -> list[str]:
    """A tmux session of the host, by its id (`$3`)."""
    return _host("session", socket, identity, "1" if _utf8() else "")


def inside_command(engine: Engine, container: str, name: str, words: Sequence[str]) -> list[str]:
    """One of our scripts run as root in a container, without a terminal."""
    return _host("inside", engine.kind, engine.socket, container, _inside(name), *words)


def _inside(name: str) -> str:
    """A script for `sh -c` in a container that knows the function `shells`."""
    return f"{_script('shells')}; {_script(name)}"


def _host(*words: str) -> list[str]:
    return ["sh", "-c", _script("host"), "berth", *words]


@cache
def _script(name: str) -> str:
    """As one line, which every login shell passes on as it is; see the rules in host.sh.

    Without the last `;`, which tmux would take for its own.
    """
    text = pkgutil.get_data("backend.terminal", f"scripts/{name}.sh") or b""
    lines = (line.strip() for line in text.decode().splitlines())
    return " ".join(line for line in lines if line and not line.startswith("#")).rstrip(";")


def _utf8() -> bool:
    return "utf" in locale.getpreferredencoding(False).lower()


def _screen() -> Size:
    """The size of the terminal we have now: a new session starts with it."""
    import shutil

    return Size(*shutil.get_terminal_size((80, 24)))
