"""Jobs: what runs, waits and ended, and who has which GPU when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from textual.widgets import Input

from backend.config import HostConfig, Settings
from backend.config.schema import Notify
from backend.errors import NoSuchTarget
from backend.gpurows import gpu_rows
from backend.model import FleetState, JobRow
from backend.queues.asking import Asked
from backend.queues.base import Detail
from backend.queues.submitting import Submitted
from tests.tui.fakes import NOW, showcase
from tests.tui.helpers import dashboard
from tui.cells import text_of, width_of
from tui.detail import job as job_detail
from tui.detail import timeline
from tui.detail.page import Sheet, View
from tui.forms import Form
from tui.logs.screen import LogScreen

GPUS = gpu_rows(showcase().hosts["h100-1"])
UUIDS = [gpu.uuid for gpu in GPUS]


def _job(number: int, **more: object) -> JobRow:
    values = {
        "host": "h",
        "engine": "docker",
        "id": str(number),
        "name": "x",
        "owner": "ann",
        "state": "running",
    }
    return JobRow(**{**values, **more})  # type: ignore[arg-type]


async def test_jobs_are_shown_with_what_runs_first_and_why_the_others_wait(tmp_path: Path) -> None:
    async with dashboard(showcase(), tmp_path, size=(200, 50)) as board:
        await board.press("5")
        assert [row.id for row in board.app.desk.table.rows] == ["42", "45", "51", "52", "40"]
        assert "#1" in board.text
        assert "needs 2" in board.text
        assert "failed 3" in board.text


async def test_gpus_that_do_nothing_for_a_job_stand_out(tmp_path: Path) -> None:
    async with dashboard(showcase(), tmp_path, size=(200, 50)) as board:
        await board.press("5")
        assert "idle for 2 h" in board.text


async def test_a_plain_filter_finds_jobs_by_their_number(tmp_path: Path) -> None:
    async with dashboard(showcase(), tmp_path, size=(200, 50)) as board:
        await board.press("5")
        table = board.app.desk.table
        numbers = [row.id for row in table.rows]
        await board.press("slash", "4", "5", "enter")
        # what starts at a quarter to is found too: which rows those are depends on the time of day
        await board.until(lambda: len(table.rows) < len(numbers))
        assert "45" in [row.id for row in table.rows]
        assert all("45" in board.app.desk.view.search_text(row) for row in table.rows)


async def test_ended_jobs_can_be_left_out(tmp_path: Path) -> None:
    async with dashboard(showcase(), tmp_path, size=(160, 45)) as board:
        await board.press("5", "f")
        assert [row.id for row in board.app.desk.table.rows] == ["42", "45", "51", "52"]
        await board.press("f")
        assert len(board.app.desk.table.rows) == 5


async def test_details_show_the_gpus_of_the_host_over_time(tmp_path: Path) -> None:
    async with dashboard(showcase(), tmp_path, size=(160, 60)) as board:
        await board.press("5", "enter")
        assert "GPUs of this host" in board.text
        assert "now" in board.text


class FakeQueue:
    """What a queue tells of a job, piece by piece, as a test hands it over."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, object]]] = []
        self.pieces: asyncio.Queue[JobRow | bytes | str | None] = asyncio.Queue()

    async def follow(self, job: str, **how: object) -> AsyncIterator[JobRow | bytes | str]:
        self.asked.append((job, how))
        while (piece := await self.pieces.get()) is not None:
            yield piece

    async def detail(self, job: str) -> Detail:
        raise NoSuchTarget(f"no job {job}")


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> FakeQueue:
    made = FakeQueue()

    @asynccontextmanager
    async def queue_of(*_: object) -> AsyncIterator[FakeQueue]:
        yield made

    monkeypatch.setattr("backend.queues.tracking.queue_of", queue_of)
    monkeypatch.setattr("backend.queues.joblog.queue_of", queue_of)
    return made


