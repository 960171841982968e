"""Jobs that build, by the real agent on this machine; the queue that would run them is played."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backend.building import jobs, records
from backend.building.cluster import ClusterBuild, _make
from backend.building.following import Following
from backend.building.model import Build, BuildState, Request
from backend.building.records import Record
from backend.config import Config
from backend.errors import NoSuchTarget, Unreachable
from backend.link.local import LocalLink
from backend.queues import choose, once
from backend.queues.base import Unanswered

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


class Cluster:
    """A queue whose answer to a submit is lost as often as it is told; the job is there all the same."""

    host = "c1"

    def __init__(self, lost: int) -> None:
        self.lost = lost
        self.keys: list[str] = []
        self.asked, self.answer = asyncio.Event(), asyncio.Event()
        self.answer.set()
        self.ended: list[str] = []
        self.away = False

    async def submit(self, jobs: Any, *, key: str, again: bool) -> list[str]:
        self.keys.append(key)
        self.asked.set()
        await self.answer.wait()
        if len(self.keys) <= self.lost:
            raise Unanswered("c1: the connection is lost.")
        return ["7"]

    async def submitted(self, key: str) -> list[str]:
        if self.away:
            raise Unreachable("c1 does not answer.")
        return ["7"] if key in self.keys else []

    async def cancel(self, ids: list[str]) -> list[str]:
        self.ended += ids
        return []

    async def follow(self, job: str, **_: Any) -> AsyncIterator[Any]:
        raise NoSuchTarget(f"no job {job}")
        yield


@pytest.fixture
def building(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Cluster], tuple[Any, Record]]:
    """A build by a job of that cluster, all but the job played."""

    def begin(cluster: Cluster) -> tuple[Any, Record]:
        @asynccontextmanager
        async def queue_of(*_: object) -> AsyncIterator[Cluster]:
            yield cluster

        async def bring(*_: object) -> str:
            return "/folder"

        class Rendering:
            async def of(self, *_: object) -> Any:
                dockerfile = tmp_path / "Dockerfile"
                dockerfile.write_text("FROM busybox\n")
                return SimpleNamespace(tags=("a:1",), dockerfile=dockerfile, secrets=(), recipe="a")

        monkeypatch.setattr(choose, "queue_of", queue_of)
        monkeypatch.setattr(once, "_AGAIN", 0.0)
        monkeypatch.setattr(ClusterBuild, "_bring", bring)
        order = records.new_id()
        request = Request(names=("a",), hosts=("c1",))
        build = ClusterBuild(
            Config(directory=tmp_path), Access(), request, order, "c1", say=lambda line: None, confirm=None,  # type: ignore[arg-type]
        )  # fmt: skip
        record = Record(
            Build(id=records.new_id(), order=order, host="c1", recipe="a", created_at=datetime.now(UTC))
        )
        recipe: Any = SimpleNamespace(file=None)
        return asyncio.create_task(build.run([recipe], [record], Rendering())), record  # type: ignore[arg-type]

    return begin


async def test_a_job_whose_number_was_lost_on_the_way_is_asked_for_once_more(building: Any) -> None:
    cluster = Cluster(lost=1)
    run, record = building(cluster)
    cluster_run = await asyncio.wait_for(run, 60)
    assert cluster_run is None and len(set(cluster.keys)) == 1 and len(cluster.keys) == 2
    assert record.build.run == jobs.run_of("7", 0)


async def test_a_build_whose_job_may_run_is_not_told_as_failed(building: Any) -> None:
    run, record = building(Cluster(lost=2))
    await asyncio.wait_for(run, 60)
    assert record.build.state is BuildState.LOST
    assert "is not known" in record.build.error
    assert record.build.hint == "It is called 'build a' in: berth jobs --host c1"


async def test_a_job_that_is_queued_while_its_build_is_cancelled_is_ended(building: Any) -> None:
    cluster = Cluster(lost=0)
    cluster.answer.clear()
    run, record = building(cluster)
    await asyncio.wait_for(cluster.asked.wait(), 60)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert cluster.ended == ["7"] and record.build.state is BuildState.CANCELLED


async def test_a_build_that_is_cancelled_while_its_cluster_is_lost_may_run(building: Any) -> None:
    cluster = Cluster(lost=0)
    cluster.answer.clear()
    cluster.away = True
    run, record = building(cluster)
    await asyncio.wait_for(cluster.asked.wait(), 60)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert record.build.state is BuildState.LOST and "may be queued on c1" in record.build.error
    assert record.build.hint == "It is called 'build a' in: berth jobs --host c1"


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
