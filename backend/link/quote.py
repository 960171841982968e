"""An argument list as one line for a login shell, whichever that is."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

_DISPUTED = frozenset("\\!\n\r")
"""Inside single quotes these mean themselves to sh, bash, zsh and ksh, but not to fish (backslash) or csh."""


def command_line(argv: Sequence[str]) -> str:
    """The line that makes any login shell run `argv`, each argument as it is."""
    plain = shlex.join(argv)
    if _DISPUTED.isdisjoint(plain):
        return plain
    octal = "".join(f"\\{byte:03o}" for byte in f"exec {plain}".encode("utf-8", "surrogateescape"))
    return f"""sh -c 'eval "$(printf "{octal}")"'"""
