"""Talking to the host's side: one process, one request, lines of JSON until it ends."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from backend import toolkit
from backend.errors import ActionFailed, Unreachable
from backend.prepare.seen import Seen, read
from backend.shipping import find_python
from backend.text import printable

if TYPE_CHECKING:
    from backend.link import Link
    from backend.prepare.plan import Plan

_ONE_LINER = (
    'import json;any(exec(part,globals()) for part in json.loads(open(0,"rb",0,closefd=False).readline()))'
)
"""As in backend.shipping: nothing in it means anything to any login shell."""
PARTS = ("prepare_look.py", "prepare.py")
"""The program: run one after the other in one namespace."""


async def look(
    link: Link, files: list[str], packages: tuple[str, ...] = (), git: tuple[str, ...] = ()
) -> Seen:
    """How a host is. Raises `ActionFailed` and `HostError`."""
    request = {
        "verb": "look",
        "files": files,
        "packages": packages,
        "git": git,
        "programs": ("git", "ssh-keygen"),
    }
    async for line in _ask(link, request):
        if "look" in line:
            try:
                return read(line["look"])
            except msgspec.ValidationError as error:
                raise ActionFailed(
                    f"{link.name}: what it says of itself is not understood ({error})."
                ) from None
    raise ActionFailed(f"{link.name}: it says nothing of itself.")


async def do(link: Link, plan: Plan) -> AsyncIterator[dict[str, Any]]:
    """Carry out a plan; what the host's side says, `step` being a number into `before + files + after`."""
    number = 0
    request: dict[str, Any] = {"verb": "do"}
    for part in ("before", "files", "after"):
        request[part] = []
        for step in getattr(plan, part):
            request[part].append({**step.wire, "id": number})
            number += 1
    async for line in _ask(link, request):
        yield line


async def _ask(link: Link, request: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    python = sys.executable if link.local else await find_python(link)
    process = await link.start([python, "-c", _ONE_LINER])
    try:
        with suppress(Unreachable):  # it ended already: its exit code and stderr say why
            program = json.dumps([toolkit.source(part) for part in PARTS])
            await process.write(f"{program}\n{json.dumps(request)}\n".encode())
        heard = False
        async for line in process:
            with suppress(ValueError):
                found: Any = json.loads(line)
                if isinstance(found, dict):
                    heard = True
                    yield found
        code = await process.wait()
        if code and not heard:
            said = printable(process.stderr.decode("utf-8", "replace").strip()[-300:], 300)
            raise ActionFailed(f"{link.name}: {said or 'python3 there ended early'} (exit code {code}).")
    finally:
        await process.close()
