"""This machine as a link, and lines in bounded memory."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend import link
from backend.config import HostConfig
from backend.errors import ActionFailed, Unreachable
from backend.link.lines import split_lines

HERE = HostConfig(name="local", host="local", local=True)


async def test_commands_and_processes() -> None:
    here = await link.open(HERE)
    done = await here.run(["sh", "-c", "cat; echo no >&2; exit 3"], input=b"in", timeout=10)
    assert done == (3, b"in", b"no\n")
    assert (await here.run(["no-such-program"], timeout=10)).returncode == 127
    with pytest.raises(ActionFailed, match="no-such-program"):
        await here.start(["no-such-program"])
    process = await here.start(["cat"])
    await process.write(b"one\ntwo\n")
    lines = aiter(process)
    assert [await anext(lines), await anext(lines)] == [b"one", b"two"]
    process.write_eof()
    assert await process.wait() == 0
    with pytest.raises(Unreachable):
        await process.write(b"x")
    assert await here.forward_socket("/run/x.sock") == "/run/x.sock"
    await here.close()
    assert await here.closed is None


async def test_closing_ends_even_what_does_not_want_to() -> None:
    here = await link.open(HERE)
    process = await here.start(["sh", "-c", "trap '' TERM; echo $$; while :; do sleep 0.1; done"])
    pid = int(await anext(aiter(process)))
    with pytest.raises(TimeoutError):
        await here.run(["sleep", "1000"], timeout=0.05)
    await here.close()
    assert not Path(f"/proc/{pid}").exists()
    with pytest.raises(Unreachable):
        await here.start(["cat"])


@given(st.lists(st.binary(max_size=40), max_size=12))
def test_lines_are_the_same_however_they_arrive(chunks: list[bytes]) -> None:
    whole = b"".join(chunks)
    expected = whole.split(b"\n")
    if not expected[-1]:
        expected.pop()
    parts = iter([chunk for chunk in chunks if chunk])

    async def read(_: int) -> bytes:
        return next(parts, b"")

    async def collect() -> list[bytes]:
        return [line async for line in split_lines(read)]

    assert asyncio.run(collect()) == expected


async def test_a_line_without_end_does_not_fill_the_memory() -> None:
    chunks = iter([b"x" * 1000] * 1000 + [b"\nshort\n" + b"y" * 5000, b"z\nlast"])

    async def read(_: int) -> bytes:
        return next(chunks, b"")

    lines = [line async for line in split_lines(read, limit=10_000)]
    assert [len(lines[0]) < 1000, *lines[1:]] == [True, b"short", b"y" * 5000 + b"z", b"last"]
