"""Processes of containers are told from others by an id: what is no full one must never match."""

from __future__ import annotations

import subprocess
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from backend import link, processes
from backend.config import HostConfig
from backend.errors import ActionFailed
from backend.link import Link

Call = Callable[[Link, str, int], Awaitable[Any]]

CALLS: list[Call] = [
    lambda here, container, pid: processes.send_signal(here, None, container, pid, "KILL"),  # type: ignore[arg-type]
    lambda here, container, pid: processes.end_group(here, None, container, pid),  # type: ignore[arg-type]
    lambda here, container, pid: processes.kill_members(here, container, [pid]),
    lambda here, container, pid: processes.members(here, container),
]


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is in no container."""
    child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    yield child
    child.kill()
    child.wait()


@pytest.mark.parametrize("container", ["", "/", "a", "a" * 12, "*" * 64, "A" * 64, "a" * 64 + "\n"])
@pytest.mark.parametrize("call", CALLS)
async def test_what_is_no_full_id_is_refused(
    bystander: subprocess.Popen[bytes], call: Call, container: str
) -> None:
    here = await link.open(HostConfig(name="local", host="local", local=True))
    with pytest.raises(ActionFailed, match="no full id"):
        await call(here, container, bystander.pid)
    assert bystander.poll() is None


async def test_somebody_elses_process_is_left_alone(bystander: subprocess.Popen[bytes]) -> None:
    here = await link.open(HostConfig(name="local", host="local", local=True))
    await processes.kill_members(here, "a" * 64, [bystander.pid])
    assert bystander.poll() is None
    assert await processes.members(here, "a" * 64) == {}
