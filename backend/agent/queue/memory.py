"""Memory that glibc keeps for itself, given back: a keeper lives for weeks and mostly waits."""

from __future__ import annotations

import gc
from typing import Any

_ARENA_MAX = -8
"""M_ARENA_MAX of malloc.h."""


class Memory:
    """Where the C library is not glibc, nothing happens."""

    def __init__(self) -> None:
        try:
            import ctypes

            self._libc: Any = ctypes.CDLL(None)
            self._libc.mallopt(_ARENA_MAX, 1)  # else each thread gets a pool of its own
        except (ImportError, OSError, AttributeError):
            self._libc = None

    def give_back(self) -> None:
        """Return to the system what is not in use; some milliseconds."""
        gc.collect()
        try:
            if self._libc is not None:
                self._libc.malloc_trim(0)
        except AttributeError:
            self._libc = None
