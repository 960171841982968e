"""What a command says: lines in bounded memory."""

from __future__ import annotations

import codecs
import hashlib
from collections import deque

LONGEST = 64 * 1024
"""Characters after which a line is cut even if it does not end."""


class Output:
    """The lines of one host, the last ones where there are too many; and what tells two outputs apart."""

    def __init__(self, keep: int) -> None:
        """`keep`: characters that are kept, together with a few for each line."""
        self._keep = keep
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._digest = hashlib.blake2b(digest_size=16)
        self._held = 0
        self.lines: deque[str] = deque()
        self.rest = ""
        """The line that has not ended yet."""
        self.dropped = 0
        """Lines that are not kept any more."""

    def feed(self, data: bytes, *, last: bool = False) -> list[str]:
        """The lines that ended with this piece; with the `last` one also what has no newline."""
        self._digest.update(data)
        *whole, self.rest = (self.rest + self._decoder.decode(data, last)).split("\n")
        while len(self.rest) > LONGEST:
            whole.append(self.rest[:LONGEST])
            self.rest = self.rest[LONGEST:]
        if last and self.rest:
            whole.append(self.rest)
            self.rest = ""
        lines = [_shown(line) for line in whole]
        for line in lines:
            self.lines.append(line)
            self._held += len(line) + 1
        while self._held > self._keep and self.lines:
            self._held -= len(self.lines.popleft()) + 1
            self.dropped += 1
        return lines

    @property
    def fingerprint(self) -> bytes:
        """The same for the same output, also for what is not kept."""
        return self._digest.digest()


def _shown(line: str) -> str:
    """What a terminal would be left with: a progress bar writes over itself."""
    line = line.removesuffix("\r")
    return line.rpartition("\r")[2] if "\r" in line else line
