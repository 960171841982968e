"""A stream of bytes as lines, in bounded memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

from backend.link.api import MAX_LINE

_CHUNK = 64 * 1024
_HEAD = 256
"""What is kept in bytes of a line that is too long: enough to recognise it, useless as data."""


async def split_lines(read: Callable[[int], Awaitable[bytes]], limit: int = MAX_LINE) -> AsyncIterator[bytes]:
    """The lines of what `read(n)` gives until it gives nothing; a half line at the end counts.

    A line longer than `limit` bytes arrives as its first bytes: the reader will find it is garbage.
    """
    parts: list[bytes] = []
    held = 0
    cut = False
    while chunk := await read(_CHUNK):
        first, *rest = chunk.split(b"\n")
        if not cut:
            parts.append(first)
            held += len(first)
            if held > limit:
                parts, cut = [b"".join(parts)[:_HEAD]], True
        if not rest:
            continue
        yield b"".join(parts)
        for line in rest[:-1]:
            yield line
        parts, held, cut = [rest[-1]], len(rest[-1]), False
    if held:
        yield b"".join(parts)
