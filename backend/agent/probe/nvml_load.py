"""Getting at pynvml without paying for it twice.

pynvml is a third of a megabyte of Python. Imported from the zipapp, or from a folder that holds no bytecode
of it yet, it would be compiled here, which leaves 14 MB of heap behind for good; so a forked child does it
and hands the bytecode over. On a machine without libnvidia-ml nothing of this happens.
"""

from __future__ import annotations

import ctypes
import importlib.util
import marshal
import os
import sys
import types
from typing import Any

_LIBRARY = "libnvidia-ml.so.1"


def load() -> Any:
    """The pynvml module; None where NVIDIA's library or pynvml is missing."""
    if "pynvml" in sys.modules:
        return sys.modules["pynvml"]
    try:
        ctypes.CDLL(_LIBRARY)
    except OSError:
        return None
    try:
        found = _uncompiled()
        return _from_source(*found) if found else __import__("pynvml")
    except ImportError:
        return None


def _uncompiled() -> tuple[str, str] | None:
    """The file of pynvml and its source; None where its bytecode lies beside it."""
    spec = importlib.util.find_spec("pynvml")
    if spec is None or spec.origin is None or not hasattr(spec.loader, "get_source"):
        return None
    if spec.origin.endswith(".pyc"):
        return None  # in the zip file
    try:
        if os.path.exists(importlib.util.cache_from_source(spec.origin)):
            return None
    except NotImplementedError:
        pass
    source = getattr(spec.loader, "get_source")("pynvml")  # noqa: B009 - a loader need not have it
    return (spec.origin, source) if source else None


def _from_source(file: str, source: str) -> Any:
    bytecode = _in_child(source)
    if not bytecode:
        return __import__("pynvml")
    module = types.ModuleType("pynvml")
    module.__file__ = file
    sys.modules["pynvml"] = module  # before it runs: it looks itself up there
    try:
        exec(marshal.loads(bytecode), module.__dict__)  # noqa: S102, S302 - compiled by our own child
    except BaseException:
        del sys.modules["pynvml"]
        raise
    return module


def _in_child(source: str) -> bytes:
    """The marshalled code object of pynvml, compiled without docstrings; empty if that failed."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(read)  # or a parent that is gone would leave this child writing for ever
            data = marshal.dumps(compile(source, "pynvml.py", "exec", dont_inherit=True, optimize=2))
            while data:
                data = data[os.write(write, data) :]
        finally:
            os._exit(0)
    os.close(write)
    parts = []
    try:
        while True:
            part = os.read(read, 1 << 16)
            if not part:
                break
            parts.append(part)
    finally:
        os.close(read)
        os.waitpid(pid, 0)
    return b"".join(parts)
