"""The dashboard as people use it: keys, filter, command line, dialogs, settings, errors."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace
from textual.widgets import Button, OptionList

from backend import laststate
from backend.config import Settings
from backend.config.settings import read_settings
from backend.errors import ActionFailed, ConfigError
from backend.model import Engine, EngineState, HostState, Problem
from tests.tui.fakes import container, contexts, down, gpu, host, showcase, state_of, unknown_key
from tests.tui.helpers import dashboard
from tui.app import BerthApp
from tui.desk import Desk
from tui.dialogs import Confirm
from tui.help import HelpScreen
from tui.keys import bindings_of
from tui.table import FleetTable
from tui.views import all_views

VIEWS = all_views()
FLEET = state_of(
    [
        host("h1", [container("web"), container("db", number=1)]),
        host("h2", [container("job", number=2)]),
        down("h3"),
    ]
)


async def test_hosts_are_shown_with_problems_first_and_what_is_wrong(tmp_path: Path) -> None:
    async with dashboard(FLEET, tmp_path) as board:
        assert board.names == ["h3", "h1", "h2"]
        assert "Connection refused" in board.text
        assert "3 hosts" in board.text
        assert "! 1 down" in board.text


async def test_every_view_opens_by_its_number_and_shows_its_rows(tmp_path: Path) -> None:
    async with dashboard(showcase(), tmp_path, contexts=contexts(), size=(160, 45)) as board:
        for view in VIEWS:
            await board.press(str(view.NUMBER))
            assert board.app.desk.view.NAME == view.NAME
            assert board.app.desk.table.rows or view.NAME in ("activity", "tunnels"), view.NAME
            assert board.app.focused is board.app.desk.table


async def test_views_are_made_on_their_first_visit(tmp_path: Path) -> None:
    async with dashboard(FLEET, tmp_path) as board:
        assert len(board.app.desk.query(".view")) == 1
        await board.press("3", "1", "3")
        assert len(board.app.desk.query(".view")) == 2


async def test_a_header_tab_can_be_clicked(tmp_path: Path) -> None:
    async with dashboard(FLEET, tmp_path) as board:
        line = board.text.splitlines()[0]
        await board.pilot.click("#header", offset=(line.index("Containers"), 0))
        await board.until(lambda: board.app.desk.view.NAME == "containers")
        assert sorted(board.names) == ["db", "job", "web"]


async def test_a_filter_works_while_it_is_typed_and_escape_undoes_it(tmp_path: Path) -> None:
    async with dashboard(FLEET, tmp_path) as board:
        await board.press("3", "slash")
        await board.type("we")
        assert board.names == ["web"]
        await board.press("enter")
        assert board.names == ["web"]
        assert "/ we" in board.text
        assert board.app.focused is board.app.desk.table
        await board.press("escape")
        assert sorted(board.names) == ["db", "job", "web"]


async def test_a_views_frame_shows_whether_keys_go_to_it(tmp_path: Path) -> None:
    async with dashboard(FLEET, tmp_path) as board:
        fleet = board.app.desk.view
        assert not fleet.has_class("-away")
        await board.press("slash")
        assert fleet.has_class("-away")
        await board.press("escape", "3")
        assert not fleet.has_class("-away") and not board.app.desk.view.has_class("-away")
        await board.press("colon", *"fleet", "enter")
        assert board.app.desk.view is fleet and not fleet.has_class("-away")


async def test_a_bad_filter_says_why_and_keeps_the_rows(tmp_path: Path) -> None:
    async with dashboard(FLEET, tmp_path) as board:
        await board.press("3", "slash")
        await board.type("host:h2 nope:1")
        assert board.names == ["job"]
        assert "no column 'nope'" in board.text
        await board.press("enter")
        assert board.app.focused is not board.app.desk.table


async def test_escape_in_the_filter_shows_everything(tmp_path: Path) -> None:
    async with dashboard(FLEET, tmp_path) as board:
        await board.press("3", "slash")
        await board.type("web")
        await board.press("escape")
        assert len(board.names) == 3
        assert board.app.focused is board.app.desk.table


async def test_the_command_line_goes_to_a_view_of_one_host_filtered(tmp_path: Path) -> None:
    async with dashboard(FLEET, tmp_path) as board:
        await board.press("colon")
        await board.type("ps @h1 /db")
        await board.press("enter")
        assert board.app.desk.view.NAME == "containers"
        assert board.names == ["db"]
        assert "@h1" in board.text
        await board.press("escape", "escape")
        assert len(board.names) == 3


async def test_a_command_that_is_none_says_what_may_be_meant(tmp_path: Path) -> None:
    async with dashboard(FLEET, tmp_path) as board:
        await board.press("colon")
        await board.type("gpu @nowhere")
        await board.press("enter")
        assert "no host or tag 'nowhere'" in board.text
        assert board.app.desk.view.NAME == "fleet"


async def test_a_command_is_completed_by_tab_and_recalled_by_up(tmp_path: Path) -> None:
    async with dashboard(FLEET, tmp_path) as board:
        await board.press("colon", "g", "tab")
        assert board.app.desk.prompt.text == "gpus"
        await board.press("enter", "colon", "up")
        assert board.app.desk.prompt.text == "gpus"


async def test_a_command_with_a_bad_filter_changes_nothing(tmp_path: Path) -> None:
    async with dashboard(FLEET, tmp_path) as board:
        await board.press("colon")
        await board.type("ps /nope:1")
        await board.press("enter")
        assert board.app.desk.view.NAME == "fleet"
        assert "no column 'nope'" in board.text


async def test_containers_of_a_host_and_the_way_back(tmp_path: Path) -> None:
    async with dashboard(FLEET, tmp_path) as board:
        await board.press("j", "greater_than_sign")
        assert board.app.desk.view.NAME == "containers"
        assert sorted(board.names) == ["db", "web"]
        await board.press("less_than_sign")
        assert board.app.desk.view.NAME == "fleet"
        assert board.selected == "h1"


async def test_the_way_back_leaves_the_filter_of_another_view_alone(tmp_path: Path) -> None:
    async with dashboard(FLEET, tmp_path) as board:
        await board.press("j", "greater_than_sign", "2", "slash")
        await board.type("h1")
        await board.press("enter", "less_than_sign")
        assert board.app.desk.view.NAME == "fleet"
        await board.press("2")
        assert board.app.desk.view.filter_text == "h1"
        await board.press("3")
        assert len(board.names) == 3, "the containers are all shown again"


async def test_only_free_gpus(tmp_path: Path) -> None:
    async with dashboard(showcase(), tmp_path) as board:
        await board.press("2", "f")
        assert [row.index for row in board.app.desk.table.rows] == [6, 7]
        await board.press("f")
        assert len(board.app.desk.table.rows) == 16


async def test_details_beside_the_list_follow_the_cursor(tmp_path: Path) -> None:
    async with dashboard(FLEET, tmp_path, size=(160, 40)) as board:
        pane = board.app.desk.query_one("#detail-pane")
        assert pane.size.width > 40
        await board.press("j")
        await board.until(lambda: "h1.example" in pane.text)  # type: ignore[attr-defined]
        await board.press("d")
        assert not pane.size


async def test_details_fill_a_small_screen_and_escape_leaves_them(tmp_path: Path) -> None:
    async with dashboard(FLEET, tmp_path, size=(80, 24)) as board:
        pane = board.app.desk.query_one("#detail-pane")
        assert not pane.size
        await board.press("enter")
        await board.until(lambda: pane.outer_size.width == 80)
        await board.until(lambda: "Connection refused" in board.text)
        await board.press("escape")
        await board.until(lambda: not pane.size)
        assert board.app.focused is board.app.desk.table


async def test_help_lists_every_key_that_does_something_here(tmp_path: Path) -> None:
    async with dashboard(showcase(), tmp_path, size=(120, 200)) as board:
        await board.press("2", "question_mark")
        assert isinstance(board.app.screen, HelpScreen)
        text = board.text
        active = [*bindings_of(FleetTable), *bindings_of(Desk), *bindings_of(type(board.app.desk.view))]
        for binding in active:
            if binding.action in ("undo", "go_back"):  # nothing to go back from
                continue
            shown = board.app.get_key_display(binding)
            what = binding.description[:1].upper() + binding.description[1:]
            assert any(shown in line and what in line for line in text.splitlines()), (shown, what)
        assert ":gpus" in text
        await board.press("escape")
        assert isinstance(board.app.screen, Desk)


async def test_the_footer_shows_what_can_be_done_with_this_row(tmp_path: Path) -> None:
    async with dashboard(FLEET, tmp_path) as board:
        assert "r retry" in board.text.splitlines()[-1]
        await board.press("j")
        await board.until(lambda: "r retry" not in board.text.splitlines()[-1])


async def test_retry_asks_the_fleet(tmp_path: Path) -> None:
    async with dashboard(FLEET, tmp_path) as board:
        await board.press("r")
        await board.until(lambda: board.fleet.retried == ["h3"])
        assert board.selected == "h3"
        assert board.app.screen is board.app.desk, "nobody is asked first"


async def test_an_unknown_host_key_is_asked_about_standing_on_no(tmp_path: Path) -> None:
    state = state_of([host("h1"), unknown_key("new")])
    async with dashboard(state, tmp_path) as board:
        await board.press("enter")
        await board.until(lambda: isinstance(board.app.screen, Confirm))
        assert "SHA256:mVv0rX3h6p0Y7c1j4JkqPq8sL0bqgqk2l3m4n5o6p7Q" in board.text
        assert isinstance(board.app.focused, Button)
        assert board.app.focused.id == "no"
        await board.press("enter")
        assert isinstance(board.app.screen, Desk)
        assert board.fleet.accepted == []
        await board.press("K")
        await board.until(lambda: isinstance(board.app.screen, Confirm))
        await board.press("y")
        assert isinstance(board.app.screen, Confirm), "a letter is not enough to trust a key"
        await board.press("right", "enter")
        await board.until(
            lambda: board.fleet.accepted == [("new", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKey")]
        )


async def test_themes_switch_and_are_kept(tmp_path: Path) -> None:
    async with dashboard(FLEET, tmp_path) as board:
        for name in ("berth-colour-blind", "nord"):
            await board.press("colon")
            await board.type(f"theme {name}")
            await board.press("enter")
            assert board.app.theme == name
        await board.until(lambda: read_settings(tmp_path / "settings.yaml").theme == "nord")


async def test_a_theme_of_the_settings_is_used(tmp_path: Path) -> None:
    async with dashboard(FLEET, tmp_path, settings=Settings(theme="berth-light")) as board:
        assert board.app.theme == "berth-light"


async def test_columns_are_chosen_and_kept(tmp_path: Path) -> None:
    async with dashboard(FLEET, tmp_path) as board:
        await board.press("colon")
        await board.type("columns host,state,tags")
        await board.press("enter")
        assert [column.key for column in board.app.desk.table.columns] == ["host", "state", "tags"]
        await board.until(
            lambda: read_settings(tmp_path / "settings.yaml").columns == {"fleet": ("host", "state", "tags")}
        )


async def test_columns_of_the_settings_are_shown(tmp_path: Path) -> None:
    settings = Settings(columns={"containers": ("name", "id")}, sort={"containers": "-name"})
    async with dashboard(FLEET, tmp_path, settings=settings) as board:
        await board.press("3")
        assert [column.key for column in board.app.desk.table.columns] == ["name", "id"]
        assert board.names == ["web", "job", "db"]


async def test_the_order_is_chosen_from_a_list_and_kept(tmp_path: Path) -> None:
    async with dashboard(FLEET, tmp_path) as board:
        await board.press("3", "o")
        assert isinstance(board.app.focused, OptionList)
        await board.press("j", "j", "enter")
        assert board.names == ["db", "job", "web"]
        await board.press("O")
        assert board.names == ["web", "job", "db"]
        await board.until(lambda: read_settings(tmp_path / "settings.yaml").sort == {"containers": "-name"})


async def test_one_column_is_copied(tmp_path: Path) -> None:
    async with dashboard(FLEET, tmp_path) as board:
        await board.press("3", "slash")
        await board.type("web")
        await board.press("enter", "c", "j", "enter")
        assert board.app.clipboard == "web"


async def test_marked_rows_are_copied_whole(tmp_path: Path) -> None:
    async with dashboard(FLEET, tmp_path) as board:
        await board.press("3", "asterisk", "C")
        lines = board.app.clipboard.splitlines()
        assert len(lines) == 3
        assert {line.split("\t")[1] for line in lines} == {"web", "db", "job"}


async def test_the_palette_offers_the_views(tmp_path: Path) -> None:
    async with dashboard(FLEET, tmp_path) as board:
        titles = [command.title for command in board.app.get_system_commands(board.app.screen)]
        assert [f"{view.TITLE} ({view.NUMBER})" for view in VIEWS] == titles[: len(VIEWS)]
        await board.press("ctrl+p")
        await board.type("sessions")
        await board.pilot.pause(0.1)
        await board.press("down", "enter")
        await board.until(lambda: board.app.desk.view.NAME == "sessions")


async def test_keys_are_remapped_by_the_settings(tmp_path: Path) -> None:
    settings = Settings(keys={"containers": ("f9",), "help": ()})
    async with dashboard(FLEET, tmp_path, settings=settings) as board:
        await board.press("3")
        assert board.app.desk.view.NAME == "fleet"
        await board.press("f9")
        assert board.app.desk.view.NAME == "containers"
        await board.press("question_mark")
        assert isinstance(board.app.screen, Desk)


def test_a_key_for_two_actions_is_refused_at_the_start(tmp_path: Path) -> None:
    from tests.tui.fakes import config_of

    with pytest.raises(ConfigError, match="'filter'"):
        BerthApp(config_of(FLEET, tmp_path, settings=Settings(keys={"copy": ("/",)})))


async def test_empty_views_teach(tmp_path: Path) -> None:
    async with dashboard(state_of([host("h1")]), tmp_path) as board:
        for view in VIEWS[1:]:
            await board.press(str(view.NUMBER))
            await board.until(lambda view=view: view.EMPTY[0][:20] in board.text)  # type: ignore[misc]
            assert board.app.desk.view.NAME == view.NAME and not board.names


async def test_a_filter_without_result_says_how_to_leave_it(tmp_path: Path) -> None:
    async with dashboard(FLEET, tmp_path) as board:
        await board.press("3", "slash")
        await board.type("nothinglikethis")
        assert "Nothing here for nothinglikethis" in board.text
        assert "esc" in board.text


async def test_what_was_known_last_time_is_shown_at_once_with_its_age(tmp_path: Path) -> None:
    laststate.save(state_of([host("h1", [container("web")])]))
    fleet_never_answers = state_of([replace(host("h1"), state=HostState.CONNECTING)])
    from tests.tui.fakes import config_of

    class Silent:
        state = fleet_never_answers

        async def updates(self):  # type: ignore[no-untyped-def]
            import asyncio

            await asyncio.Event().wait()
            yield self.state

        async def __aenter__(self):  # type: ignore[no-untyped-def]
            return self

        async def __aexit__(self, *_: object) -> None:
            return None

    app = BerthApp(config_of(fleet_never_answers, tmp_path), fleet_factory=lambda _: Silent())  # type: ignore[arg-type, return-value]
    async with app.run_test(size=(120, 30)) as pilot:
        await pilot.pause()
        [row] = app.desk.table.rows
        assert row.cpu_percent == 38.0
        assert "as of" in "\n".join(strip.text for strip in app.screen._compositor.render_strips())


async def test_a_host_that_comes_back_is_shown_without_a_key(tmp_path: Path) -> None:
    async with dashboard(FLEET, tmp_path) as board:
        await board.publish(state_of([*list(FLEET.hosts.values())[:2], host("h3")], revision=2))
        await board.until(lambda: "! 1 down" not in board.text)
        assert board.names == ["h1", "h2", "h3"]


async def test_an_error_of_an_action_is_a_notification(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: Desk) -> None:
        raise ActionFailed("it broke on [h1].", hint="Try again.")

    monkeypatch.setattr(Desk, "action_columns", fails)
    async with dashboard(FLEET, tmp_path) as board:
        await board.press("vertical_line")
        await board.until(lambda: "it broke on [h1]. Try again." in board.text)
        await board.press("3")
        assert sorted(board.names) == ["db", "job", "web"], "the dashboard goes on"


async def test_a_bug_in_an_action_is_a_notification_and_a_line_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backend import log

    def fails(self: Desk) -> None:
        raise ZeroDivisionError("oops")

    log.install()
    monkeypatch.setattr(Desk, "action_columns", fails)
    async with dashboard(FLEET, tmp_path) as board:
        await board.press("vertical_line")
        await board.until(lambda: "Bug in berth" in board.text)
        assert "Traceback" not in board.text
        assert "ZeroDivisionError" in log.path().read_text()


async def test_a_settings_file_that_cannot_be_written_is_no_disaster(tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_text("nonsense: [")
    async with dashboard(FLEET, tmp_path) as board:
        await board.press("colon")
        await board.type("theme nord")
        await board.press("enter")
        await board.until(lambda: any("settings.yaml" in note.message for note in board.app._notifications))
        assert board.app.theme == "nord"


async def test_read_only_is_said(tmp_path: Path) -> None:
    async with dashboard(FLEET, tmp_path, read_only=True) as board:
        assert "read-only" in board.text


async def test_gpus_of_hosts_that_went_away_are_not_free(tmp_path: Path) -> None:
    from backend.model import GpuReport

    gone = down("h1", gpu_report=GpuReport(gpus=(gpu(0, 0, 0),)))
    async with dashboard(state_of([gone]), tmp_path) as board:
        await board.press("2", "f")
        assert board.app.desk.table.rows == []


async def test_a_narrow_screen_still_says_which_view_it_is(tmp_path: Path) -> None:
    ill = host("h4", warnings=(Problem("Disk", "The disk of h4 is full."),))
    fleet = state_of([*FLEET.hosts.values(), ill])
    async with dashboard(fleet, tmp_path, size=(40, 20)) as board:
        for view in VIEWS:
            await board.press(str(view.NUMBER))
            header = f" {view.NUMBER} {view.TITLE} "
            await board.until(lambda header=header: header in board.text.splitlines()[0])
            assert "! 2 need help" in board.text.splitlines()[0]


async def test_an_engine_that_is_not_well_is_named_in_its_row(tmp_path: Path) -> None:
    engine = Engine(state=EngineState.HUNG, kind="docker", socket="/run/docker.sock")
    warnings = (Problem("Engine", "docker on h1 hangs.", "Restart it."),)
    async with dashboard(state_of([host("h1", engine=engine, warnings=warnings)]), tmp_path) as board:
        assert "engine !" in board.text
