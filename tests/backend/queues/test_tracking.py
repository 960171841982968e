"""A job followed over lost links: nothing twice, nothing left out, and what may be missing is said."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from backend.errors import NoSuchTarget, Unreachable
from backend.model import JobRow
from backend.queues import tracking
from backend.queues.tracking import MISSING, Lost, track
from tests.tui.fakes import NOW

LINES = [f"line {number:05}\n".encode() for number in range(3000)]


def row(**more: Any) -> JobRow:
    values = {"host": "h", "engine": "docker", "id": "7", "name": "x", "owner": "ann", "state": "running"}
    return JobRow(**{**values, "attempt": 1, **more})


END = row(state="completed", exit_code=0, ended_at=NOW)
asked: list[int] = []
"""The attempts that links were asked to begin with."""
Link = Callable[[int], list[Any]]
"""What a link brings, by how many last lines were asked for; an exception breaks it off."""


@pytest.fixture
def links(monkeypatch: pytest.MonkeyPatch) -> list[Link]:
    """The links one after the other; without waiting between them."""
    coming: list[Link] = []
    asked.clear()

    class Queue:
        async def follow(self, job: str, *, output: bool, tail: int, first: int) -> AsyncIterator[Any]:
            asked.append(first)
            for piece in coming.pop(0)(tail):
                if isinstance(piece, Exception):
                    raise piece
                yield piece

        async def detail(self, job: str) -> None:
            raise NoSuchTarget("job 7 is gone")

    @asynccontextmanager
    async def queue_of(*_: object) -> AsyncIterator[Queue]:
        yield Queue()

    monkeypatch.setattr(tracking, "queue_of", queue_of)
    monkeypatch.setattr(tracking, "AGAIN", (0.0,))
    return coming


async def told(tail: int = 0, **how: Any) -> list[Any]:
    return [piece async for piece in track(None, None, "h", "7", tail=tail, **how)]  # type: ignore[arg-type]


def output(pieces: list[Any]) -> bytes:
    return b"".join(piece for piece in pieces if isinstance(piece, bytes))


def cut(data: bytes, random_: random.Random) -> list[bytes]:
    """The same bytes in pieces of any length."""
    pieces = []
    while data:
        size = random_.randint(1, 5000)
        pieces.append(data[:size])
        data = data[size:]
    return pieces


@pytest.mark.parametrize("tail", [0, 100])
@pytest.mark.parametrize("seed", range(10))
async def test_a_link_that_breaks_anywhere_loses_and_repeats_nothing(
    links: list[Link], tail: int, seed: int
) -> None:
    choose = random.Random(seed)
    breaks = sorted(choose.randint(150, 2900) for _ in range(3))

    def link(until: int, *, last: bool, begun: int) -> Link:
        def brings(asked: int) -> list[Any]:
            there = LINES[:until]
            first = max(0, begun - asked) if asked else 0
            data = b"".join(there[first:])
            if not last:
                data = data[: len(data) - choose.randint(0, 5)]
            return [row(), *cut(data, choose), END if last else Unreachable("gone")]

        return brings

    begun = 150
    for until in breaks:
        links.append(link(until, last=False, begun=begun))
        begun = until
    links.append(link(3000, last=True, begun=begun))
    pieces = await told(tail)
    assert output(pieces) == b"".join(LINES[150 - tail if tail else 0 :])
    assert sum(isinstance(piece, Lost) for piece in pieces) == 3
    assert MISSING not in pieces


async def test_a_log_that_was_thrown_away_meanwhile_is_said_to_miss_something(links: list[Link]) -> None:
    links.append(lambda tail: [row(), b"old 1\nold 2\n", Unreachable("gone")])
    links.append(lambda tail: [row(), b"new 1\nnew 2\n", END])
    pieces = await told(tail=10)
    assert output(pieces) == b"old 1\nold 2\nnew 1\nnew 2\n"
    assert pieces.index(MISSING) < pieces.index(b"new 1\nnew 2\n")


async def test_so_many_new_lines_that_the_place_is_not_among_them(links: list[Link]) -> None:
    links.append(lambda tail: [row(), b"seen\n", Unreachable("gone")])
    links.append(lambda tail: [row(), *[b"x\n" * 1000] * 11, END])
    pieces = await told(tail=1)
    assert output(pieces).count(b"x\n") == 11_000
    assert MISSING in pieces


async def test_the_next_attempt_begins_its_output_anew(links: list[Link]) -> None:
    links.append(lambda tail: [row(), b"first try\n", row(attempt=2), b"second", Unreachable("gone")])
    links.append(lambda tail: [row(attempt=2), b"second", b" try\n", END])
    assert output(await told(first=1)) == b"first try\nsecond try\n"
    assert asked == [1, 2]  # whichever attempts come meanwhile


async def test_attempts_that_write_to_one_file_are_one_output(links: list[Link]) -> None:
    file = {"log": "/home/ann/out"}
    links.append(lambda tail: [row(**file), b"first try\n", row(attempt=2, **file), b"sec", Unreachable("")])
    links.append(lambda tail: [row(attempt=2, **file), b"first try\nsecond", b" try\n", END])
    assert output(await told()) == b"first try\nsecond try\n"


async def test_a_host_that_never_answered_is_an_error_unless_it_is_waited_for(links: list[Link]) -> None:
    links.append(lambda tail: [Unreachable("no route")])
    with pytest.raises(Unreachable):
        await told()
    links.append(lambda tail: [Unreachable("no route")])
    links.append(lambda tail: [END])
    assert [type(piece) for piece in await told(patient=True)] == [Lost, JobRow]


async def test_a_job_that_was_removed_is_not_waited_for_for_ever(links: list[Link]) -> None:
    links.append(lambda tail: [row(), "it is gone from the queue"])
    with pytest.raises(NoSuchTarget):
        await told()
