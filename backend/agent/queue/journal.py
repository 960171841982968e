"""What the keeper has to say to whoever looks for a fault: a small file beside the database."""

from __future__ import annotations

import os
import time
from typing import Dict

from .place import Place

NAME = "keeper.log"
_LIMIT = 256 * 1024
_SAME = 60.0
"""Seconds in which the same fault is written once."""


class Journal:
    """Never fails, and never grows past twice its limit: the older half is `keeper.log.1`."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._said: Dict[str, float] = {}

    def fault(self, where: str, error: BaseException) -> None:
        """Something went wrong and the rest goes on."""
        place, at = error.__traceback__, ""
        while place is not None:
            file = place.tb_frame.f_code.co_filename
            at, place = f" ({os.path.basename(file)}:{place.tb_lineno})", place.tb_next
        text = f"{where}: {type(error).__name__}: {error}{at}"
        now = time.monotonic()
        if now - self._said.get(text, -_SAME) >= _SAME:
            if len(self._said) > 256:
                self._said.clear()
            self._said[text] = now
            self.write(text)

    def write(self, text: str) -> None:
        """Add a line."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        line = f"{stamp} {os.getpid()} {' '.join(text.split())[:1000]}\n"
        try:
            descriptor = self._place.open(NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            try:
                os.write(descriptor, line.encode("utf-8", "replace"))
                full = os.fstat(descriptor).st_size > _LIMIT
            finally:
                os.close(descriptor)
            if full:
                self._place.rename(NAME, f"{NAME}.1")
        except Exception:
            pass  # a full disk must not end the keeper
