"""The detail pane: what it says about each kind of target, in place, at any size, whatever hosts send."""

from __future__ import annotations

import asyncio
import unicodedata
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from textual.app import App, ComposeResult
from textual.timer import Timer

from backend.config import Config, Context
from backend.history import History, Series
from backend.model import FleetState, HostState
from backend.rows import RowBuilder
from tests.data.fleet import hostile_snapshot, make_hosts, make_state
from tui.detail import DetailPane
from tui.detail.lines import Lines
from tui.detail.page import View
from tui.detail.pane import PAGES
from tui.plots import HistoryPlot

STYLES = Path(__file__).parents[2] / "styles" / "detail.tcss"
NOW = datetime.now(UTC)
CONTEXT = Context(
    name="train",
    host="host-000",
    image="pytorch:2.9-cuda13",
    container="alice-train-0",
    ports=("127.0.0.1:9999:9999/tcp",),
    mounts=("/data:/data:ro",),
    gpus=("0", "1"),
    env={"TOKEN": "hunter2"},
    memory=64 << 30,
)
CONFIG = Config(directory=Path("/nowhere"), contexts=(CONTEXT,))


class Pane(App[None]):
    CSS_PATH = STYLES

    def compose(self) -> ComposeResult:
        yield DetailPane()

    @property
    def pane(self) -> DetailPane:
        return self.query_one(DetailPane)

    @property
    def lines(self) -> Lines:
        return self.query_one(Lines)

    def screen_text(self) -> str:
        return "\n".join(
            "".join(segment.text for segment in line) for line in self.screen._compositor.render_strips()
        )


async def until(pilot, condition) -> None:
    """Wait for something to be true on the screen."""
    async with asyncio.timeout(10):
        while not condition():
            await pilot.pause(0.01)


def targets(state: FleetState) -> dict[str, object]:
    rows = RowBuilder(CONFIG.contexts)
    return {
        "host": state.hosts["host-000"],
        "gpu": rows.gpus(state)[0],
        "container": rows.containers(state)[0],
        "context": rows.contexts(state)[0],
        "session": rows.sessions(state)[0],
    }


def page_text(target, state: FleetState, width: int = 100) -> str:
    page = PAGES[type(target)](target, View(state, History(), CONFIG))
    lines = page.sheet.lines(width)
    return "\n".join("".join(text for text, _ in line) for line in lines)


@pytest.fixture
def state() -> FleetState:
    return make_state(make_hosts(2, now=datetime.now(UTC)), down=frozenset({1}))


def test_a_host_that_is_down_tells_what_and_what_to_do_first(state):
    down = msgspec.structs.replace(
        state.hosts["host-001"], retry_at=datetime.now(UTC) + timedelta(seconds=30)
    )
    text = page_text(down, FleetState(hosts={"host-001": down}))
    first = text.splitlines()[:6]
    assert first[0] == "! Unreachable"
    assert first[1] == "host-001 does not answer on port 22."
    assert first[2] == "Try: berth doctor host-001"
    assert any(line.startswith("next try") and " s" in line for line in first)
    assert any(line.startswith("last seen") and "3 m ago" in line for line in first)
    assert "as last seen" in text


def test_a_host_tells_about_the_machine_and_its_users(state):
    text = page_text(state.hosts["host-000"], state)
    for piece in (
        "Debian GNU/Linux 12",
        "docker 28.1.0",
        "CPUs",
        "memory",
        "engine disk",
        "NVIDIA H100",
        "prod",
    ):
        assert piece in text
    assert "mallory" in text.partition("Who uses it")[2]


def test_a_gpu_names_its_processes_and_idle_owner(state):
    rows = RowBuilder(()).gpus(state)
    idle = next(row for row in rows if row.idle_since and not row.stale)
    text = page_text(idle, state)
    assert "nothing has run since" in text
    process = idle.processes[0]
    assert str(process.pid) in text and process.command in text and idle.uuid in text


def test_a_container_shows_what_inspect_would(state):
    row = next(row for row in RowBuilder(()).containers(state) if row.gpus and row.host == "host-000")
    found = next(c for c in state.hosts["host-000"].containers if c.id == row.id)
    text = page_text(row, state, width=160)
    for piece in (found.id, found.image_id, found.command, found.mounts[0].target, "research", "bridge"):
        assert piece in text


def test_a_container_that_ended_badly_says_so(state):
    host = state.hosts["host-000"]
    ended = msgspec.structs.replace(
        host.containers[0], state="exited", exit_code=137, oom_killed=True, restarts=3
    )
    state = FleetState(hosts={host.name: msgspec.structs.replace(host, containers=(ended,))})
    text = page_text(RowBuilder(()).containers(state)[0], state)
    assert "needed more memory" in text and "137" in text and "restarts" in text


