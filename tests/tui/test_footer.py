"""The footer offers what does something now; the header says where one is."""

from __future__ import annotations

from pathlib import Path

from backend.config import Context
from backend.model import GpuReport
from tests.tui.fakes import container, gpu, host, state_of
from tests.tui.helpers import Board, dashboard
from tui.desk import Desk
from tui.header import HeaderBar
from tui.views import LISTED


def footer(board: Board) -> str:
    return board.text.splitlines()[-1]


def message(board: Board) -> str:
    return " ".join(note.message for note in board.app._notifications)


async def test_an_empty_view_offers_what_fills_it_and_nothing_that_needs_a_row(tmp_path: Path) -> None:
    async with dashboard(state_of([host("h1")]), tmp_path) as board:
        await board.until(lambda: board.app.doing is not None)
        await board.press("4")
        await board.until(lambda: " n new" in footer(board))
        assert "logs" not in footer(board)
        await board.press("l")
        await board.until(lambda: "logs: there is no container" in message(board))
        await board.press("2")
        await board.until(lambda: "only free" in footer(board))
        assert "logs" not in footer(board)
    async with dashboard(state_of([host("h1")]), tmp_path, read_only=True) as board:
        await board.until(lambda: board.app.doing is not None)
        await board.press("4")
        await board.pilot.pause()
        assert " new" not in footer(board)


async def test_logs_are_offered_where_there_is_a_container(tmp_path: Path) -> None:
    mine = container("mine")
    report = GpuReport(gpus=(gpu(0, 0, 0), gpu(1, 0, 0)))
    contexts = (
        Context(name="here", host="h1", image="x", container="mine"),
        Context(name="nowhere", host="h1", image="x", container="other"),
    )
    fleet = state_of([host("h1", [mine], gpu_report=report)])
    async with dashboard(fleet, tmp_path, contexts=contexts) as board:
        await board.until(lambda: board.app.doing is not None)
        await board.press("4")
        await board.until(lambda: board.names == ["here", "nowhere"])
        await board.until(lambda: "l logs" in footer(board))
        await board.press("j")
        await board.until(lambda: "logs" not in footer(board))
        await board.press("2")
        await board.until(lambda: len(board.app.desk.table.rows) == 2)
        assert "l logs" not in footer(board)


async def test_a_context_without_a_container_is_offered_a_start_and_no_stop(tmp_path: Path) -> None:
    there, gone = (Context(name=name, host="h1", image="busybox", container=name) for name in ("a", "b"))
    async with dashboard(state_of([host("h1", [container("a")])]), tmp_path, contexts=(there, gone)) as board:
        await board.until(lambda: board.app.doing is not None)
        await board.press("4")
        await board.until(lambda: " s down" in footer(board))
        await board.press("j")
        await board.until(lambda: " s down" not in footer(board) and " u up" in footer(board))
        await board.press("s")
        await board.until(lambda: "down: h1/b is missing (u: up)" in message(board))
        await board.press("D")
        await board.until(lambda: "drift: h1/b is missing (u: up)" in message(board))
        assert board.app.doing.runs.runs == [], "a key that is not offered begins nothing"
        assert isinstance(board.app.screen, Desk)


def test_the_header_has_as_many_titles_as_fit_and_always_that_of_the_view() -> None:
    parts = [[("12 hosts", "plain"), ("3 GPUs free", "free")], [("12 hosts", "plain"), ("3 free", "free")]]
    for listed in LISTED:
        header = HeaderBar(LISTED, active=listed.name, id="header")
        header.show(active=listed.name, parts=parts, badges=[])
        counts = []
        for width in range(60, 180, 10):
            left, right = header.spans(width)
            text = "".join(span for span, _, _ in left)
            assert f" {listed.number} {listed.title} " in text
            assert len(text) + sum(len(span) for span, _, _ in right) <= width
            counts.append(sum(each.title in text for each in LISTED))
        assert counts == sorted(counts) and counts[-1] == len(LISTED)
        assert counts[2] > 1, "at 80 columns others are named too"
