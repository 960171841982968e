"""The page of one command on all hosts, by keys, with real shells."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.widgets import Input, Static

from backend.actions import commands
from backend.config import Settings
from backend.config.schema import OwnCommand, OwnParam
from backend.errors import ConfigError
from backend.link.local import LocalLink
from backend.model import HostState
from tests.tui.fakes import FakeFleet, config_of, down, host, state_of
from tests.tui.helpers import Board, dashboard
from tui.app import BerthApp
from tui.dialogs import Confirm
from tui.everywhere.screen import EverywhereScreen
from tui.forms import Form
from tui.menu import Menu


@pytest.fixture(autouse=True)
def shells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hosts are reached without a network, but for those that are down."""
    links: dict[str, LocalLink] = {}

    def link(self: FakeFleet, name: str) -> LocalLink | None:
        if self.state.hosts[name].state is not HostState.UP:
            return None
        return links.setdefault(name, LocalLink(name))

    monkeypatch.setattr(FakeFleet, "link", link, raising=False)
    monkeypatch.setenv("SHELL", "/bin/sh")
    monkeypatch.chdir(tmp_path)
    yield
    commands.declare(Settings())


def fleet():
    return state_of([host("h1"), host("h2"), host("h3"), down("h4")])


async def opened(board: Board) -> EverywhereScreen:
    await board.until(lambda: isinstance(board.app.screen, EverywhereScreen) and board.app.screen.is_mounted)
    screen = board.app.screen
    assert isinstance(screen, EverywhereScreen)
    return screen


async def ended(board: Board, screen: EverywhereScreen) -> None:
    await board.until(lambda: screen.live is not None and screen.live.over)
    screen._draw_at = 0.0
    screen._update()
    await board.pilot.pause()