async def test_the_output_of_a_job_is_followed_like_the_log_of_a_container(
    tmp_path: Path, queue: FakeQueue
) -> None:
    async with dashboard(showcase(), tmp_path, size=(120, 40)) as board:
        await board.until(lambda: board.app.doing is not None)
        await board.press("5", "l")
        await board.until(lambda: isinstance(board.app.screen, LogScreen))
        queue.pieces.put_nowait(_job(42, state="queued", reason="needs 2 GPUs"))
        queue.pieces.put_nowait(_job(42, attempt=1))
        queue.pieces.put_nowait(b"epoch 1\nepo")
        await board.until(lambda: "epoch 1" in board.text and "following" in board.text)
        assert "job 42 has not started: needs 2 GPUs" in board.text
        queue.pieces.put_nowait(b"ch 2\n")
        await board.until(lambda: "epoch 2" in board.text)
        queue.pieces.put_nowait(_job(42, state="failed", exit_code=3, attempt=1, ended_at=NOW))
        queue.pieces.put_nowait(None)
        await board.until(lambda: "job 42 ended, failed: exit code 3" in board.text)
        await board.until(lambda: "The job has ended." in board.text)
        assert queue.asked == [("42", {"output": True, "tail": 500, "first": 0})]


async def test_the_output_of_marked_jobs_stands_side_by_side_and_has_no_times(
    tmp_path: Path, queue: FakeQueue
) -> None:
    async with dashboard(showcase(), tmp_path, size=(120, 40)) as board:
        await board.until(lambda: board.app.doing is not None)
        await board.press("5", "space", "j", "space", "l")
        await board.until(lambda: len(queue.asked) == 2)
        assert {job for job, _ in queue.asked} == {"42", "45"}
        await board.press("3")  # the last five minutes of a container
        await board.press("colon")
        await board.type("since 5m")
        await board.press("enter")
        await board.until(lambda: "has no times" in board.text)
        assert len(queue.asked) == 2


async def test_n_makes_a_job_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Asked] = []

    async def submit(config: object, access: object, what: Asked, **_: object) -> Submitted:
        asked.append(what)
        return Submitted("h100-1", ("77",), "x")

    monkeypatch.setattr("backend.queues.submitting.submit", submit)
    async with dashboard(showcase(), tmp_path, size=(120, 40)) as board:
        await board.until(lambda: board.app.doing is not None)
        await board.press("5", "n")
        await board.until(lambda: isinstance(board.app.screen, Form))
        assert "New job" in board.text
        board.app.screen.query_one("#f-script", Input).value = "train.sh 1"
        await board.press("ctrl+s")
        await board.until(lambda: asked)
        assert asked[0].script == "train.sh 1"
        await board.until(lambda: "job 77 is queued on h100-1" in board.text)


async def test_a_job_is_changed_from_what_it_is_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edited: list[tuple[str, dict[str, object]]] = []

    class Queue(FakeQueue):
        async def edit(self, job: str, changes: dict[str, object]) -> None:
            edited.append((job, changes))

    @asynccontextmanager
    async def queue_of(*_: object) -> AsyncIterator[Queue]:
        yield Queue()

    monkeypatch.setattr("backend.queues.choose.queue_of", queue_of)
    async with dashboard(showcase(), tmp_path, size=(120, 40)) as board:
        await board.until(lambda: board.app.doing is not None)
        await board.press("5")
        row = next(row for row in board.app.desk.table.rows if row.state == "queued")
        board.app.desk.table.select(("h100-1", "docker", row.id))
        await board.press("E")
        await board.until(lambda: isinstance(board.app.screen, Form))
        values = {each.id: each.value for each in board.app.screen.query(Input)}
        assert (values["f-name"], values["f-gpus"]) == (row.name, str(row.gpus))
        assert values["f-cpus"] == str(row.cpus) and values["f-priority"] == str(row.priority)
        board.app.screen.query_one("#f-time", Input).value = "3h"
        await board.press("ctrl+s")
        await board.until(lambda: edited)
    assert edited == [(row.id, {"time_limit": 3 * 3600.0})]  # and nothing that is so already


async def test_jobs_that_have_ended_are_marked_no_more(tmp_path: Path) -> None:
    async with dashboard(showcase(), tmp_path, size=(160, 45)) as board:
        await board.press("5", "asterisk")
        table = board.app.desk.table
        marked = {(row.host, row.engine, row.id) for row in table.rows}
        assert table.marks == marked and len(marked) == 5
        view = board.app.desk.view
        rows = [
            replace(row, state="cancelled", ended_at=NOW) if row.id == "45" else row
            for row in view.make_rows()
        ]
        view.make_rows = lambda: rows
        view.show_rows()
        assert {key[2] for key in marked - table.marks} == {"45"}  # those marked after their end stay


