"""The queue as a dashboard's agent tells it: when something was written, and not otherwise."""

from __future__ import annotations

import fcntl
import json
import os
import select
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from backend.agent.emit import Outbox
from backend.agent.loop import Loop
from backend.agent.queue import watch
from backend.agent.queue.jobs import Request, Spec
from backend.agent.queue.plan import Start
from backend.agent.queue.store import Store, StoreError
from backend.agent.queue.watch import QueueWatch
from backend.model import QueueReport
from tests.backend.agent.queue.conftest import IMAGE, body, job
from tests.backend.agent.running import RunningAgent

PATIENCE = 30.0


class Dashboard:
    """A watch on its own loop, and the lines that it sends."""

    def __init__(self, engine: str) -> None:
        self.output, writer = os.pipe()
        os.set_blocking(self.output, False)
        self.writer = writer
        self.outbox = Outbox(writer)
        self.errors: list[BaseException] = []
        self.loop = Loop(lambda where, error: self.errors.append(error))
        self.outbox.attach(self.loop)
        self.watch = QueueWatch(self.loop, self.outbox, "auto", engine)
        self.lines: list[dict[str, Any]] = []
        self.reads = 0
        read = self.watch._read

        def counted(look: bool) -> dict[str, Any]:
            self.reads += 1
            return read(look)

        self.watch._read = counted  # type: ignore[method-assign]
        self._rest = b""

    def turn(self) -> None:
        self.loop.turn(0.05)
        while select.select([self.output], [], [], 0)[0]:
            *lines, self._rest = (self._rest + os.read(self.output, 1 << 20)).split(b"\n")
            self.lines += [json.loads(line) for line in lines]

    def until(self, condition: Callable[[], Any]) -> Any:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            self.turn()
            assert not self.errors
            found = condition()
            if found:
                return found
        raise AssertionError(f"never: {self.lines[-3:]}")

    def reports(self) -> list[QueueReport]:
        return [msgspec.convert(line["d"], QueueReport) for line in self.lines if line["s"] == "jobs"]

    def report(self, condition: Callable[[QueueReport], Any]) -> QueueReport:
        found = self.until(lambda: [one for one in self.reports()[-1:] if condition(one)])
        return found[0]

    def quiet(self) -> None:
        """Until it has looked a few times, and read nothing."""
        seen = (-1, 0)
        while seen[0] != self.reads or seen[1] < 3:
            reads, due = self.reads, time.monotonic() + watch.EVERY * 1.2
            while time.monotonic() < due:
                self.turn()
            seen = (reads, seen[1] + 1 if reads == self.reads else 0)

    def close(self) -> None:
        self.watch.close()
        os.close(self.output)
        os.close(self.writer)
        self.loop.close()


@pytest.fixture
def dashboard(engine, monkeypatch) -> Iterator[Dashboard]:
    monkeypatch.setattr(watch, "EVERY", 0.05)
    found = Dashboard(engine)
    yield found
    found.close()


@pytest.fixture
def kept(folder):
    """Somebody keeps the queue: none is started."""
    descriptor = folder.open("keeper.lock")
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield
    os.close(descriptor)


def test_without_a_queue_nothing_is_read_or_sent(dashboard):
    dashboard.watch.tick()
    dashboard.quiet()
    assert dashboard.watch.done and dashboard.reads == 0 and dashboard.lines == []


def test_what_changes_is_sent_and_nothing_else_is_read(dashboard, store, kept):
    dashboard.watch.tick()
    store.submit([job(name="first"), job(name="second")], "ann")
    assert [one.name for one in dashboard.report(lambda report: report.waiting == 2).jobs] == [
        "first",
        "second",
    ]
    dashboard.quiet()
    reads = dashboard.reads
    dashboard.quiet()
    assert dashboard.reads == reads
    store.book([Start(2, (), (0,), 0)], time.time())
    report = dashboard.report(lambda report: report.active == 1)
    assert [(one.id, one.state) for one in report.jobs] == [(2, "starting"), (1, "queued")]
    assert report.keeper and report.folder == store._place.path
    store.set_limits("bob", paused="bob: update")
    assert dashboard.report(lambda report: report.paused).paused == "bob: update"


def test_a_report_counts_the_jobs_that_it_lists(store, folder, kept, monkeypatch):
    counts = Store.counts

    def submitted(self):
        with Store.open(folder) as other:
            other.submit([job()], "ann")
        return counts(self)

    monkeypatch.setattr(Store, "counts", submitted)
    first, second = watch.report(folder), watch.report(folder)
    assert (first["waiting"], len(first["jobs"])) == (0, 0)
    assert (second["waiting"], len(second["jobs"])) == (1, 1)


def test_an_error_that_passes_is_not_told_for_ever(dashboard, store, kept, monkeypatch):
    store.submit([job()], "ann")
    read, errors = watch.report, [StoreError("another process holds it."), OSError("no descriptors left")]

    def report(place):
        if errors:
            raise errors.pop(0)
        return read(place)

    monkeypatch.setattr(watch, "report", report)
    monkeypatch.setattr(watch, "_AGAIN", (0.01, 60.0))
    dashboard.watch.tick()
    dashboard.report(lambda report: report.waiting == 1)
    assert [line["d"].get("error") for line in dashboard.lines if line["s"] == "jobs"] == [
        "another process holds it.",
        None,
    ]
    assert [line["d"]["message"] for line in dashboard.lines if line["s"] == "fault"] == [
        "OSError: no descriptors left"
    ]


