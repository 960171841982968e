"""Getting at pynvml without paying for it twice.

pynvml is a third of a megabyte of Python. Imported from the zipapp it would be compiled each time, which
leaves 20 MB of heap behind for good; so a forked child compiles it and hands the bytecode over. On a machine
without libnvidia-ml nothing of this happens.
"""

from __future__ import annotations

import ctypes
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
        archive = getattr(globals().get("__loader__"), "archive", None)
        return _from_zip(archive) if archive else __import__("pynvml")
    except ImportError:
        return None


def _from_zip(archive: str) -> Any:
    import zipimport

    try:
        source = zipimport.zipimporter(archive).get_source("pynvml")
    except zipimport.ZipImportError:
        return None
    bytecode = _in_child(source or "")
    if not bytecode:
        return __import__("pynvml")
    module = types.ModuleType("pynvml")
    module.__file__ = os.path.join(archive, "pynvml.py")
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