async def test_read_only_makes_no_job(tmp_path: Path) -> None:
    async with dashboard(showcase(), tmp_path, size=(120, 40), read_only=True) as board:
        await board.until(lambda: board.app.doing is not None)
        await board.press("5", "n")
        await board.until(lambda: "new job: berth is read-only" in board.text)
        assert not isinstance(board.app.screen, Form)


@pytest.mark.parametrize("size", [(40, 20), (80, 24), (300, 80)])
async def test_jobs_fit_every_screen(tmp_path: Path, size: tuple[int, int]) -> None:
    async with dashboard(showcase(), tmp_path, size=size) as board:
        await board.press("5")
        assert "42" in board.text
        assert "train-llm" in board.text


@pytest.mark.parametrize(
    ("reason", "line"),
    [
        ("waits for job 30", "waits for job 30"),
        ("needs 4 GPUs, 2 are free", "Waits: needs 4 GPUs, 2 are free"),
    ],
)
def test_that_it_waits_is_said_once(reason: str, line: str) -> None:
    sheet = Sheet()
    job_detail._said(sheet, _job(1, state="queued", reason=reason), cast(View, None))
    assert text_of(sheet.lines(80)[0]).strip() == line


def test_a_running_job_is_on_its_gpus_until_its_limit() -> None:
    now = NOW.timestamp()
    jobs = [_job(1, started_at=NOW - timedelta(hours=1), gpu_uuids=(UUIDS[1],), gpus=1, time_limit=7200.0)]
    found = timeline.spans(jobs, UUIDS, now)
    (span,) = found[UUIDS[1]]
    assert (span.begin, span.end, span.open, span.coming) == (-3600.0, 3600.0, False, False)
    assert not any(found[uuid] for uuid in UUIDS if uuid != UUIDS[1])


def test_a_waiting_job_comes_on_the_gpus_that_are_free_by_then() -> None:
    now = NOW.timestamp()
    jobs = [
        _job(1, started_at=NOW, gpu_uuids=(UUIDS[0],), gpus=1, time_limit=600.0),
        _job(2, started_at=NOW, gpu_uuids=(UUIDS[1],), gpus=1, time_limit=60000.0),
        _job(3, state="queued", gpus=1, expected_start=NOW + timedelta(seconds=600), time_limit=60.0),
    ]
    found = timeline.spans(jobs, UUIDS[:2], now)
    assert [span.job for span in found[UUIDS[0]]] == ["1", "3"]
    assert found[UUIDS[0]][1].coming
    assert [span.job for span in found[UUIDS[1]]] == ["2"]


def test_a_line_per_gpu_with_the_jobs_numbers_and_an_axis() -> None:
    now = NOW.timestamp()
    jobs = [_job(42, started_at=NOW - timedelta(hours=1), gpu_uuids=(UUIDS[0],), gpus=1, time_limit=7200.0)]
    lines = [text_of(line) for line in timeline.lines(jobs, GPUS, now, 60)]
    assert len(lines) == len(GPUS) + 1
    assert lines[0].startswith("GPU 0")
    assert "42" in lines[0]
    assert "█" not in lines[1]
    assert "now" in lines[-1]


def test_who_has_a_gpu_without_the_queue_is_named() -> None:
    now = NOW.timestamp()
    taken = next(gpu for gpu in GPUS if not gpu.free and gpu.containers)
    free = next(gpu for gpu in GPUS if gpu.free)
    first, second, _ = (text_of(line) for line in timeline.lines([], [taken, free], now, 60))
    assert f"│ {taken.containers[0]}" in first
    assert second.rstrip().endswith("│")
    job = _job(42, started_at=NOW - timedelta(hours=1), gpu_uuids=(taken.uuid,), gpus=1, time_limit=7200.0)
    assert taken.containers[0] not in text_of(timeline.lines([job], [taken], now, 60)[0])