def test_an_error_that_stays_is_not_read_with_every_look(dashboard, store, kept, monkeypatch):
    def report(place):
        raise StoreError("it was made by a newer berth.")

    monkeypatch.setattr(watch, "report", report)
    monkeypatch.setattr(watch, "_AGAIN", (1000.0, 1000.0))
    store.submit([job()], "ann")
    dashboard.watch.tick()
    dashboard.report(lambda report: report.error)
    dashboard.quiet()  # what was written just now is read a few times
    reads = dashboard.reads
    dashboard.quiet()
    assert dashboard.reads == reads > 0
    assert [line["d"]["error"] for line in dashboard.lines] == ["it was made by a newer berth."]


def test_a_queue_that_comes_and_goes(dashboard, folder, base):
    dashboard.watch.tick()
    with Store.open(folder) as store:
        store.submit([job(state="held")], "ann")
        store.cancel([1], "ann")
    dashboard.report(lambda report: [one.state for one in report.jobs] == ["cancelled"])
    os.rename(base / "queue", base / "gone")
    assert dashboard.report(lambda report: not report.folder) == QueueReport()


def test_reading_a_queue_that_nobody_has_open_is_no_change(dashboard, folder):
    from backend.agent.queue.store import Store

    with Store.open(folder) as store:
        store.submit([job()], "ann")
        store.cancel([1], "ann")
    dashboard.watch.tick()
    dashboard.report(lambda report: len(report.jobs) == 1)
    dashboard.quiet()
    assert len(dashboard.reports()) == 1


def test_long_lists_and_long_words_are_cut(dashboard, store, kept):
    spec = Spec(IMAGE, "x", ("sh", "-c", "x" * 100_000), env=(("SECRET", "s3cret"),))
    store.submit([job(spec=spec) for _ in range(400)], "ann")
    store.cancel(range(251, 401), "ann")
    store.submit([job(priority=7, request=Request(gpus=1)) for _ in range(200)], "ann")
    dashboard.watch.tick()
    report = dashboard.report(lambda report: report.waiting == 450)
    states = [one.state for one in report.jobs]
    assert (states.count("queued"), states.count("cancelled")) == (300, 100)
    assert [one.id for one in report.jobs[:201]] == [*range(401, 601), 1]
    assert max(len(word) for one in report.jobs for word in one.spec.command) == 300
    assert "s3cret" not in json.dumps(dashboard.lines) and "x" * 1000 not in json.dumps(dashboard.lines)


def test_questions_are_answered(dashboard, store, kept):
    store.submit([job(os.environ.get("USER", "root"))], "root")
    dashboard.watch.tick()
    dashboard.watch.ask(7, "show", {"id": 1})
    dashboard.watch.ask(8, "show", {"id": 2})
    dashboard.watch.ask(9, "nonsense", {})
    replies = lambda: {line["d"]["id"]: line["d"] for line in dashboard.lines if line["s"] == "reply"}  # noqa: E731
    dashboard.until(lambda: len(replies()) == 3)
    assert replies()[7]["ok"]["job"]["id"] == 1
    assert [replies()[number]["error"]["kind"] for number in (8, 9)] == ["missing", "usage"]


def test_too_many_questions_at_once_are_refused(dashboard, store, kept):
    for number in range(20):
        dashboard.watch.ask(number, "list", {})
    answers = lambda: [line["d"] for line in dashboard.lines if line["s"] == "reply"]  # noqa: E731
    dashboard.until(lambda: len(answers()) == 20)
    refused = [one for one in answers() if "error" in one]
    assert 0 < len(refused) <= 16 and "too many" in refused[0]["error"]["message"]


def test_a_folder_that_cannot_be_trusted_is_told_of(dashboard, base):
    (base / "queue").symlink_to("/tmp")
    dashboard.watch.tick()
    report = dashboard.report(lambda report: report.error)
    assert "a link" in report.error and report.hint


def test_a_lost_keeper_is_missed(dashboard, store, folder, monkeypatch):
    from backend.agent.queue import lock

    monkeypatch.setattr(watch, "_KEEPER_EVERY", (0.1, 0.2))
    started: list[str] = []

    def ensure(place: Any) -> bool:
        started.append(place.path)
        return True

    monkeypatch.setattr(lock, "ensure", ensure)
    store.submit([job()], "ann")
    dashboard.watch.tick()
    dashboard.until(lambda: len(started) > 2)
    assert set(started) == {folder.path}


def test_the_agent_sends_its_queue_and_answers(start, engine, store, kept):
    store.submit([job(name="waits")], "ann")
    agent: RunningAgent = start("--socket", engine)
    assert agent.wait("jobs", lambda report: report.waiting == 1).jobs[0].name == "waits"
    agent.send({"cmd": "queue", "id": 3, "verb": "submit", "body": {"jobs": [body(name="asked")]}})
    assert agent.wait("reply", lambda reply: reply["id"] == 3)["ok"] == {"ids": [2]}
    agent.wait("jobs", lambda report: [one.name for one in report.jobs] == ["waits", "asked"])
    for line in (
        {"cmd": "queue"},
        {"cmd": "queue", "id": -1, "verb": "list"},
        {"cmd": "queue", "id": 1, "verb": "--x"},
    ):
        agent.send(line)
    agent.send({"cmd": "ping", "id": 5})
    agent.wait("pong")
    faults = {fault["message"] for fault in agent.faults}
    assert faults == {"queue without a whole number as id", "queue without a verb"}
    assert agent.end() == 0
