"""Runs on a host, sent there as text by `backend.shipping`: standard library only, and so plain that even a
Python too old for the agent can say so.

It keeps the agent in `~/.cache/berth/agent-<hash>.pyz`, compiled. Where the home is read-only, full or
absent, each start costs the transfer and the compiling: the agent then runs from memory, or from a temporary
file that is gone at its end.
"""

import json
import os
import sys
import time
import zlib

DAY = 86400.0
_DIGITS = 8
"""Of the checksum at the end of what is kept."""
_NEVER_STALE = (1).to_bytes(4, "little")
"""Flags of a compiled module: known by a hash that is not looked at, as nobody changes its source."""


def read_exactly(size: int) -> bytes:
    """That many bytes of standard input, unbuffered: what follows belongs to the agent."""
    parts = []
    while size:
        part = os.read(0, min(size, 1 << 16))
        if not part:
            sys.exit("berth went away while it sent the agent")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def say(word: str) -> None:
    """One answer to berth."""
    os.write(1, json.dumps({"berth": word}).encode() + b"\n")


def compiled(data: bytes, crc: int) -> bytes:
    """The agent with what this Python makes of its sources, and a checksum at the end.

    Compiling takes most of a start, and a zip file keeps nothing of it. The sources stay: another Python
    that has the same home reads those.
    """
    import importlib.util
    import io
    import marshal
    import zipfile

    buffer = io.BytesIO(data)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive:
        for source in list(archive.infolist()):
            text = archive.read(source)
            try:
                code = compile(text, source.filename, "exec", dont_inherit=True)
            except (SyntaxError, ValueError):
                continue  # whoever imports it is told
            entry = zipfile.ZipInfo(source.filename + "c", source.date_time)
            entry.compress_type = zipfile.ZIP_DEFLATED
            head = importlib.util.MAGIC_NUMBER + _NEVER_STALE + importlib.util.source_hash(text)
            archive.writestr(entry, head + marshal.dumps(code))
        archive.comment = b"-" * _DIGITS
    whole = buffer.getvalue()[:-_DIGITS]
    return whole + b"%08x" % zlib.crc32(whole, crc)


def intact(path: str, crc: int) -> bool:
    """Whether the file is the whole of this agent, and ours."""
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_uid != os.getuid():
                return False
            data = file.read()
        if data[-_DIGITS:] != b"%08x" % zlib.crc32(data[:-_DIGITS], crc):
            return False
        os.utime(path)  # in use: not old
    except OSError:
        return False
    return True


def keep(folder: str, path: str, data: bytes) -> bool:
    """Write the agent so that nobody ever sees half of it; whether that worked."""
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        if os.stat(folder).st_uid != os.getuid():
            return False
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            os.replace(temporary, path)
        except OSError:
            os.unlink(temporary)
            raise
    except OSError:
        return False
    return True


def prune(folder: str, path: str) -> None:
    """Remove older agents that nobody used for a day, but for the newest of them."""
    others = []
    try:
        for name in os.listdir(folder):
            other = os.path.join(folder, name)
            if name.startswith("agent-") and other != path:
                others.append((os.stat(other).st_mtime, other))
        for used, other in sorted(others, reverse=True)[1:]:
            if used < time.time() - DAY:
                os.unlink(other)
    except OSError:
        pass  # somebody else prunes at the same time


def in_memory(data: bytes) -> "tuple[str, bool]":
    """A path to the agent that is on no disk, or on one only until we end; whether we may become it."""
    if hasattr(os, "memfd_create") and os.path.isdir("/proc/self/fd"):
        descriptor = os.memfd_create("berth-agent", 0)  # not close-on-exec
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            file.write(data)
        return f"/proc/self/fd/{descriptor}", True
    import atexit
    import shutil
    import tempfile

    folder = tempfile.mkdtemp(prefix="berth-")
    atexit.register(shutil.rmtree, folder, True)
    path = os.path.join(folder, "agent.pyz")
    with open(path, "wb") as file:
        file.write(data)
    return path, False


def fetch(name: str, size: int, crc: int) -> "tuple[str, bool]":
    """The agent's path, after fetching it if need be; whether we may become it."""
    cache = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(cache):
        cache = os.path.join(os.path.expanduser("~"), ".cache")
    folder = os.path.join(cache, "berth")
    path = os.path.join(folder, f"agent-{name}.pyz")
    if intact(path, crc):
        return path, True
    say("send")
    data = read_exactly(size)
    made = compiled(data, crc)
    if not keep(folder, path, made):
        return in_memory(made)
    prune(folder, path)
    return path, True


def main() -> None:
    """Fetch the agent if need be, and become it."""
    with open(0, "rb", 0, closefd=False) as stdin:
        header = json.loads(stdin.readline())
    if sys.version_info < (3, 8):  # noqa: UP036  # this runs on the host's Python, not on ours
        sys.stderr.write("python3: not found in a version that is new enough\n")
        sys.exit(127)
    path, replaceable = fetch(header["name"], header["size"], header["crc"])
    sys.argv = [path, *header["args"]]
    say("run")
    if sys.executable and replaceable:
        os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606  # ps shows what runs, and no more
    import runpy

    runpy.run_path(path, run_name="__main__")


if __name__ == "__main__":
    main()
