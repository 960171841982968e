"""After a crash: what the engine says is held against what can be known, and nothing runs twice."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from backend.agent.http_unix import Reply
from backend.agent.loop import Loop
from backend.agent.queue import container, epoch, jobs, recover, remains, verdict
from backend.agent.queue.crew import Crew
from backend.agent.queue.epoch import Since
from backend.agent.queue.jobs import Job
from backend.agent.queue.plan import Start
from backend.agent.queue.remains import Process
from backend.agent.queue.store import Store
from backend.agent.queue.tasks import Task, Wait

from .conftest import job

STARTED = Since(999.9, 1000.1)
"""When the engine of these tests came up."""
NEVER = "0001-01-01T00:00:00Z"
ALIVE = "1970-01-01T00:15:00Z"
"""900: before the engine."""
RESTORED = "1970-01-01T00:16:40.5Z"
LATER = "1970-01-01T00:20:00Z"


class Engine:
    """Answers at once from what it knows of containers, and writes down what it was told to do."""

    podman = False
    up = True
    path = "/nowhere"

    def __init__(self) -> None:
        self.containers: dict[str, dict[str, Any]] = {}
        self.changes: dict[str, Any] = {}
        self.told: list[str] = []
        self.busy = 0
        """So many requests are answered with 500 first."""

    def ask(self, method: str, target: str, body: Any = None) -> Wait:
        return Wait(lambda answer: answer(self._answer(method, target)))

    def _answer(self, method: str, target: str) -> Reply:
        if self.busy:
            self.busy -= 1
            return Reply(500, b'{"message": "busy"}')
        key, _, verb = target.removeprefix("/containers/").partition("/")
        found = next((one for one in self.containers.values() if key in (one["Id"], one["Name"])), None)
        if found is None:
            return Reply(404, b'{"message": "no such container"}')
        if method == "GET":
            return Reply(200, json.dumps(self.changes.get(key) if verb == "changes" else found).encode())
        self.told.append(f"{verb.partition('?')[0]} {found['Name']}")
        return Reply(204)

    def has(self, job: Job, status: str, **state: Any) -> container.Found:
        """A container of this attempt is there; what the list of containers says of it."""
        name = container.name("01234567", job)
        key = name.encode().hex().ljust(64, "0")
        fields = {"Status": status, "ExitCode": 0, "StartedAt": NEVER, "FinishedAt": NEVER, "Pid": 0, **state}
        self.containers[key] = {
            "Id": key,
            "Name": name,
            "Created": fields.pop("Created", ALIVE),
            "State": fields,
            "Config": {"Labels": container.labels(job, self.queue_id)},
            "HostConfig": {"Init": True},
        }
        found = container.inspected(self.containers[key])
        assert found is not None
        return found

    queue_id = ""


class Host:
    """A queue with an engine, as a keeper that has just taken over finds it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.engine = Engine()
        self.engine.queue_id = store.queue_id
        self.faults: list[str] = []
        self.tidied: list[tuple[int, int, str]] = []
        self.removed: list[str] = []
        self.loop = Loop(self._fault)
        tidy: Any = SimpleNamespace(busy=False, add=self._add, remove=self._remove, suspend=lambda: None)
        self.crew = Crew(self.loop, self.engine, store, tidy, lambda answer: answer({}))  # type: ignore[arg-type]
        self.crew.fault = self._fault

    def _fault(self, where: str, error: BaseException) -> None:
        self.faults.append(f"{where}: {error}")

    def _add(self, job: Job, key: str) -> None:
        self.tidied.append((job.id, job.attempt, key))

    async def _remove(self, key: str) -> None:
        self.removed.append(key)

    def begun(self, state: str = jobs.STARTING, **fields: Any) -> Job:
        """A job whose attempt an earlier keeper began."""
        (number,) = self.store.submit([job(**fields)], "ann")
        (booked,) = self.store.book([Start(number, (), (0,), 0)], 10.0)
        return self.store.started(number, 1, key_of(self, booked), 11.0) if state == jobs.RUNNING else booked

    def begun_beside(self, cpu: int) -> Job:
        """Another one, on another CPU."""
        (number,) = self.store.submit([job()], "ann")
        return self.store.book([Start(number, (), (cpu,), 0)], 10.0)[0]

    def recover(self, *found: container.Found) -> None:
        """As the keeper does with the engine's list."""
        Task(recover.recover(self.crew, list(found)), lambda error: self._fault("recover", error))
        assert self.faults == []

    def job(self, number: int) -> Job:
        found = self.store.get(number)
        assert found is not None
        return found

    def event(self, action: str, found: container.Found, **about: str) -> None:
        self.crew.event(action, found.id, {**found.labels, **about})


def key_of(host: Host, job: Job) -> str:
    return container.name("01234567", job).encode().hex().ljust(64, "0")


