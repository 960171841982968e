"""Jobs that build, by the real agent on this machine; the queue that would run them is played."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from backend.building import jobs, records
from backend.building.cluster import ClusterBuild, _make
from backend.building.following import Following
from backend.building.model import Build, BuildState, Request
from backend.building.records import Record
from backend.config import Config
from backend.errors import NoSuchTarget
from backend.link.local import LocalLink

PLAN = {"builds": [{"tags": ["a:1"]}, {"tags": ["b:1"]}], "into": ""}


class Forgetful:
    """A queue that knows nothing of the job any more."""

    async def follow(self, job: str, **_: Any) -> AsyncIterator[Any]:
        raise NoSuchTarget(f"no job {job}")
        yield


class Access:
    async def link(self, host: str) -> LocalLink:
        return LocalLink(host)


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("BERTH_STATE_DIR", str(tmp_path / "state"))


async def folder_of(order: str) -> Path:
    made = await _make(LocalLink("c1"), order, ["a:1", "b:1"])
    folder = Path(made["folder"])
    (folder / "plan.json").write_text(json.dumps(PLAN))
    return folder


async def followed(order: str) -> list[Record]:
    found = [
        Record(
            Build(
                id=records.new_id(), order=order, host="c1", recipe=name, images=(f"{name}:1",),
                run=jobs.run_of("7", number), created_at=datetime.now(UTC),
            )
        )
        for number, name in enumerate("ab")
    ]  # fmt: skip
    for record in found:
        record.keep()
    follows = [Following(record, "", lambda line: None) for record in found]
    ending = jobs.Ending("c1", "7", found, follows, lambda line: None)
    await ending.wait(Access(), Forgetful(), order)  # type: ignore[arg-type]
    return found


async def test_what_a_job_left_is_told_also_when_its_queue_has_forgotten_it() -> None:
    order = records.new_id()
    folder = await folder_of(order)
    (folder / "0/output").write_text("1.0 STEP 1/1: FROM busybox\n")
    (folder / "0/info.json").write_text('{"node": "n7"}')
    (folder / "0/end").write_text(json.dumps({"code": 0, "image": "sha256:1", "builder": "podman"}))
    first, second = await followed(order)
    assert (first.build.state, first.build.node, first.build.image_id) == (BuildState.DONE, "n7", "sha256:1")
    assert records.log_path(first.build.id).read_text() == "STEP 1/1: FROM busybox\n"
    assert second.build.state is BuildState.FAILED and "job 7 on c1 ended before" in second.build.error


async def test_a_job_that_is_queued_while_its_build_is_cancelled_is_known(tmp_path: Path) -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    class Slow:
        async def submit(self, jobs: Any) -> list[str]:
            asked.set()
            await answer.wait()
            return ["7"]

    request = Request(names=("a",), hosts=("c1",))
    build = ClusterBuild(
        Config(directory=tmp_path), Access(), request, "o", "c1", say=print, confirm=None,  # type: ignore[arg-type]
    )  # fmt: skip
    queued = asyncio.create_task(build._queued(Slow(), None))  # type: ignore[arg-type]
    await asked.wait()
    queued.cancel()
    asyncio.get_running_loop().call_soon(answer.set)
    with pytest.raises(asyncio.CancelledError):
        await queued
    assert build.job == "7"


async def test_what_a_job_needs_stays_as_long_as_it_may_wait() -> None:
    waits, ended, forgotten = [await folder_of(f"260101-00000{number}-abcd") for number in range(3)]
    (ended / "over").write_text("{}")
    for folder, days in ((waits, 30), (ended, 30), (forgotten, 100)):
        when = datetime.now(UTC).timestamp() - days * 86400
        os.utime(folder, (when, when))
    await folder_of("260101-000009-abcd")
    assert (waits.exists(), ended.exists(), forgotten.exists()) == (True, False, False)


async def test_a_node_without_an_engine_says_so_and_a_context_is_linked_with_the_last_one(
    tmp_path: Path,
) -> None:
    order = records.new_id()
    folder = await folder_of(order)
    env = {**os.environ, "PATH": "/nowhere", "DOCKER_HOST": "", "XDG_RUNTIME_DIR": str(tmp_path)}
    argv = [sys.executable, "-P", "-m", "backend.agent", "build", "job", "run", str(folder)]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    if "has neither an engine" not in done.stdout:
        pytest.skip("this machine has an engine that everybody finds")
    assert done.returncode == 1
    first, second = await followed(order)
    assert "has neither an engine" in first.build.error
    assert (first.build.state, second.build.state) == (BuildState.FAILED, BuildState.SKIPPED)
    made = await _make(LocalLink("c1"), records.new_id(), ["b:1", "c:1"])
    assert made["before"] == [str(folder / "1/tree"), ""]
