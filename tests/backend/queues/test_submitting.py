"""A submit whose answer was lost: asked for once more, by its key, and never made twice."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backend.errors import NoSuchTarget, UsageError
from backend.projects import Defaults, Project
from backend.queues import once, submitting
from backend.queues.asking import Asked
from backend.queues.base import Unanswered
from backend.queues.submitting import Submitted, submit

LOST = Unanswered("h: the connection is lost.")


class Queue:
    """Knows keys, and loses as many answers as it is told."""

    host = "h"

    def __init__(self, lost: int, *, error: BaseException = LOST, there: bool = True) -> None:
        self.lost, self.error, self.there = lost, error, there
        self.jobs: dict[str, list[str]] = {}
        self.asked: list[tuple[str, bool]] = []
        self.ended: list[str] = []
        self.away = False

    async def submit(self, jobs: list[Any], *, key: str, again: bool) -> list[str]:
        self.asked.append((key, again))
        if self.there and key not in self.jobs:
            first = sum(map(len, self.jobs.values())) + 1
            self.jobs[key] = [str(first + at) for at in range(len(jobs))]
        if len(self.asked) <= self.lost:
            raise self.error
        return self.jobs[key]

    async def submitted(self, key: str) -> list[str]:
        if self.away:
            raise LOST
        return self.jobs.get(key, [])

    async def cancel(self, ids: list[str]) -> list[str]:
        self.ended += ids
        return [f"ended {number}" for number in ids]


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("train.sh", True),
        ("sub/eval.py", True),
        ("eval.py", False),
        ("output/made_by_a_job.sh", True),
        ("data/x.sh", True),
        ("/opt/tool.sh", True),
        ("nvidia-smi", True),
        ("tran.sh", False),
    ],
)
def test_a_slip_in_a_scripts_name_is_told_before_anything_is_built(
    command: str, found: bool, tmp_path: Path
) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("train.sh", "sub/eval.py"):
        (tmp_path / name).touch()
    project = Project(tmp_path, "p", "rp", "p", Defaults(), paths=("/mnt/data",))
    if found:
        submitting._check_script(project, (command, "x"))
    else:
        with pytest.raises(NoSuchTarget, match=f"no script {command}"):
            submitting._check_script(project, (command,))


async def ask(monkeypatch: pytest.MonkeyPatch, queue: Queue, said: list[str], **how: Any) -> Submitted:
    @asynccontextmanager
    async def queue_of(*_: object) -> AsyncIterator[Queue]:
        yield queue

    async def choose(*_: object) -> tuple[str, list[str]]:
        return "h", []

    monkeypatch.setattr(submitting, "queue_of", queue_of)
    monkeypatch.setattr(once, "_AGAIN", 0.0)
    monkeypatch.setattr(submitting.placement, "choose", choose)
    host = SimpleNamespace(read_only=False, queue="auto", engine="auto")
    config: Any = SimpleNamespace(settings=SimpleNamespace(read_only=False), host=lambda name: host)
    asked = Asked(command=("true",), image="x", sweep=("n=1,2",))
    access: Any = None
    where = how.pop("host", "h")
    return await submit(config, access, asked, host=where, folder=Path("/"), say=said.append, **how)


async def test_an_answer_that_was_lost_is_asked_for_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    queue, said = Queue(lost=1), list[str]()
    done = await ask(monkeypatch, queue, said)
    assert (done.ids, queue.jobs) == (("1", "2"), {queue.asked[0][0]: ["1", "2"]})
    (first, fresh), (second, again) = queue.asked
    assert first == second and (fresh, again) == (False, True)
    assert said == ["h: the connection is lost. Asking once more whether it is queued."]


async def test_where_no_answer_comes_it_is_said_how_to_ask_without_making_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    queue = Queue(lost=2)
    with pytest.raises(Unanswered, match="Whether the jobs are queued on h is not known") as caught:
        await ask(monkeypatch, queue, [])
    key = re.search(r"--host h --key (\w+)$", caught.value.hint)
    assert key is not None and len(queue.asked) == 2
    done = await ask(monkeypatch, queue, [], key=key[1])
    assert done.ids == ("1", "2") and len(queue.jobs) == 1
    assert queue.asked[-1] == (key[1], True)


async def test_what_was_refused_is_not_asked_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue(lost=1, error=UsageError("no."), there=False)
    with pytest.raises(UsageError):
        await ask(monkeypatch, queue, [])
    assert len(queue.asked) == 1


async def test_who_leaves_before_the_answer_leaves_no_job_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    queue, said = Queue(lost=1, error=asyncio.CancelledError()), list[str]()
    with pytest.raises(asyncio.CancelledError):
        await ask(monkeypatch, queue, said)
    assert queue.ended == ["1", "2"] and said[-2:] == ["ended 1", "ended 2"]

    queue = Queue(lost=1, error=asyncio.CancelledError(), there=False)
    with pytest.raises(asyncio.CancelledError):
        await ask(monkeypatch, queue, said)
    assert queue.ended == [] and said[-1] == "nothing is queued"


async def test_what_an_older_key_made_is_left_alone_by_who_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    queue, said = Queue(lost=1, error=asyncio.CancelledError()), list[str]()
    with pytest.raises(asyncio.CancelledError):
        await ask(monkeypatch, queue, said, key="mine")
    assert queue.ended == [] and said[-1] == "queued by that key, and left alone: h/1, h/2"


async def test_who_leaves_a_host_that_is_lost_is_told_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    queue, said = Queue(lost=1, error=asyncio.CancelledError()), list[str]()
    queue.away = True
    with pytest.raises(asyncio.CancelledError):
        await ask(monkeypatch, queue, said)
    assert said[-1].endswith(f"--host h --key {queue.asked[0][0]}")


async def test_who_leaves_while_it_is_taken_back_is_told_the_key_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second Ctrl+C ends all tasks, as `asyncio.run` does it; a second cancel alone ends nothing."""
    looking = asyncio.Event()

    class Slow(Queue):
        async def submitted(self, key: str) -> list[str]:
            looking.set()
            await asyncio.Event().wait()
            raise AssertionError

    queue, said = Slow(lost=1, error=asyncio.CancelledError()), list[str]()
    others = asyncio.all_tasks()
    asks = asyncio.create_task(ask(monkeypatch, queue, said))
    await asyncio.wait_for(looking.wait(), 60)
    assert said == ["it may be queued already: asking, to take it back, which may take a minute"]
    asks.cancel()
    for _ in range(10):
        await asyncio.sleep(0)
    assert not asks.done()
    for task in asyncio.all_tasks() - others:
        task.cancel()
    with pytest.raises(asyncio.CancelledError) as left:
        await asks
    assert said[-1].endswith(f"--host h --key {queue.asked[0][0]}")
    assert isinstance(left.value.__cause__, Unanswered)


async def test_a_key_is_of_one_host(monkeypatch: pytest.MonkeyPatch) -> None:
    for where in ("any", "tag:big"):
        with pytest.raises(UsageError, match="exclude each other"):
            await ask(monkeypatch, Queue(lost=0), [], host=where, key="k")


async def test_each_submit_has_a_key_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue(lost=0)
    await ask(monkeypatch, queue, [])
    await ask(monkeypatch, queue, [])
    assert len(queue.jobs) == 2
