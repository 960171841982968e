"""`berth doctor`: the checks of `backend.doctor`, shown as they come."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import msgspec

from backend.config import Config
from backend.doctor import Check, run_doctor
from backend.lists import colour
from backend.text import printable

_WORDS = {True: "ok", False: "FAIL", None: "-"}
_COLOURS = {True: "32", False: "31", None: "2"}
REACHING = frozenset({"resolve", "connect", "host key", "login"})
"""Steps without which a host is not reached at all."""


async def show(config: Config, names: Sequence[str], *, json: bool) -> int:
    """Print every check; the exit code: 0, 3 where a host is not reached, 1 where something else fails.

    Raises `NoSuchTarget` for a host that is not configured.
    """
    for name in names:
        config.host(name)
    done: list[Check] = []
    painted, width = colour(), max((len(name) for name in _names(config, names)), default=0)
    async for check in run_doctor(config, names):
        done.append(check)
        if not json:
            print(_line(check, width, painted), flush=True)
    if json:
        sys.stdout.buffer.write(msgspec.json.encode(done) + b"\n")
        sys.stdout.buffer.flush()
    failed = [check.step for check in done if check.ok is False]
    if any(step in REACHING for step in failed):
        return 3
    return 1 if failed else 0


def _names(config: Config, names: Sequence[str]) -> Sequence[str]:
    return names or [host.name for host in config.hosts]


def _line(check: Check, width: int, painted: bool) -> str:
    """Host, step, verdict and message, and the way out below a failure; tab-separated in a pipe."""
    message, hint = printable(check.message), printable(check.hint)
    host, step, word = printable(check.host), printable(check.step), _WORDS[check.ok]
    if not sys.stdout.isatty():
        return "\t".join((host, step, word, message, hint)).rstrip()
    verdict = f"{word:<4}"
    if painted:
        verdict = f"\x1b[{_COLOURS[check.ok]}m{verdict}\x1b[0m"
    line = f"{host:<{width}}  {step:<12}  {verdict}  {message}".rstrip()
    return f"{line}\n{'':<{width + 22}}{hint}" if hint and check.ok is not True else line
