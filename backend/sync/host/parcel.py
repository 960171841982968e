"""The slower way, where there is no rsync: whole files in a tar, unpacked so that nobody sees half of one."""

from __future__ import annotations

import os
from typing import IO, TYPE_CHECKING

from backend.sync.host.change import move
from backend.sync.host.walk import decoded, encoded

if TYPE_CHECKING:
    import tarfile
    from collections.abc import Callable

_PIECE = 1 << 18


def pack(base: bytes, paths: list[bytes], target: IO[bytes], follow: bool) -> None:
    """Write these files below `base` as a tar."""
    import tarfile  # here and below: seldom needed, and slow to load

    with tarfile.open(fileobj=target, mode="w|", format=tarfile.PAX_FORMAT, dereference=follow) as archive:
        for path in paths:
            try:
                archive.add(decoded(os.path.join(base, path)), decoded(path), recursive=False)
            except FileNotFoundError:
                continue  # gone meanwhile


def unpack(base: bytes, kept: bytes, source: IO[bytes], mode: int, told: Callable[[int], None]) -> None:
    """Put what a tar holds below `base`; what is replaced goes to `kept`, where that is said.

    Every file is whole before it gets its name. `told` is given how many bytes have come.
    """
    import tarfile

    done = 0
    with tarfile.open(fileobj=source, mode="r|") as archive:
        for member in archive:
            name = encoded(member.name)
            if name.startswith(b"/") or b".." in name.split(b"/"):
                raise ValueError(f"a name that leads out: {member.name!r}")
            full = os.path.join(base, name)
            if member.isdir():
                os.makedirs(full, exist_ok=True)
                continue
            os.makedirs(os.path.dirname(full), exist_ok=True)
            temporary = os.path.join(
                os.path.dirname(full), b".%s.%06d" % (os.path.basename(full)[:200], os.getpid() % 1000000)
            )
            try:
                if member.issym():
                    os.symlink(encoded(member.linkname), temporary)
                else:
                    done += _file(archive, member, temporary, mode)
                if kept and os.path.lexists(full):
                    move(full, os.path.join(kept, name))
                os.replace(temporary, full)
            except BaseException:
                _unlink(temporary)
                raise
            told(done)


def _file(archive: tarfile.TarFile, member: tarfile.TarInfo, temporary: bytes, mode: int) -> int:
    content = archive.extractfile(member)
    if content is None:
        raise ValueError(f"{member.name!r} is no file")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        while True:
            piece = content.read(_PIECE)
            if not piece:
                break
            file.write(piece)
        umask = os.umask(0)
        os.umask(umask)
        os.fchmod(file.fileno(), (member.mode & 0o777 & ~umask) if mode < 0 else mode & 0o666)
    os.utime(temporary, ns=(int(member.mtime * 1e9), _nanoseconds(member)))
    return member.size


def _nanoseconds(member: tarfile.TarInfo) -> int:
    """Its time, from the text of the header where there is one: a float would lose the end of it."""
    whole, _, rest = str(member.pax_headers.get("mtime", member.mtime)).partition(".")
    return int(whole) * 1_000_000_000 + int((rest + "000000000")[:9])


def _unlink(path: bytes) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass
