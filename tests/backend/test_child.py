"""Programs with a limit, with the shell as the program."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from backend import child

LONG = 60.0


async def test_what_it_said_and_how_it_ended():
    ended = await child.run(
        *("sh", "-c", 'cat; echo "$WORD" >&2; exit 3'), limit=LONG, input=b"in", more={"WORD": "out"}
    )
    assert ended == (3, b"in", b"out\n")
    unheard = await child.run("sh", "-c", "echo much", limit=LONG, heard=False)
    assert unheard == (0, b"", b"")


async def test_who_is_not_there_says_so():
    with pytest.raises(FileNotFoundError):
        await child.run("/no/such/program", limit=LONG)


@pytest.mark.parametrize("awaited", [True, False])
async def test_who_takes_too_long_ends_with_all_that_it_began(tmp_path: Path, awaited: bool):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    begun = asyncio.create_task(
        child.run(
            *("sh", "-c", f"sleep 600 >'{pipe}' & echo begun >'{pipe}'; wait"),
            limit=LONG,
            alone=True,
            awaited=awaited,
        )
    )

    def read() -> bytes | None:
        """None: somebody has it open and says nothing; empty: nobody has it open."""
        try:
            return os.read(reader, 100)
        except BlockingIOError:
            return None

    try:
        while read() != b"begun\n":
            await asyncio.sleep(0.01)
        begun.cancel()
        with pytest.raises(asyncio.CancelledError):
            await begun
        while read() != b"":
            await asyncio.sleep(0.01)
    finally:
        os.close(reader)


async def test_the_limit_is_a_timeout():
    with pytest.raises(TimeoutError):
        await child.run("sleep", "600", limit=0.05)