def test_what_is_gone_says_so(state):
    found = targets(state)
    host = state.hosts["host-000"]
    empty = FleetState(hosts={host.name: msgspec.structs.replace(host, containers=(), sessions=())})
    assert "gone" in page_text(found["container"], empty)
    assert "ended" in page_text(found["session"], empty)
    for kind in ("container", "session", "gpu", "host"):
        assert page_text(found[kind], FleetState(hosts={}))


def test_a_context_shows_every_value_but_no_secret(state):
    text = page_text(targets(state)["context"], state)
    for piece in (
        "pytorch:2.9-cuda13",
        "127.0.0.1:9999:9999/tcp",
        "/data:/data:ro",
        "0, 1",
        "64.0 G",
        "TOKEN",
    ):
        assert piece in text
    assert "hunter2" not in text
    assert "train-1" in text.partition("Sessions")[2]


def test_a_context_names_a_container_of_another_image(state):
    host = state.hosts["host-000"]
    other = msgspec.structs.replace(
        host.containers[0], name="alice-train-0", image="other:1", state="running"
    )
    state = FleetState(hosts={host.name: msgspec.structs.replace(host, containers=(other,))})
    assert "not the context's image" in page_text(targets(state)["context"], state)


def test_a_session_lists_its_panes(state):
    text = page_text(targets(state)["session"], state)
    assert "Window 0" in text and "vim" in text and "120x40" in text and "/home/alice/project" in text


@pytest.mark.parametrize("width", [1, 2, 7, 20, 40, 80, 200])
@pytest.mark.parametrize("kind", ["host", "gpu", "container", "context", "session"])
def test_no_host_can_break_a_page_at_any_width(kind, width):
    state = FleetState(hosts={"host-000": hostile_snapshot()})
    for target in (targets(state)[kind], *RowBuilder(()).containers(state)):
        text = page_text(target, state, width)
        bad = {unicodedata.category(char) for char in text.replace("\n", "")} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
        assert not bad


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (20, 5), (40, 20), (80, 24), (200, 50), (300, 80)])
async def test_it_works_at_any_size_with_hostile_text(size):
    state = FleetState(hosts={"host-000": hostile_snapshot()})
    app = Pane()
    async with app.run_test(size=size) as pilot:
        for target in targets(state).values():
            app.pane.show(target, state, History(), CONFIG)
            await pilot.pause()
            lines = app.screen_text().split("\n")
            assert len(lines) == size[1]
            assert "\x1b" not in app.screen_text()


async def test_values_change_in_place_and_the_scroll_position_stays():
    hosts = make_hosts(1, now=NOW)
    history = History()
    app = Pane()
    async with app.run_test(size=(60, 15)) as pilot:
        state = make_state(hosts)
        app.pane.show(state.hosts["host-000"], state, history, CONFIG)
        await pilot.pause()
        app.lines.scroll_to(0, 9, animate=False)
        await pilot.pause()
        before = app.pane.text
        state = make_state(hosts, tick=25)
        app.pane.show(state.hosts["host-000"], state, history, CONFIG)
        await pilot.pause()
        assert app.pane.text != before
        assert app.lines.scroll_offset.y == 9
        other = RowBuilder(()).gpus(state)[0]
        app.pane.show(other, state, history, CONFIG)
        await until(pilot, lambda: "utilisation" in app.pane.text)
        assert app.lines.scroll_offset.y == 0


async def test_nothing_is_drawn_again_while_nothing_changes(state, monkeypatch):
    app = Pane()
    async with app.run_test(size=(100, 30)) as pilot:
        history = History()
        view = View(state, history, CONFIG)
        monkeypatch.setattr("tui.detail.pane.View", lambda *_: view)
        app.pane.show(state.hosts["host-000"], state, history, CONFIG)
        await pilot.pause()
        await pilot.pause()
        built = []
        monkeypatch.setattr(Lines, "set_lines", lambda *_: built.append(1))
        for _ in range(5):
            app.pane.show(state.hosts["host-000"], state, history, CONFIG)
            await pilot.pause()
        assert built == []


async def test_plots_stand_beside_the_text_only_where_there_is_room(state):
    app, history = Pane(), History()
    history.feed(state)
    async with app.run_test(size=(120, 40)) as pilot:
        app.pane.show(state.hosts["host-000"], state, history, CONFIG)
        await until(pilot, lambda: app.query_one("#detail-plots").display)
        await pilot.pause()
        plot = app.query(HistoryPlot).first()
        assert plot.region.x > app.lines.region.x + 40
        await pilot.resize_terminal(50, 20)
        await pilot.pause()
        await pilot.pause()
        assert plot.size.height == 1 and plot.region.y > app.lines.region.y
        app.pane.show(targets(state)["session"], state, history, CONFIG)
        await until(pilot, lambda: "Window 0" in app.pane.text)
        assert not app.query_one("#detail-plots").display