@pytest.fixture
def host(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    async def since(engine: Any) -> Since:
        return STARTED

    monkeypatch.setattr(epoch, "since", since)
    monkeypatch.setattr(remains, "processes", lambda key: [])
    made = Host(store)
    yield made
    for run in list(made.crew.runs.values()):
        run.close()
    made.loop.close()


def test_one_that_was_made_for_the_keeper_before_is_not_taken_for_a_late_one(host):
    """Its making is told after the new keeper listens, and before that has looked at anything."""
    begun = host.begun()
    found = host.engine.has(begun, "created", Created=LATER)
    host.event("create", found)
    assert host.removed == []
    host.recover(found)
    assert host.engine.told == [f"start {container.name('01234567', begun)}"]
    assert (host.job(begun.id).state, host.removed) == (jobs.RUNNING, [])


def test_one_that_comes_too_late_to_be_listed_is_removed(host):
    begun = host.begun()
    found = host.engine.has(begun, "created", Created=LATER)
    host.event("create", found)
    host.recover()
    assert host.job(begun.id).state == jobs.QUEUED
    assert host.removed == [found.id]


def test_what_is_removed_before_it_started_is_no_success(host):
    """The engine says `removing` and an exit code of 0."""
    begun = host.begun()
    host.recover(host.engine.has(begun, "removing"))
    ended = host.job(begun.id)
    assert (ended.state, ended.exit_code, ended.error) == (jobs.FAILED, None, verdict.BEFORE)


@pytest.mark.parametrize("code", [0, 255])
def test_an_end_that_the_engine_made_up_is_no_end(host, code):
    begun = host.begun(jobs.RUNNING)
    host.recover(
        host.engine.has(begun, "exited", ExitCode=code, StartedAt=ALIVE, FinishedAt=RESTORED, Created=ALIVE)
    )
    ended = host.job(begun.id)
    assert (ended.state, ended.exit_code, ended.error) == (jobs.FAILED, None, verdict.UNSEEN)


def test_an_end_while_the_engine_was_away_is_told_by_its_shim(host):
    begun = host.begun(jobs.RUNNING)
    host.recover(host.engine.has(begun, "exited", StartedAt=ALIVE, FinishedAt="1970-01-01T00:16:00Z"))
    assert (host.job(begun.id).state, host.job(begun.id).exit_code) == (jobs.COMPLETED, 0)


def test_what_ran_is_never_started_again(host):
    """Podman forgets with a boot that a container ran; so does a Docker whose disk lost a write."""
    begun = host.begun(jobs.RUNNING)
    host.recover(host.engine.has(begun, "created", Created=LATER))
    assert host.engine.told == []
    assert (host.job(begun.id).state, host.job(begun.id).error) == (jobs.FAILED, verdict.UNSEEN)


def test_what_certainly_never_ran_is_queued_again_once(host):
    begun = host.begun()
    found = host.engine.has(begun, "created")
    host.recover(found)
    again = host.job(begun.id)
    assert (again.state, again.attempt, host.removed) == (jobs.QUEUED, 1, [found.id])
    assert verdict.NEVER in host.store.events(begun.id)[-1]["text"]
    (second,) = host.store.book([Start(begun.id, (), (0,), 0)], 20.0)
    host.recover(host.engine.has(second, "created"))
    assert (host.job(begun.id).state, host.job(begun.id).error) == (jobs.FAILED, verdict.NEVER)


def test_a_first_process_that_still_waits_never_ran(host, monkeypatch):
    begun = host.begun()
    found = host.engine.has(begun, "created")
    host.engine.changes[found.id] = [{"Path": "/sbin/docker-init", "Kind": 1}]
    ended: list[Any] = []
    monkeypatch.setattr(remains, "processes", lambda key: [Process(2**31 - 1, "runc:[2:INIT]")])
    monkeypatch.setattr(remains, "end", lambda left, name="SIGKILL": ended.extend(left))
    host.recover(found)
    assert host.job(begun.id).state == jobs.QUEUED
    assert [process.name for process in ended] == ["runc:[2:INIT]"]


def test_of_what_nothing_is_known_nothing_is_claimed(host):
    begun = host.begun()
    found = host.engine.has(begun, "created")
    host.engine.changes[found.id] = [{"Path": "/sbin/docker-init", "Kind": 1}]
    host.recover(found)
    ended = host.job(begun.id)
    assert (ended.state, ended.exit_code, ended.error) == (jobs.FAILED, None, verdict.MAYBE)
    assert host.tidied == [(begun.id, 1, found.id)]


def test_what_runs_behind_the_engines_back_keeps_what_it_was_given(host, monkeypatch):
    begun = host.begun()
    alive = [Process(2**31 - 1, "python")]
    monkeypatch.setattr(remains, "processes", lambda key: list(alive))
    host.recover(host.engine.has(begun, "created"))
    assert (host.job(begun.id).state, host.job(begun.id).cpus) == (jobs.RUNNING, (0,))
    alive.clear()
    until(host, lambda: host.job(begun.id).state == jobs.FAILED)
    assert host.job(begun.id).error == verdict.UNSEEN


def test_an_end_that_only_a_new_engine_tells_of_is_doubted(host):
    """It runs by the engine's record, and its first process is gone: what comes is a guess."""
    begun = host.begun(jobs.RUNNING)
    found = host.engine.has(begun, "running", StartedAt=ALIVE, Pid=2**31 - 1)
    host.recover(found)
    assert host.job(begun.id).state == jobs.RUNNING
    host.event("die", found, exitCode="0")
    assert (host.job(begun.id).state, host.job(begun.id).error) == (jobs.FAILED, verdict.UNSEEN)


def test_an_end_that_is_told_before_the_container_was_known_to_run(host, monkeypatch):
    """The keeper before asked for its start; it ends while this one asks what it does."""
    monkeypatch.setattr(recover, "_AGAIN", 0.01)
    begun = host.begun()
    found = host.engine.has(begun, "running", StartedAt=LATER, Created=LATER)
    host.engine.busy = 1
    host.recover(found)
    host.event("die", found, exitCode="7")
    until(host, lambda: host.job(begun.id).state == jobs.FAILED)
    assert host.job(begun.id).exit_code == 7


def test_an_end_that_nobody_heard_of_is_found(host):
    begun = host.begun(jobs.RUNNING)
    host.recover(host.engine.has(begun, "running", StartedAt=LATER))
    host.crew.check()
    assert host.job(begun.id).state == jobs.RUNNING
    host.engine.has(begun, "exited", ExitCode=6, StartedAt=LATER, FinishedAt=LATER)
    host.crew.check()
    assert (host.job(begun.id).state, host.job(begun.id).exit_code) == (jobs.FAILED, 6)


def test_a_container_that_went_unheard_gives_back_what_it_had(host):
    begun = host.begun(jobs.RUNNING)
    found = host.engine.has(begun, "running", StartedAt=LATER)
    host.recover(found)
    host.engine.busy = 1
    host.engine.containers.clear()
    host.crew.check()
    assert host.job(begun.id).state == jobs.RUNNING  # an engine that cannot answer says nothing of it
    host.crew.check()
    assert (host.job(begun.id).state, host.job(begun.id).error) == (jobs.FAILED, verdict.REMOVED)


def test_an_engine_that_is_not_ready_is_asked_again(host, monkeypatch):
    monkeypatch.setattr(recover, "_AGAIN", 0.01)
    begun = host.begun(jobs.RUNNING)
    found = host.engine.has(begun, "exited", ExitCode=3, StartedAt=LATER, FinishedAt=LATER)
    host.engine.busy = 3
    host.recover(found)
    until(host, lambda: host.job(begun.id).exit_code == 3)
    assert host.job(begun.id).state == jobs.FAILED
    assert host.engine.busy == 0, "it was asked as often as it was not ready, and once more"


def test_one_that_ended_before_the_list_said_so_is_tidied(host):
    """For a moment the engine's list still says that it runs; nothing tells of its end once more."""
    begun = host.begun(jobs.RUNNING)
    host.store.ended(begun.id, 1, jobs.FAILED, 42, "", 12.0)
    listed = host.engine.has(begun, "running", StartedAt=LATER)
    found = host.engine.has(begun, "exited", ExitCode=42, StartedAt=LATER, FinishedAt=LATER)
    host.recover(listed)
    assert host.tidied == [(begun.id, 1, found.id)]


def test_one_that_somebody_started_again_is_left_until_it_ends(host):
    begun = host.begun(jobs.RUNNING)
    host.store.ended(begun.id, 1, jobs.COMPLETED, 0, "", 12.0)
    found = host.engine.has(begun, "running", StartedAt=LATER)
    host.recover(found)
    assert (host.tidied, host.removed) == ([], [])
    host.event("die", found, exitCode="0")
    assert host.tidied == [(begun.id, 1, found.id)]


def test_a_container_of_a_forgotten_job_brings_nothing_back(host):
    begun = host.begun(jobs.RUNNING)
    found = host.engine.has(begun, "exited", StartedAt=LATER, FinishedAt=LATER)
    host.store.ended(begun.id, 1, jobs.COMPLETED, 0, "", 12.0)
    host.store.saved(begun.id, 1, "")
    assert host.store.forget(time.time())[0] == [begun.id]
    host.recover(found)
    assert host.store.get(begun.id) is None
    assert host.removed == [found.id]


def until(host: Host, check: Any) -> None:
    """Let the loop run until it is so."""
    end = time.monotonic() + 20

    def look() -> None:
        if check() or time.monotonic() > end:
            host.loop.stop()
        else:
            host.loop.later(0.01, look)

    look()
    host.loop.run()
    assert check()
