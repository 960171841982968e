"""What a program switched on in the terminal, so that it can be switched off for it."""

from __future__ import annotations

import re

_SWITCH = re.compile(rb"\x1b\[\?([0-9;]{1,40})([hl])|\x1b\[([<>])[0-9;]{0,20}u")
_LONGEST = 48
_OFF = frozenset(
    {1, 5, 6, 9, 47, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1015, 1016, 1047, 1049, 2004, 2026, 2031, 2048}
)
"""Private modes that are off in a terminal at rest: cursor keys, mouse, focus, paste, other screen, ..."""
_ON = frozenset({7, 25})
"""Those that are on: wrapping, a visible cursor."""
_SCREENS = (47, 1047, 1049)
_SOFT = b"\x1b[0m\x1b(B\x0f\x1b>\x1b[4l\x1b7\x1b[r\x1b8"
"""Colours, character set, keypad, insert mode and scroll region as they are at rest."""


class Modes:
    """Follows a program's output; cheap enough for every byte of it."""

    def __init__(self) -> None:
        self._changed: set[int] = set()
        self._keyboards = 0
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Note what these bytes switch. A sequence may arrive in pieces."""
        if self._rest:
            data = self._rest + data
        for match in _SWITCH.finditer(data):
            if match[3]:
                self._keyboards = max(0, self._keyboards + (1 if match[3] == b">" else -1))
                continue
            for word in match[1].split(b";"):
                if word:
                    self._switch(int(word), on=match[2] == b"h")
        start = data.rfind(b"\x1b", -_LONGEST)
        self._rest = b"" if start < 0 or _SWITCH.match(data, start) else data[start:]

    def _switch(self, mode: int, *, on: bool) -> None:
        if (mode in _OFF and on) or (mode in _ON and not on):
            self._changed.add(mode)
        else:
            self._changed.discard(mode)

    def undo(self, *, broken: bool) -> bytes:
        """The bytes that bring the terminal back to rest; nothing where all is in order.

        `broken`: the program was cut off, maybe in the middle of a sequence or a colour.
        """
        out = [b"\x18" + _SOFT] if broken else []
        out += [b"\x1b[<u"] * min(self._keyboards, 8)
        # The other screen is left last: what is switched off belongs to it.
        for mode in sorted(self._changed, key=lambda mode: (mode in _SCREENS, mode)):
            out.append(b"\x1b[?%d%c" % (mode, b"h" if mode in _ON else b"l"))
        self._changed.clear()
        self._keyboards = 0
        self._rest = b""
        return b"".join(out)
