"""Processes that outlive whoever started them, and hold on to the program they were started from.

The agent is one file, which a newer berth replaces and later removes. Its keeper may run for weeks: it keeps
the file open and reads what it still needs from it, whatever happens to the name.
"""

from __future__ import annotations

import os
import signal
import sys
import zipimport
from typing import Iterable, List

_CLOSE_TO = 65536
_START = (
    "import sys; sys.path.insert(0, sys.argv[1]); from {package} import {module}; {module}.main(sys.argv[2:])"
)

_archive = -1


def detach() -> bool:
    """Leave the session and the parent: True in the process that goes on, False in the one that was there.

    Nothing of the child's work may return to the callers of this function: they are the parent's.
    """
    first = os.fork()
    if first:
        os.waitpid(first, 0)
        return False
    try:
        os.setsid()
        if os.fork():
            os._exit(0)
    except BaseException:
        os._exit(1)
    return True


def settle(name: str, keep: Iterable[int]) -> None:
    """Become a quiet process of that name: no terminal, no folder, no descriptors but those in `keep`."""
    global _archive  # noqa: PLW0603 - one program, one file
    os.chdir("/")
    os.umask(0o007)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    if _archive < 0:
        _archive = _hold_archive()
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    kept = sorted({*keep, 0, 1, 2, _archive})
    for low, high in zip(kept, [*kept[1:], _CLOSE_TO]):
        if low >= 0:
            os.closerange(low + 1, high)
    rename(name)


def rename(name: str) -> None:
    """What `ps -o comm` and `top` call it."""
    try:
        with open("/proc/self/comm", "w") as file:
            file.write(name)
    except OSError:
        pass


def program(module: str) -> List[str]:
    """The words that start `main` of a module beside this one in a new interpreter; arguments follow."""
    start = _START.format(package=__package__, module=module)
    if _archive >= 0:
        os.set_inheritable(_archive, True)
        return [_python(), "-I", "-S", "-c", start, f"/proc/self/fd/{_archive}"]
    source = _source()
    # in a zip nothing outside is needed; a package on disk may have pynvml beside it
    flags = ["-I", "-S"] if os.path.isfile(source) else ["-I"]
    return [_python(), *flags, "-c", start, source]


def _python() -> str:
    return sys.executable or "/usr/bin/python3"


def _source() -> str:
    """The zip file, or the folder, that the outermost package of this module is in."""
    path = os.path.abspath(__file__)
    for _ in range((__package__ or "").count(".") + 2):
        path = os.path.dirname(path)
    return path


def _hold_archive() -> int:
    """Open the zip file that we were imported from, and read further modules through that; -1 without one."""
    source = _source()
    if not os.path.isfile(source) or not os.path.isdir("/proc/self/fd"):
        return -1
    descriptor = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    held = f"/proc/self/fd/{descriptor}"
    loaders = [getattr(module, "__loader__", None) for module in list(sys.modules.values())]
    for loader in [*loaders, *sys.path_importer_cache.values()]:
        if isinstance(loader, zipimport.zipimporter) and loader.archive == source:
            loader.archive = held
    return descriptor