async def test_a_moving_cursor_draws_no_details_until_it_rests():
    hosts = make_hosts(9, now=NOW)
    state, history = make_state(hosts), History()
    app = Pane()
    async with app.run_test(size=(100, 30)) as pilot:
        app.pane.show(state.hosts["host-000"], state, history, CONFIG)
        await pilot.pause()
        drawn = []
        set_lines = Lines.set_lines

        def note(lines):
            set_lines(app.lines, lines)
            drawn.append(app.pane.text)

        app.lines.set_lines = note
        for name in state.hosts:
            app.pane.show(state.hosts[name], state, history, CONFIG)
        await until(pilot, lambda: "host-008" in app.pane.text)
        passed_by = [name for name in list(state.hosts)[1:-1] if any(name in text for text in drawn)]
        assert passed_by == []


async def test_a_timer_that_never_fires_stops_nothing(monkeypatch):
    state = make_state(make_hosts(2, now=NOW))
    app, history = Pane(), History()
    history.feed(state)

    def shown() -> list[str]:
        return [plot.render_line(0).text.split()[0] for plot in app.query(HistoryPlot) if plot.display]

    async with app.run_test(size=(120, 40)) as pilot:
        app.pane.show(state.hosts["host-000"], state, history, CONFIG)
        await until(pilot, lambda: shown() == ["CPU", "GPUs", "Memory"])
        with monkeypatch.context() as lost:
            lost.setattr(app.pane, "set_timer", lambda *_: Timer(app.pane, 1.0, pause=True))
            app.pane.show(state.hosts["host-001"], state, history, CONFIG)
            assert "host-000" in str(app.pane.border_title)
            while "host-001" not in str(app.pane.border_title):
                app.pane.show(state.hosts["host-001"], state, history, CONFIG)
                await pilot.pause()
        for plot in app.query(HistoryPlot):
            plot.show(Series((), 1.0, 0.0, 0.0), title="old")
        app.pane.show(state.hosts["host-000"], state, history, CONFIG)
        await until(pilot, lambda: shown() == ["CPU", "GPUs", "Memory"])


async def test_nothing_selected_says_how_to_select():
    app = Pane()
    async with app.run_test(size=(60, 10)) as pilot:
        app.pane.show(None, FleetState(hosts={}), History(), CONFIG)
        await pilot.pause()
        assert "Nothing is selected" in app.pane.text


async def test_text_can_be_selected_and_copied(state):
    app = Pane()
    async with app.run_test(size=(110, 70)) as pilot:
        app.pane.show(state.hosts["host-000"], state, History(), CONFIG)
        await pilot.pause()
        await pilot.pause()
        lines = app.lines
        row = next(y for y, line in enumerate(lines.text.split("\n")) if line.startswith("system"))
        await pilot.mouse_down(lines, offset=(13, row))
        await pilot.hover(lines, offset=(19, row))
        await pilot.mouse_up(lines, offset=(19, row))
        assert (app.screen.get_selected_text() or "").startswith("Debian")


async def test_a_host_key_to_decide_on_is_shown_in_full():
    host = hostile_snapshot()
    app = Pane()
    problem = msgspec.structs.replace(host.error, fingerprint="SHA256:abcdef", title="Unknown host key")
    host = msgspec.structs.replace(host, error=problem, state=HostState.HOST_KEY)
    async with app.run_test(size=(80, 30)) as pilot:
        app.pane.show(host, FleetState(hosts={host.name: host}), History(), CONFIG)
        await pilot.pause()
        await pilot.pause()
        assert "SHA256:abcdef" in app.pane.text


def test_a_number_and_its_unit_stay_together_where_it_is_narrow() -> None:
    from tui.cells import bar, number, text_of
    from tui.detail.page import Sheet

    sheet = Sheet()
    sheet.field("cpu", bar(10, 15), number(3.0, 0, 7, " %"), (("of 2 CPUs", "dim"),))
    narrow = [text_of(line).rstrip() for line in sheet.lines(34)]
    assert [line.split() for line in narrow[1:]] == [["3", "%", "of", "2", "CPUs"]]
    assert len(sheet.lines(60)) == 1
    assert all(len(text_of(line)) <= 14 for line in sheet.lines(14))
