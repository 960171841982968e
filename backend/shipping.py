"""Puts the agent on a host and starts it, over one channel and without leaving more than one file there.

The remote command is a fixed one-liner that any login shell passes on unharmed, `python3 -c 'import ...'`.
It reads a loader as the first line of its input, and the loader reads a header:

    -> {"name": ..., "size": ..., "crc": ..., "args": [...]}
    <- {"berth": "send"}       only if ~/.cache/berth/agent-<hash>.pyz is not there or not intact
    -> the zipapp, `size` bytes
    <- {"berth": "run"}        and from here on the agent's own lines

The zipapp is kept for the next time, compiled, where the home takes it; else it runs from memory or a
temporary file.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import sys
import threading
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from backend.errors import AgentFailed, Unreachable
from backend.link import Link, LinkProcess
from backend.link.threads import in_thread
from backend.wire import Section

START_TIMEOUT = 20.0
"""Seconds from the first byte sent until the agent must run: 400 kB over a slow line take a while."""
_ONE_LINER = 'import json;exec(json.loads(open(0,"rb",0,closefd=False).readline()))'
"""No newline, backslash, single quote or exclamation mark: fish, csh and sh all agree on the rest.
Unbuffered, so that what follows the line is left for the loader and the agent."""
_NOISE = 200
"""Lines a login shell's start-up files may print before us."""
_FIND = (
    "for p in python3 /usr/bin/python3 /usr/local/bin/python3 /opt/conda/bin/python3"
    " python3.14 python3.13 python3.12 python3.11 python3.10 python3.9 python3.8 python;"
    ' do if "$p" -c "import sys; sys.exit(sys.version_info < (3, 8))" >/dev/null 2>&1;'
    ' then command -v "$p"; exit 0; fi; done; exit 3'
)
"""For `sh -c`: the first Python that is new enough."""


_making = threading.Lock()

_NOT_THERE = re.compile(r"python\S*: (command )?not found", re.IGNORECASE)
"""csh says so with status 1."""


class NoPython(AgentFailed):
    """The host has no python3 that could run the agent."""

    title = "No python3"


def _as_it_is(section: Section) -> Section | None:
    return section


@dataclass(frozen=True)
class Agent:
    """A started agent."""

    process: LinkProcess
    lines: AsyncIterator[bytes]
    """What it says from now on."""
    accept: Callable[[Section], Section | None] = _as_it_is
    """What a section tells about the host, None for nothing."""


@cache
def prepare() -> None:
    """Begin to make the zipapp in a thread, once: it is wanted as soon as a host answers."""
    threading.Thread(target=_zipapp, name="zipapp", daemon=True).start()


def _zipapp() -> tuple[bytes, str]:
    from backend import bundle

    with _making:
        return bundle.agent_zipapp()


async def start(link: Link, args: Sequence[str]) -> Agent:
    """Start the agent on a host with these options.

    Raises `NoPython`, `AgentFailed` (with what its stderr said) or `Unreachable`.
    """
    if link.local:
        # -P: a folder called `backend` where berth was started from is not ours
        process = await link.start([sys.executable, "-P", "-m", "backend.agent", *args])
        return Agent(process, aiter(process))
    try:
        async with asyncio.timeout(START_TIMEOUT):
            try:
                return await _ship(link, "python3", args)
            except NoPython:
                return await _ship(link, await find_python(link), args)
    except TimeoutError:
        raise AgentFailed(
            f"the agent on {link.name} did not start within {START_TIMEOUT:.0f} s.",
            hint="The host may be overloaded, or its home directory hangs (NFS).",
        ) from None


async def find_python(link: Link) -> str:
    """The path of a Python >= 3.8 on the host; `NoPython` where there is none."""
    found = await link.run(["sh", "-c", _FIND], timeout=START_TIMEOUT)
    path = found.stdout.decode(errors="replace").strip().rpartition("\n")[2]
    if found.returncode or not path:
        raise NoPython(
            f"{link.name} has no python3 (3.8 or later), which berth needs there to watch it.",
            hint="Install it there: sudo apt install python3, or sudo dnf install python3.",
        )
    return path


async def _ship(link: Link, python: str, args: Sequence[str]) -> Agent:
    """Start the agent with this Python."""
    process = await link.start([python, "-c", _ONE_LINER])
    try:
        data, digest = await in_thread(_zipapp)
        loader = resources.files("backend").joinpath("loader.py").read_text("utf-8")
        header = {"name": digest, "size": len(data), "crc": zlib.crc32(data), "args": list(args)}
        lines = aiter(process)
        with contextlib.suppress(Unreachable):  # it ended already: its stderr says why
            await process.write(json.dumps(loader).encode() + b"\n" + json.dumps(header).encode() + b"\n")
        answer = await _answer(link, process, lines)
        if answer == "send":
            await process.write(data)
            answer = await _answer(link, process, lines)
        if answer != "run":
            raise AgentFailed(f"{link.name}: {answer}")
        return Agent(process, lines)
    except BaseException:
        await process.close()
        raise


async def _answer(link: Link, process: LinkProcess, lines: AsyncIterator[bytes]) -> str:
    """The loader's next answer; what a shell prints before it is passed over."""
    for _ in range(_NOISE):
        line = await anext(lines, None)
        if line is None:
            break
        with contextlib.suppress(ValueError):
            found: Any = json.loads(line)
            if isinstance(found, dict) and isinstance(found.get("berth"), str):
                return str(found["berth"])
    code = await process.wait()
    said = process.stderr.decode(errors="replace").strip()
    if code in (126, 127) or _NOT_THERE.search(said):
        raise NoPython(f"{link.name} has no python3.")
    raise AgentFailed(
        f"python3 on {link.name} ended before the agent ran (exit {code}): {said[-300:] or 'no word'}.",
        hint=f"Try it: ssh {link.name} python3 -V",
    )
