"""Whatever a host calls its things, every line of every view stays as wide as the screen."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.cells import cell_len

from backend.model import (
    FleetState,
    GpuProcess,
    GpuReport,
    HostState,
    HostStats,
    Port,
    Problem,
    TmuxPane,
    TmuxSession,
)
from tests.tui.fakes import GIB, container, contexts, down, gpu, host, showcase, state_of
from tests.tui.helpers import dashboard
from tui.dialogs import Confirm
from tui.help import HelpScreen
from tui.views import all_views

NAMES = [
    "[/oops]",
    "[bold red]x[/]",
    "\x1b[2J\x1b[31mred",
    "\x1b]52;c;aGk=\x07clip",
    "two\nlines\r\n\ttab",
    "\N{RIGHT-TO-LEFT OVERRIDE}gpj.exe",
    "مرحبا بالعالم",
    "漢字かな交じり文",
    "\N{FAMILY}\N{ZERO WIDTH JOINER}\N{MAN}\N{ZERO WIDTH JOINER}\N{WOMAN}",
    "e" + "\N{COMBINING ACUTE ACCENT}" * 50,
    "\x00\x07\x08\x7f\x9b31m",
    "x" * 5000,
    "漢" * 5000,
    "",
    " ",
    "\ud800 lone",
    "🇩🇪🏳️‍🌈👍🏽❤️",
]
VIEWS = all_views()
SIZES = [(40, 20), (80, 24), (200, 50), (300, 80)]
NOW = datetime.now(UTC)


def hostile() -> FleetState:
    """Hosts, containers, GPUs, processes and sessions of those names."""
    hosts = []
    for number, name in enumerate(NAMES):
        box = container(
            name,
            number=number,
            image=name,
            owner=name,
            command=name,
            health=name,
            labels={name: name},
            ports=(Port(private=1, address=name, public=2),),
            gpus=(name,),
        )
        odd = container(name, number=number + 100, state=name)
        card = gpu(0, 50.0, 3.0, name=name or "?", uuid=name, arch=name, error=name if number % 2 else "")
        process = GpuProcess(gpu=name, pid=1, user=name, command=name, container=box.id)
        pane = TmuxPane(id="%0", window=0, window_name=name, index=0, command=name, title=name, path=name)
        session = TmuxSession(
            id=name, name=name, user=name, socket=name, attached=1, windows=1, panes=(pane,)
        )
        hosts.append(
            host(
                f"{number}{name}",
                [box, odd],
                address=name,
                comment=name,
                type=name,
                tags=(name,),
                sessions=(session,),
                gpu_report=GpuReport(gpus=(card,)),
                processes=(process,),
                warnings=(Problem(name, name, name),),
            )
        )
        hosts.append(down(f"down-{number}{name}", message=name))
    return state_of(hosts)


def check_lines(text: str, width: int, height: int) -> None:
    lines = text.split("\n")
    assert len(lines) == height
    for line in lines:
        assert cell_len(line) == width, repr(line)
        assert line.isprintable(), repr(line)


@pytest.mark.parametrize("size", SIZES)
async def test_every_view_keeps_its_shape(tmp_path: Path, size: tuple[int, int]) -> None:
    async with dashboard(hostile(), tmp_path, size=size) as board:
        for view in VIEWS:
            await board.press(str(view.NUMBER))
            assert board.app.desk.view.NAME == view.NAME
            check_lines(board.text, *size)
            await board.press("G")
            check_lines(board.text, *size)
            if size == (80, 24) and board.app.desk.table.row is not None and view.NAME != "fleet":
                await board.press("enter")
                check_lines(board.text, *size)
                await board.press("escape")


async def test_dialogs_and_the_command_line_keep_their_shape(tmp_path: Path) -> None:
    size = (100, 30)
    async with dashboard(hostile(), tmp_path, size=size) as board:
        await board.press("3", "asterisk")
        for key in ("c", "o", "question_mark", "vertical_line"):
            await board.press(key)
            check_lines(board.text, *size)
            await board.press("escape")
        await board.press("colon")
        await board.type("ps @")
        check_lines(board.text, *size)
        await board.press("escape", "C")
        check_lines(board.text, *size)
        assert "\x1b" not in board.app.clipboard


async def test_a_hostile_key_is_shown_harmlessly(tmp_path: Path) -> None:
    for name in NAMES[:6]:
        problem = Problem(name, name, name, fingerprint=name, key="ssh-ed25519 x")
        state = state_of([down("h" + name, state=HostState.HOST_KEY, error=problem, address=name)])
        async with dashboard(state, tmp_path, size=(80, 24)) as board:
            await board.press("enter")
            assert isinstance(board.app.screen, Confirm)
            check_lines(board.text, 80, 24)
            assert board.fleet.accepted == []


@pytest.mark.parametrize("size", SIZES)
async def test_every_view_fits_a_terminal_of_that_size(tmp_path: Path, size: tuple[int, int]) -> None:
    async with dashboard(showcase(), tmp_path, size=size, contexts=contexts()) as board:
        for view in VIEWS:
            await board.press(str(view.NUMBER))
            check_lines(board.text, *size)
            assert board.app.desk.table.max_scroll_x == 0, f"{view.NAME} scrolls sideways"


async def test_any_size_down_to_one_cell_and_back(tmp_path: Path) -> None:
    async with dashboard(showcase(), tmp_path, size=(120, 40), contexts=contexts()) as board:
        for view in VIEWS:
            await board.press(str(view.NUMBER))
            for width, height in ((1, 1), (40, 2), (1, 50), (120, 40)):
                await board.pilot.resize_terminal(width, height)
                await board.pilot.pause()
        await board.press("1", "question_mark")
        for width, height in ((1, 1), (120, 40)):
            await board.pilot.resize_terminal(width, height)
            await board.pilot.pause()
        check_lines(board.text, 120, 40)
        assert isinstance(board.app.screen, HelpScreen)
        await board.press("escape")
        assert board.app.desk.view.NAME == "fleet" and board.selected in board.text


async def test_absurd_numbers_keep_the_columns(tmp_path: Path) -> None:
    stats = HostStats(cpu_percent=100.0, load1=123456.789, mem_used=1 << 62, mem_total=1 << 62)
    card = gpu(
        99999, 100.0, 0, mem_used=1 << 62, mem_total=1 << 62, temp_c=1e9, power_w=1e12, power_limit_w=1e12
    )
    state = state_of(
        [host("h1", [container("c")], stats=stats, latency_ms=1e9, gpu_report=GpuReport(gpus=(card,) * 3))]
    )
    async with dashboard(state, tmp_path, size=(160, 40)) as board:
        for view in VIEWS:
            await board.press(str(view.NUMBER))
            check_lines(board.text, 160, 40)
    assert GIB