def alive(pid: int) -> bool:
    """Whether it runs; what nobody has buried yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def said(screen: EverywhereScreen) -> str:
    return str(screen.query_one("#each-state", Static).content)


async def run(board: Board, screen: EverywhereScreen, text: str) -> None:
    screen.query_one("#each-input", Input).value = text
    await board.press("enter")


async def test_equal_outputs_are_folded_differences_marked_and_hosts_that_are_down_named(tmp_path):
    async with dashboard(fleet(), tmp_path / "config") as board:
        await board.press("at")
        screen = await opened(board)
        await run(board, screen, "echo same; [ {host} = h3 ] && echo odd; exit 0")
        await ended(board, screen)
        text = board.text
        assert "h1, h2 (2) · exit 0" in text and "h3 · exit 0" in text
        assert "~ odd" in text and "  same" in text
        assert "! h4 · unreachable" in text and "Connection refused" in text
        assert "3 of 4 ended with 0 · not: h4" in said(screen)
        await board.press("f")  # each for itself
        assert "h1 · exit 0" in board.text and "h2 · exit 0" in board.text
        await board.press("e", "up")  # what was run before
        assert screen.query_one("#each-input", Input).value.startswith("echo same")
        await board.press("escape", "R")  # again where it failed
        await ended(board, screen)
        assert [each.host for each in screen.live.runs] == ["h4"]
        await board.press("escape")
        await board.until(lambda: board.app.screen is board.app.desk)
        await board.press("8")
        await board.until(lambda: "everywhere" in board.text)


async def test_wide_screens_have_columns_narrow_ones_a_list(tmp_path):
    async with dashboard(fleet(), tmp_path / "config", size=(130, 24)) as board:
        await board.press("colon")
        await board.type("each @h1 @h2 echo I am {host}; printf '%200s' x")
        await board.press("enter")
        screen = await opened(board)
        await ended(board, screen)

        def beside() -> bool:
            return any("m h1" in line and "m h2" in line for line in board.text.splitlines()[1:-2])

        assert beside()
        await board.press("w")
        assert sum(line.count("x") for line in board.text.splitlines()[2:-2]) >= 2  # its end is seen now
        await board.pilot.resize_terminal(70, 24)
        screen._draw_at = 0.0
        await board.until(lambda: not beside())
        await board.pilot.resize_terminal(1, 1)
        await board.pilot.pause()
        await board.pilot.resize_terminal(130, 24)
        await board.until(beside)


async def test_cancel_ends_it_and_leaving_lets_it_go_on(tmp_path):
    async with dashboard(fleet(), tmp_path / "config") as board:
        await board.press("at")
        screen = await opened(board)
        await run(board, screen, f"@h1 @h2 echo $$ >>{tmp_path}/pids; echo began; exec sleep 1000")
        await board.until(lambda: screen.live and all(each.output.lines for each in screen.live.runs))
        await board.press("ctrl+k")
        await ended(board, screen)
        assert {each.state for each in screen.live.runs} == {"cancelled"}
        pids = [int(each) for each in (tmp_path / "pids").read_text().split()]
        assert len(pids) == 2 and not any(map(alive, pids))
        await board.press("e")
        await run(board, screen, f"@h1 until [ -e {tmp_path}/go ]; do sleep 0.05; done; echo on")
        await board.press("escape")
        await board.until(lambda: board.app.screen is board.app.desk)
        (tmp_path / "go").touch()
        await board.until(lambda: any("done on 1 host" in each.message for each in board.app._notifications))


async def test_saved_and_hostile_output_is_harmless(tmp_path):
    async with dashboard(fleet(), tmp_path / "config") as board:
        await board.press("at")
        screen = await opened(board)
        await run(board, screen, r"@h1 printf 'a\033[2Jb\033]0;t\007c\n[red]x[/]\n\377\n'")
        await ended(board, screen)
        assert "abc" in board.text and "[red]x[/]" in board.text and "\x1b" not in board.text
        await board.press("s")
        await board.until(lambda: list((tmp_path / "state/saved-outputs").glob("each-*.txt")))
        (path,) = (tmp_path / "state/saved-outputs").glob("each-*.txt")
        assert "[red]x[/]" in path.read_text() and path.stat().st_mode & 0o777 == 0o600


async def test_what_cannot_be_run_is_said_and_read_only_has_no_key(tmp_path):
    async with dashboard(fleet(), tmp_path / "config") as board:
        await board.press("at")
        screen = await opened(board)
        await run(board, screen, "@nowhere uptime")
        assert "no host has the tag 'nowhere'" in said(screen)
        await run(board, screen, "echo '{host}'")
        assert "single quotes" in said(screen)
        assert screen.live is None
    async with dashboard(fleet(), tmp_path / "config", read_only=True) as board:
        await board.until(lambda: board.app.desk.can_act)
        await board.press("at")
        assert board.app.screen is board.app.desk
        await board.press("colon")
        await board.until(lambda: isinstance(board.app.focused, Input))
        await board.type("each uptime")
        await board.press("enter")
        await board.until(lambda: "read-only" in board.text)
        assert board.app.screen is board.app.desk


def own(**commands_: OwnCommand) -> Settings:
    return Settings(commands={name.replace("_", "-"): each for name, each in commands_.items()})


async def test_commands_of_ones_own_have_keys_forms_questions_and_pages(tmp_path):
    settings = own(
        say=OwnCommand(
            command="echo {word} from {host} x$BERTH_SECRET",
            runs="host",
            key="ctrl+t",
            danger=True,
            params={
                "word": OwnParam(default="hello"),
                "level": OwnParam(type="choice", choices=("low", "high"), default="low"),
                "secret": OwnParam(type="secret"),
            },
        ),
        all_up=OwnCommand(command=("echo", "up {host}"), on="everywhere", runs="host", key="f9", reads=True),
        quiet=OwnCommand(command="exit 3", runs="host", key="f8", show="background"),
    )
    async with dashboard(fleet(), tmp_path / "config", settings=settings) as board:
        await board.press("1", "j", "ctrl+t")
        await board.until(lambda: isinstance(board.app.screen, Form))
        form = board.app.screen
        form.query_one("#f-word", Input).value = "it's; $(id)"
        form.query_one("#f-secret", Input).value = "hunter2"
        assert form.query_one("#f-secret", Input).password
        await board.press("ctrl+s")
        await board.until(lambda: isinstance(board.app.screen, Confirm))
        await board.until(lambda: "Run say on h1?" in board.text)
        await board.press("y")
        await board.until(lambda: "it's; $(id) from h1 x..." in board.text)
        await board.until(lambda: board.app.doing.runs.runs[0].state == "done")
        kept = board.app.doing.runs.runs[0].row()
        assert "hunter2" not in str(kept.options) + str(kept.output) + str(kept.notes)
        await board.press("escape")
        await board.press("f9")
        screen = await opened(board)
        await ended(board, screen)
        assert "up h1" in board.text and screen.query_one("#each-input", Input).disabled
        await board.press("escape")
        await board.press("f8")
        await board.until(lambda: any("exit code 3" in each.message for each in board.app._notifications))
        await board.press("space", "j", "space", "f8")  # on the marked ones, side by side
        await board.until(lambda: any("0 of 2 done" in each.message for each in board.app._notifications))
        await board.press("escape", "x")
        await board.until(lambda: isinstance(board.app.screen, Menu))
        await board.type("all up")
        await board.until(lambda: "Run echo 'up {host}'" in board.text)


async def test_read_only_leaves_those_that_only_read(tmp_path):
    settings = own(
        look=OwnCommand(command="uptime", runs="host", reads=True),
        mend=OwnCommand(command="reboot", runs="host"),
    )
    async with dashboard(fleet(), tmp_path / "config", settings=settings, read_only=True) as board:
        await board.until(lambda: board.app.desk.can_act)
        names = {action.name for action in board.app.desk.actions()}
        assert "do-look" in names and "do-mend" not in names and "each" not in names


@pytest.mark.parametrize(
    ("key", "other"), [("at", "each"), ("slash", "filter"), ("e", "login"), ("ctrl+q", "x")]
)
def test_a_key_that_is_taken_is_an_error_that_names_both(tmp_path, key, other):
    settings = own(x=OwnCommand(command="true", runs="host", key=key))
    with pytest.raises(ConfigError, match="do-x") as error:
        BerthApp(config_of(fleet(), tmp_path, settings=settings))
    assert other in str(error.value)
