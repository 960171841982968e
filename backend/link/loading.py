"""Imports the part that speaks SSH, without what its library would start programs for.

asyncssh asks `ctypes.util.find_library` for liboqs when it is imported. Where that is not in the cache of the
dynamic linker, Python runs a C compiler and a linker for each of two names, which takes longer than all else
of the import. A library that only a compiler could find is of no use to us.
"""

from __future__ import annotations

import ctypes.util
import importlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

_SLOW = ("_findLib_gcc", "_findLib_ld")
_turn = threading.Lock()


def connect() -> ModuleType:
    """`backend.link.connect`, imported."""
    with _turn, _no_compiler():
        return importlib.import_module("backend.link.connect")


@contextmanager
def _no_compiler() -> Iterator[None]:
    before = {name: getattr(ctypes.util, name) for name in _SLOW if hasattr(ctypes.util, name)}
    try:
        for name in before:
            setattr(ctypes.util, name, lambda library: None)
        yield
    finally:
        for name, function in before.items():
            setattr(ctypes.util, name, function)
