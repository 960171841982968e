"""Copying through the terminal (OSC 52): works over SSH, and through tmux."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping

LIMIT = 74_000
"""Bytes that terminals take at most: many drop a sequence of more than 100,000 characters."""


def osc52(text: str, environment: Mapping[str, str]) -> str:
    """What to write to the terminal so that `text` is on the clipboard of whoever sits before it.

    Inside tmux it is sent twice: plain, which tmux takes with `set-clipboard on`, and wrapped, which it hands
    on to the terminal around it with `allow-passthrough on`.
    """
    data = text.encode()[:LIMIT].decode(errors="ignore").encode()
    sequence = f"\x1b]52;c;{b64encode(data).decode()}\a"
    if environment.get("TMUX"):
        return sequence + "\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\"
    return sequence
