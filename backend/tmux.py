"""tmux on hosts: what berth's sessions are called, and starting, listing and ending them.

What is an argument here reaches tmux as an argument. Three of its habits need care all the same: it expands
`#{...}` and `#(...)` in names, takes `:` and `.` in targets for windows and panes, and an argument that ends
in `;` for the end of a command.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from backend.errors import ActionFailed, NoSuchTarget
from backend.text import printable

if TYPE_CHECKING:
    from backend.link import Link

_TIMEOUT = 10.0
_GONE = ("can't find", "no server", "error connecting", "server exited", "lost server")
"""What tmux says where the server, or what is meant of it, ended meanwhile."""
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")


def session_stem(name: str) -> str:
    """What the sessions of a context or container are named after: `llama.v2` gives `llama_v2`."""
    return _UNSAFE.sub("_", name).lstrip("-")[:60] or "_"


def session_name(name: str, number: int) -> str:
    """`<context>-<n>`, as tmux knows it."""
    return f"{session_stem(name)}-{number}"


def argument(word: str) -> str:
    """A word of a command for tmux, so that a `;` at its end belongs to it."""
    return f"{word[:-1]}\\;" if word.endswith(";") else word


async def run(link: Link, *words: str, socket: str = "") -> str:
    """Run tmux on a host; what it printed.

    Raises `NoSuchTarget` where the session, window or pane is gone, else `ActionFailed` with what it said.
    """
    argv = ["tmux", "-u", *(["-S", socket] if socket else []), *words]
    done = await link.run(argv, timeout=_TIMEOUT)
    if done.returncode == 0:
        return done.stdout.decode(errors="replace")
    said = printable(done.stderr.decode(errors="replace").strip(), 300)
    if done.returncode == 127 or "not found" in said:
        raise ActionFailed(
            f"tmux is not installed on {link.name}.", hint="Install it there with its packages."
        )
    if any(words in said for words in _GONE):
        raise NoSuchTarget(f"{link.name}: {said}.", hint="It ended meanwhile.")
    raise ActionFailed(f"tmux on {link.name}: {said or 'it said nothing'}.")


async def start(link: Link, name: str, command: Sequence[str] = (), *, folder: str = "") -> str:
    """Start a session in the background; its id. Raises `ActionFailed` where the name is taken."""
    place = ["-c", folder.replace("#", "##")] if folder else []
    words = ["--", *map(argument, command)] if command else []
    made = await run(
        link, "new-session", "-d", "-P", "-F", "#{session_id}", "-s", session_stem(name), *place, *words
    )
    return made.strip()


async def rename(link: Link, identity: str, name: str, *, socket: str = "") -> None:
    """Give the session with this id (`$3`) another name."""
    await run(link, "rename-session", "-t", identity, "--", session_stem(name), socket=socket)


async def kill(link: Link, identity: str, *, socket: str = "") -> None:
    """End the session with this id and all that runs in it."""
    await run(link, "kill-session", "-t", identity, socket=socket)
