"""Images as files of this machine: compressed while they come, whole or not there at all."""

from __future__ import annotations

import asyncio
import os
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

from backend.errors import ActionFailed

_CHUNK = 256 * 1024
_GZIP = 31
"""zlib's window bits for a gzip header."""


async def write(
    chunks: AsyncIterator[bytes], target: Path, *, compress: bool, got: Callable[[int], None]
) -> int:
    """Write a stream to a new file; its size in bytes. Raises `ActionFailed`; no half file stays.

    An existing file is never replaced. `got` hears how many bytes came so far, before compression.
    """
    if await asyncio.to_thread(target.exists):
        raise ActionFailed(f"{target} exists already.", hint="Name another file, or remove that one.")
    part = target.with_name(f".{target.name}.part-{os.getpid()}")
    packer = zlib.compressobj(6, zlib.DEFLATED, _GZIP) if compress else None
    total = 0
    try:
        with part.open("xb") as file:
            async for chunk in chunks:
                total += len(chunk)
                got(total)
                data = await asyncio.to_thread(packer.compress, chunk) if packer else chunk
                if data:
                    await asyncio.to_thread(file.write, data)
            file.write(packer.flush() if packer else b"")
            file.flush()
            await asyncio.to_thread(os.fsync, file.fileno())
        part.rename(target)
    except OSError as error:
        raise ActionFailed(
            f"{target} cannot be written: {error.strerror}.", hint="Nothing was left there."
        ) from None
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return (await asyncio.to_thread(target.stat)).st_size


async def read(source: Path) -> AsyncGenerator[bytes, None]:
    """A file in pieces, compressed as it is: engines unpack by themselves. Raises `ActionFailed`."""
    try:
        with await asyncio.to_thread(source.open, "rb") as file:
            while chunk := await asyncio.to_thread(file.read, _CHUNK):
                yield chunk
    except OSError as error:
        raise ActionFailed(f"{source} cannot be read: {error.strerror}.") from None
