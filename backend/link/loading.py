"""Imports the part that speaks SSH, without what its library would start programs for, or never needs here.

asyncssh asks `ctypes.util.find_library` for liboqs when it is imported. Where that is not in the cache of the
dynamic linker, Python runs a C compiler and a linker for each of two names, which takes longer than all else
of the import. A library that only a compiler could find is of no use to us.

It can do without X.509 certificates, which take an eighth of its import: OpenSSH has none, and its own
certificates are something else.
"""

from __future__ import annotations

import ctypes.util
import gc
import importlib
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

_SLOW = ("_findLib_gcc", "_findLib_ld")
_UNUSED = "asyncssh.crypto.x509"
_SWITCH = 0.0005
"""Seconds that a thread which computes holds up what hosts answer: a login waits for its turn ten times."""
_turn = threading.Lock()


def connect() -> ModuleType:
    """`backend.link.connect`, imported."""
    sys.setswitchinterval(min(_SWITCH, sys.getswitchinterval()))
    with _turn, _no_compiler(), _no_garbage():
        _library()
        return importlib.import_module("backend.link.connect")


def _library() -> None:
    """Import asyncssh without X.509; with it where a version of asyncssh cannot do without."""
    if "asyncssh" in sys.modules:
        return
    try:
        with _no_certificates():
            importlib.import_module("asyncssh")
    except ImportError:
        for name in [each for each in sys.modules if each.startswith("asyncssh.")]:
            del sys.modules[name]  # half of them would go without it
        importlib.import_module("asyncssh")


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


@contextmanager
def _no_certificates() -> Iterator[None]:
    """Python takes a module that is None for one that cannot be imported, and asyncssh goes without it."""
    if _UNUSED in sys.modules:
        yield
        return
    sys.modules[_UNUSED] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[_UNUSED]


@contextmanager
def _no_garbage() -> Iterator[None]:
    """What is loaded is none, now or later: looking for it would only take time."""
    if "asyncssh" in sys.modules:
        yield
        return
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        if was_on:
            gc.enable()
