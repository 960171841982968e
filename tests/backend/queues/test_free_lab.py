"""What is free counts what others have, also for who only asks: the status, and `--host any`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from backend.access import StandaloneAccess
from backend.config import load
from backend.queues.base import Submission
from backend.queues.docker import DockerQueue
from tests.lab import HostSpec, Lab
from tests.lab.trying import running

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]


async def test_gpus_that_another_container_asked_for_are_not_free(new_lab: Callable[..., Lab]) -> None:
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
