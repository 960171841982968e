"""A host's queue, asked by a program: what is free, and what was submitted when no answer came."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from backend.access import StandaloneAccess
from backend.config import load
from backend.errors import Unreachable
from backend.queues.asking import Asked
from backend.queues.base import Submission
from backend.queues.channel import Channel
from backend.queues.docker import DockerQueue
from backend.queues.submitting import submit
from tests.lab import HostSpec, Lab
from tests.lab.trying import running

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]


async def test_gpus_that_others_asked_for_are_not_free_and_a_lost_answer_makes_no_second_job(
    new_lab: Callable[..., Lab], monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = new_lab(HostSpec("h1", gpus="nvidia:8"))
    config = load(lab.config_dir)
    job = Submission(command=("true",), image="busybox:latest", gpus=8)
    async with StandaloneAccess(config) as access:
        queue = DockerQueue(config.host("h1"), access)
        await queue.submit([replace(job, hold=True)])
        before = await queue.status()
        assert (before.gpus_free, before.gpus_total) == (8, 8)
        assert (await queue.estimate(job)).start == 0.0

        with running(lab.host("h1"), "--gpus", "device=1", "sleep 300"):
            assert (await queue.status()).gpus_free == 7
            assert (await queue.estimate(job)).start != 0.0
        await queue.close()

        real, lost = Channel.ask, []

        async def ask(self: Channel, verb: str, body: Any, **how: Any) -> Any:
            """The first submit is done, and the connection is gone before its answer is here."""
            answer = await real(self, verb, body, **how)
            if verb == "submit" and not lost:
                lost.append(answer["ids"])
                await (await access.link("h1")).close()
                raise Unreachable("h1: the connection is lost.")
            return answer

        monkeypatch.setattr(Channel, "ask", ask)
        said: list[str] = []
        asked = Asked(command=("true",), image="busybox:latest", hold=True, name="once")
        done = await submit(config, access, asked, host="h1", folder=None, say=said.append)
        assert said[-1] == "h1: the connection is lost. Asking once more whether it is queued."
        assert [int(number) for number in done.ids] == lost[0]
        named = [row.id for row in await queue.jobs("all") if row.name == "once"]
        assert named == list(done.ids)

        # Who leaves before the answer leaves no job, also where the link is lost meanwhile.
        asking, away = asyncio.Event(), False

        async def slow(self: Channel, verb: str, body: Any, **how: Any) -> Any:
            answer = await real(self, verb, body, **how)
            if verb == "submit":
                asking.set()
                while not any("to take it back" in line for line in said):
                    await asyncio.sleep(0.01)
                if away:
                    await (await access.link("h1")).close()
                    raise Unreachable("h1: the connection is lost.")
            return answer

        monkeypatch.setattr(Channel, "ask", slow)
        for away in (False, True):
            said.clear()
            asking.clear()
            asked = Asked(command=("true",), image="busybox:latest", hold=True, name=f"left-{away}")
            task = asyncio.create_task(submit(config, access, asked, host="h1", folder=None, say=said.append))
            await asyncio.wait_for(asking.wait(), 60)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert "cancelled before it started" in said[-1], said
            left = [row.state for row in await queue.jobs("all") if row.name == f"left-{away}"]
            assert left == ["cancelled"]
            await queue.close()
