"""What the verbs about builds refuse, without a host to ask."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from backend.actions import building
from backend.building import records
from backend.building.model import Build, BuildState
from backend.building.records import Record
from backend.config import Config
from backend.config.schema import HostConfig
from backend.errors import NoSuchTarget, Refused, Unreachable, UsageError


class Context:
    """As much of a context as these verbs use before they ask a host."""

    def __init__(self, *hosts: HostConfig) -> None:
        self.access = None
        self.config = Config(directory=Path("/nowhere"), hosts=hosts)
        self.said: list[str] = []

    async def link(self, host: str) -> Any:
        raise Unreachable(f"{host} was asked")

    def report(self, line: str) -> None:
        self.said.append(line)

    def give(self, data: Any) -> None:
        self.data = data


@pytest.fixture(autouse=True)
def kept(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """A build on h that goes on, and its id."""
    monkeypatch.setenv("BERTH_STATE_DIR", str(tmp_path))
    build = Build(
        id=records.new_id(), order="o1", host="h", recipe="r", run="x", created_at=datetime.now(UTC)
    )
    record = Record(build.to(BuildState.DETACHED))
    record.keep()
    return build.id


async def test_a_build_on_a_read_only_host_is_not_cancelled(kept: str) -> None:
    ctx: Any = Context(HostConfig(name="h", host="h", read_only=True))
    with pytest.raises(Refused, match="h is read-only"):
        await building.images_cancel(ctx, None, build=kept)
    assert records.find(kept).active
    ctx = Context(HostConfig(name="h", host="h"))
    with pytest.raises(Unreachable):
        await building.images_cancel(ctx, None, build=kept)


async def test_a_list_of_builds_asks_for_hosts_that_are_there_and_for_some(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def nobody(*_: Any) -> Any:
        raise Unreachable("h does not answer")

    monkeypatch.setattr("backend.building.following.state_of", nobody)
    ctx: Any = Context(HostConfig(name="h", host="h"))
    with pytest.raises(NoSuchTarget):
        await building.images_builds(ctx, None, host=("nosuch",))
    for limit in (0, -3):
        with pytest.raises(UsageError):
            await building.images_builds(ctx, None, limit=limit)
    assert await building.images_builds(ctx, None, host=("h",), limit=1) == "1 builds"
