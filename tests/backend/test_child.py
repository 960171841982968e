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


async def test_who_leaves_while_it_starts_leaves_nothing(monkeypatch):
    started: list[asyncio.subprocess.Process] = []
    start = asyncio.create_subprocess_exec

    async def slow(*argv, **more) -> asyncio.subprocess.Process:
        started.append(await start(*argv, **more))
        await asyncio.sleep(0.05)  # asyncio connects its pipes: the program runs meanwhile
        return started[0]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", slow)
    begun = asyncio.create_task(child.run("sh", "-c", "sleep 600 & wait", limit=LONG, alone=True))
    while not started:
        await asyncio.sleep(0.001)
    begun.cancel()
    with pytest.raises(asyncio.CancelledError):
        await begun
    with pytest.raises(ProcessLookupError):
        while True:  # zombies of the group are reaped by whoever has them now
            os.killpg(started[0].pid, 0)
            await asyncio.sleep(0.01)


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
