"""Tunnels by keys: chosen, opened, listed, copied, stopped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.widgets import Input

from backend.actions.runs import Run
from backend.config import Context
from backend.config.schema import Service
from backend.link.local import LocalLink
from backend.tunnels import book
from tests.tui.fakes import FakeFleet, container, host, state_of
from tests.tui.helpers import Board, dashboard
from tui.doing import declared
from tui.forms import Form
from tui.menu import Menu
from tui.tunnels import follow as following
from tui.tunnels.choose import entries
from tui.tunnels.follow import follow


class Wire(LocalLink):
    """A link to a host that happens to be this machine."""

    local = False


@pytest.fixture(autouse=True)
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: dict[str, Wire] = {}
    monkeypatch.setattr(
        FakeFleet, "link", lambda self, name: made.setdefault(name, Wire(name)), raising=False
    )
    monkeypatch.setenv("BERTH_STATE_DIR", str(tmp_path / "state"))


@asynccontextmanager
async def page() -> AsyncIterator[int]:
    """Something that answers; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"page of " + await reader.readline())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def opened(board: Board, port: int) -> int:
    """A tunnel to a port of the first host, by keys; its port here."""
    await board.until(lambda: board.app.doing is not None)
    await board.press("t")
    await board.until(lambda: isinstance(board.app.screen, Form) and board.app.screen.query(Input))
    board.app.screen.query(Input).first().value = str(port)
    await board.press("ctrl+s")
    await board.press("9")
    await board.until(lambda: board.app.desk.view.NAME == "tunnels" and board.app.desk.table.rows)
    return int(board.app.desk.table.rows[0].address.rpartition(":")[2])


async def test_a_port_is_opened_listed_with_its_traffic_copied_and_stopped(tmp_path: Path):
    async with page() as port, dashboard(state_of([host("h1")]), tmp_path, size=(150, 40)) as board:
        here = await opened(board, port)
        assert here != port
        reader, writer = await asyncio.open_connection("127.0.0.1", here)
        writer.write(b"mine\n")
        assert await reader.read() == b"page of mine\n"
        writer.close()
        view = board.app.desk.view
        (run,) = board.app.doing.runs.runs
        await board.until(lambda: following._told == {run.id: {"address"}})
        await board.until(lambda: view.table.rows[0].received == 13)
        assert "dashboard" in board.text and f"127.0.0.1:{here}" in board.text
        await board.press("y")
        await board.until(lambda: board.app.clipboard == f"127.0.0.1:{here}")
        await board.press("s")
        await board.until(lambda: not view.table.rows)
        assert await book.rows() == []
        await board.until(lambda: all(run.state == "done" for run in board.app.doing.runs.runs))
        await board.until(lambda: not following._told and not following._waiting)


async def test_leaving_the_dashboard_lets_go_of_its_tunnels(tmp_path: Path):
    async with page() as port:
        async with dashboard(state_of([host("h1")]), tmp_path, size=(150, 40)) as board:
            here = await opened(board, port)
        async with asyncio.timeout(30):
            while await answers(here):
                await asyncio.sleep(0.01)
            while list((tmp_path / "state" / "tunnels").glob("*.json")):
                await asyncio.sleep(0.01)
        assert await book.rows() == []


async def answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def trained(**more: object) -> Context:
    return Context(
        name="train", host="h1", image="x", container="train", ports=("127.0.0.1:7000:7000/tcp",), **more
    )


async def test_a_context_offers_its_services_and_ports_and_the_usual_ones(tmp_path: Path):
    context = trained(services={"grafana": Service(port=3000)}, tunnels=("grafana", "6006"))
    state = state_of([host("h1", [container("train")])])
    async with dashboard(state, tmp_path, contexts=(context,), size=(120, 40)) as board:
        await board.until(lambda: board.app.doing is not None)
        await board.press("4")
        await board.until(lambda: board.names == ["train"])
        await board.press("t")
        await board.until(lambda: isinstance(board.app.screen, Menu))
        row = board.app.desk.table.row
        names = [entry.name for entry in entries(row, board.app.config)]
        assert names[:2] == ["grafana 6006", "grafana"]
        assert {"jupyter", "lab", "tensorboard", "airflow", "7000", "other"} <= set(names)
        await board.type("another port")
        await board.press("enter")
        await board.until(lambda: isinstance(board.app.screen, Form))
        await board.press("escape")
        assert not board.app.doing.runs.runs


async def test_the_tunnels_of_a_context_open_as_it_comes_up_and_once(tmp_path: Path):
    context = trained(tunnels=("6006",))
    async with dashboard(
        state_of([host("h1", [container("train")])]), tmp_path, contexts=(context,)
    ) as board:
        await board.until(lambda: board.app.doing is not None)
        row = board.app.sources.builder.contexts(board.app.sources.state)[0]
        came_up = Run(declared()["up"], row, {}, board.app.doing)
        came_up.state = "done"
        follow(board.app, came_up)
        (run,) = board.app.doing.runs.runs
        assert (run.action.name, run.target, run.options) == ("tunnel-context", row, {"services": ("6006",)})
        assert run.state == "running"
        follow(board.app, came_up)
        assert board.app.doing.runs.runs == [run]


async def test_a_service_that_starts_slowly_is_told_of_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    context = trained(services={"grafana": Service(port=3000)})
    state = state_of([host("h1", [container("train")])])
    async with dashboard(state, tmp_path, contexts=(context,)) as board:
        await board.until(lambda: board.app.doing is not None)
        row = board.app.sources.builder.contexts(board.app.sources.state)[0]
        run = Run(declared()["tunnel-context"], row, {}, board.app.doing)
        said: list[str] = []
        monkeypatch.setattr(board.app, "notify", lambda text, **_: said.append(text))
        for seconds in range(4):
            run.output.append(f"grafana: nothing answers yet, {seconds} s")
            follow(board.app, run)
        assert said == ["grafana: nothing answers yet, 0 s"]
        monkeypatch.setattr(following, "_PAUSE", 0.0)
        follow(board.app, run)
        assert said[1:] == ["grafana: nothing answers yet, 3 s"]
        run.state = "failed"
        follow(board.app, run)
        assert not following._waiting