def test_no_room_is_no_timeline() -> None:
    assert timeline.lines([], GPUS, 0.0, 20) == []
    assert timeline.lines([], [], 0.0, 80) == []


@given(
    st.lists(
        st.tuples(st.floats(-1e6, 1e6), st.none() | st.floats(0, 1e7), st.sampled_from(UUIDS), st.booleans()),
        max_size=12,
    ),
    st.integers(28, 200),
)
def test_every_line_is_as_wide_as_there_is_room(
    spans: list[tuple[float, float | None, str, bool]], width: int
) -> None:
    jobs = [
        _job(
            number,
            state="queued" if waits else "running",
            gpus=1,
            gpu_uuids=() if waits else (uuid,),
            started_at=None if waits else NOW + timedelta(seconds=at),
            expected_start=NOW + timedelta(seconds=at) if waits else None,
            time_limit=limit,
        )
        for number, (at, limit, uuid, waits) in enumerate(spans)
    ]
    assert {width_of(line) for line in timeline.lines(jobs, GPUS, NOW.timestamp(), width)} == {width}


def _with_jobs(state: FleetState, change: dict[str, object], *, owner: str = "") -> FleetState:
    """The showcase's first running job, changed."""
    host = state.hosts["h100-1"]
    assert host.queue is not None and host.hello is not None
    first, *rest = host.queue.jobs
    changed = replace(first, owner=owner or host.hello.user, **change)
    queue = replace(host.queue, jobs=(changed, *rest))
    return replace(state, hosts={**state.hosts, "h100-1": replace(host, queue=queue)})


async def test_the_end_of_a_job_of_mine_is_told_in_the_dashboard_the_terminal_and_to_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("TMUX", raising=False)
    out = tmp_path / "told"
    command = (
        "sh",
        "-c",
        f'echo "$BERTH_JOB_HOST $BERTH_JOB_ID $BERTH_JOB_STATE" >>{out}.new; mv {out}.new {out}',
    )
    written: list[str] = []
    before = _with_jobs(showcase(), {})
    async with dashboard(
        before, tmp_path, size=(120, 40), settings=Settings(notify=Notify(command=command))
    ) as board:
        await board.until(lambda: board.app.doing is not None)
        monkeypatch.setattr(board.app, "write_terminal", written.append)
        ended = {"state": "failed", "exit_code": 3, "ended_at": NOW.timestamp()}
        await board.publish(_with_jobs(before, ended))
        await board.until(lambda: "failed: exit code 3" in board.text)
        assert written == ["\a"]
        await board.until(out.exists)
        assert out.read_text() == "h100-1 42 failed\n"


async def test_other_peoples_jobs_and_states_that_are_not_wanted_are_not_told(tmp_path: Path) -> None:
    before = _with_jobs(showcase(), {}, owner="somebody")
    ended = {"state": "failed", "exit_code": 3, "ended_at": NOW.timestamp()}
    async with dashboard(before, tmp_path, size=(120, 40)) as board:
        await board.until(lambda: board.app.doing is not None)
        await board.publish(_with_jobs(before, ended, owner="somebody"))
        assert not board.app._notifications


async def test_a_job_of_a_read_only_host_does_not_stand_in_the_way_of_a_new_one_elsewhere(
    tmp_path: Path,
) -> None:
    state = showcase()
    names = [HostConfig(name=name, host=name, read_only=name == "h100-1") for name in state.hosts]
    async with dashboard(state, tmp_path, size=(80, 24)) as board:
        await board.until(lambda: board.app.doing is not None)
        board.app.desk.config = replace(board.app.desk.config, hosts=tuple(names))
        await board.press("5")
        await board.until(lambda: "n new job" in board.text)
        doable = {action.name for action in board.app.desk.actions()}
        assert "run" in doable
        assert "job-kill" not in doable


async def test_read_only_offers_neither_jobs_nor_files_of_images(tmp_path: Path) -> None:
    async with dashboard(showcase(), tmp_path, size=(80, 24), read_only=True) as board:
        await board.until(lambda: board.app.doing is not None)
        await board.press("5")
        doable = {action.name for action in board.app.desk.actions()}
        assert {"job-logs", "job-show"} <= doable
        assert not {"run", "freeze", "job-kill", "job-shell"} & doable
