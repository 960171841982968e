"""Asking a host about ownership: one program, sent as text, one question, one answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from backend.errors import ActionFailed, NoSuchTarget, Refused, Unreachable
from backend.hostprogram import joined
from backend.link import Link
from backend.text import printable

MODULES = ("rules", "tree", "events", "worker", "starting", "keeper", "entry")
"""Of backend/ownership/host, in the order in which they build on each other."""
_START = (
    "import sys,zlib\nd=sys.stdin.buffer.read({0})\n"
    "if len(d)=={0}:\n g={{'__name__':'berth'}}\n exec(zlib.decompress(d),g)\n g['main'](d)"
)
LIMIT = 30.0
"""Seconds for a question that looks through no folders."""
_MORE = 45.0
"""Seconds for the start of Python and sudo there, twice."""


@cache
def program() -> bytes:
    """All of backend/ownership/host as one compressed text."""
    return joined("backend.ownership.host", MODULES)


async def ask(link: Link, do: str, request: Mapping[str, Any], limit: float = LIMIT) -> dict[str, Any]:
    """The answer of a host. Raises `ActionFailed`, `Refused`, `NoSuchTarget`, `Unreachable`."""
    from backend.shipping import find_python

    code = program()
    text = json.dumps({**request, "do": do, "limit": limit}).encode("ascii")
    python = "python3"
    for attempt in range(2):
        argv = [python, "-I", "-S", "-c", _START.format(len(code))]
        try:
            done = await link.run(argv, input=code + text, timeout=limit + _MORE)
        except TimeoutError:
            raise Unreachable(f"{link.name} did not answer within {limit:.0f} s.") from None
        if done.returncode not in (126, 127) or attempt:
            break
        python = await find_python(link)
    if done.returncode:
        said = printable(done.stderr.decode(errors="replace").strip().rpartition("\n")[2], 300)
        raise ActionFailed(f"{link.name}: {said or f'exit code {done.returncode}'}.")
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        raise ActionFailed(f"{link.name} answers what cannot be read.") from None
    if not isinstance(answer, dict):
        raise ActionFailed(f"{link.name} answers what cannot be read.")
    if "error" in answer:
        raise _explained(link.name, printable(str(answer["error"]), 400), str(answer.get("kind")))
    return answer


def _explained(host: str, text: str, kind: str) -> ActionFailed | Refused | NoSuchTarget:
    if kind == "sudo":
        return ActionFailed(
            f"{host}: only root may give files to somebody, and you are not root there: {text.rstrip('.')}.",
            hint="It takes a login as root, or sudo without a password for python3. Without either:"
            " --owner keep --group GROUP-OF-YOURS --mode g+rwX for what is yours.",
        )
    if kind == "watched":
        return ActionFailed(f"{host}: {text}", hint=f"End it first: berth ownership stop {host}")
    if kind == "folder":
        return NoSuchTarget(f"{host}: {text.rstrip('.')}.")
    return ActionFailed(f"{host}: {text.rstrip('.')}.")
