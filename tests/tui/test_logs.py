"""The log screen on lines that a test hands over: what is followed, found, hidden, copied, saved, undone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from textual.app import App
from textual.widgets import Input

from backend.errors import EngineError
from backend.logs.follower import Status, Target, Wants
from backend.logs.lines import LogLine, clean, plain
from tui import themes
from tui.app import STYLES
from tui.logs.canvas import LogCanvas
from tui.logs.screen import LogScreen
from tui.logs.view import LogView

START = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def line(text: str, source: int = 0, *, error: bool = False, second: int = 0) -> LogLine:
    cleaned = clean(text.encode())
    return LogLine(START + timedelta(seconds=second), source, error, cleaned, plain(cleaned))


class Feed:
    """A reader whose lines and states a test sets; remembers what was wanted."""

    def __init__(self) -> None:
        self.wants: list[Wants] = []
        self.first: list[LogLine] = []
        self.news: asyncio.Queue[list[LogLine]] = asyncio.Queue()
        self.status: Callable[[int, Status], None] = lambda index, status: None

    def __call__(self, wants: Wants) -> Feed:
        self.wants.append(wants)
        return self

    async def run(self, take, status) -> None:
        self.status = status
        status(0, Status("following"))
        await take(list(self.first))
        while True:
            await take(await self.news.get())


class LogApp(App[None]):
    CSS_PATH = sorted(STYLES.glob("*.tcss"))

    def __init__(self, targets: list[Target], feed: Feed) -> None:
        super().__init__()
        self.targets, self.feed = targets, feed
        self.copied = ""
        for theme in themes.THEMES:
            self.register_theme(theme)
        self.theme = themes.DEFAULT

    def on_mount(self) -> None:
        self.push_screen(LogScreen(self.targets, self.feed))

    def copy_to_clipboard(self, text: str) -> None:
        self.copied = text


class Desk:
    def __init__(self, app: LogApp, pilot, feed: Feed) -> None:
        self.app, self.pilot, self.feed = app, pilot, feed
        screen = app.screen
        assert isinstance(screen, LogScreen)
        self.screen = screen

    @property
    def view(self) -> LogView:
        return self.screen.query_one(LogView)

    @property
    def text(self) -> str:
        return "\n".join(strip.text for strip in self.app.screen._compositor.render_strips())

    @property
    def lines(self) -> list[str]:
        """What the rows of the log say."""
        return [self.view.render_line(y).text[1:-1].rstrip() for y in range(self.view.size.height)]

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def type(self, text: str) -> None:
        focused = self.app.focused
        assert isinstance(focused, Input)
        focused.value = text
        focused.cursor_position = len(text)
        await self.press("enter")

    async def until(self, true: Callable[[], object]) -> None:
        for _ in range(400):
            if true():
                return
            await self.pilot.pause(0.01)
        raise AssertionError(f"it never came true:\n{self.text}")

    async def add(self, *lines: LogLine) -> None:
        end = self.screen.buffer.end
        self.feed.news.put_nowait(list(lines))
        await self.until(lambda: self.screen.buffer.end == end + len(lines) and not self.screen._news)


@asynccontextmanager
async def logs(
    *lines: LogLine, names: tuple[str, ...] = ("web",), size: tuple[int, int] = (80, 14)
) -> AsyncIterator[Desk]:
    feed = Feed()
    feed.first = list(lines)
    app = LogApp([Target("h1", f"id-{name}", name) for name in names], feed)
    async with app.run_test(size=size, notifications=True) as pilot:
        await pilot.pause()
        desk = Desk(app, pilot, feed)
        await desk.until(lambda: desk.screen.buffer.kept == len(lines) and not desk.screen._news)
        yield desk


def many(count: int) -> list[LogLine]:
    return [line(f"line {number:05}", second=number) for number in range(count)]


async def test_the_newest_lines_are_shown_and_followed():
    async with logs(*many(100)) as desk:
        assert desk.lines[-1] == "line 00099" and len(desk.lines) == 12
        await desk.add(line("and one more"))
        assert desk.lines[-1] == "and one more"
        assert "following" in desk.text and "101 lines" in desk.text


async def test_looking_back_holds_the_page_while_lines_come_and_the_end_takes_it_back():
    async with logs(*many(100)) as desk:
        await desk.press("pageup")
        before = desk.lines
        await desk.add(*many(50))
        assert desk.lines == before and "61 below" in desk.text
        await desk.press("G")
        assert "following" in desk.text and desk.lines[-1] == "line 00049"


async def test_what_falls_out_of_memory_moves_nothing_on_the_screen():
    async with logs(*many(100)) as desk:
        desk.screen.buffer.max_lines = 150
        await desk.press("g", *["pagedown"] * 4)
        before = desk.lines
        await desk.add(*many(80))
        assert desk.screen.buffer.dropped == 30 and desk.lines == before
        await desk.add(*many(100))
        assert desk.lines[0] == "line 00030"  # what was there is gone: the oldest that is left
        assert "130 older dropped" in desk.text


async def test_search_counts_highlights_and_goes_round():
    async with logs(*many(50), line("an ERROR here"), *many(50), line("last error"), *many(3)) as desk:
        await desk.press("slash")
        await desk.type("error")
        assert "/error 2 of 2" in desk.text and desk.view.cursor == 101
        await desk.press("N")
        assert desk.view.cursor == 50 and "an ERROR here" in desk.lines
        await desk.press("N")
        assert desk.view.cursor == 101
        await desk.press("n")
        assert desk.view.cursor == 50
        row = next(y for y, text in enumerate(desk.lines) if "ERROR" in text)
        hit = next(segment for segment in desk.view.render_line(row) if segment.text == "ERROR")
        assert hit.style is not None and hit.style.bgcolor is not None
        await desk.press("escape")
        assert "/error" not in desk.text and desk.app.screen is desk.screen


async def test_a_filter_holds_for_what_comes_and_a_bad_one_says_why():
    async with logs(line("good"), line("bad apple"), line("good too")) as desk:
        await desk.press("ampersand")
        await desk.type("/(/")
        assert "no regular expression" in desk.text
        await desk.type("!bad")
        assert desk.lines[:2] == ["good", "good too"] and "2 of 3" in desk.text
        await desk.add(line("bad again"), line("fine"))
        assert [text for text in desk.lines if text] == ["good", "good too", "fine"]
        await desk.press("escape")
        assert "bad again" in desk.lines


async def test_a_filter_that_nothing_passes_says_how_to_get_back():
    async with logs(line("one")) as desk:
        await desk.press("colon")
        await desk.type("filter nothing like it")
        assert "No line is shown" in desk.text
        await desk.press("escape")
        assert desk.lines[0] == "one"


async def test_several_containers_have_names_and_can_be_hidden():
    async with logs(line("a", 0), line("b", 1), line("c", 0), names=("web", "db")) as desk:
        assert desk.lines[:3] == ["web a", "db  b", "web c"]
        await desk.press("h", "space", "enter")  # the first is taken out
        await desk.until(lambda: desk.app.screen is desk.screen)
        assert [text for text in desk.lines if text] == ["db  b"]
        await desk.add(line("d", 0), line("e", 1))
        assert [text for text in desk.lines if text] == ["db  b", "db  e"]
        await desk.pilot.click("#log-header", offset=(13, 0))
        assert desk.lines[0] == "web a"


async def test_one_stream_alone():
    async with logs(line("out"), line("err", error=True)) as desk:
        await desk.press("e")
        assert [text for text in desk.lines if text] == ["err"] and "stderr" in desk.text
        await desk.press("e")
        assert [text for text in desk.lines if text] == ["out"]
        await desk.press("e")
        assert [text for text in desk.lines if text] == ["out", "err"]


async def test_long_lines_are_moved_or_wrapped():
    words = " ".join(f"word{number}" for number in range(30))
    async with logs(line("short"), line(words), line("end"), size=(50, 14)) as desk:
        assert desk.lines[1].startswith("word0 ") and "word29" not in desk.text
        await desk.press("right", "right")
        assert not desk.lines[1].startswith("word0") and desk.lines[1].startswith(words[32:40].rstrip())
        await desk.press("w")
        assert " ".join(text.strip() for text in desk.lines[1:-1] if text).startswith(words + " end")


async def test_a_wrapped_line_longer_than_the_screen_can_be_read_through():
    async with logs(line("x" * 2000 + "END"), line("after"), size=(40, 8)) as desk:
        await desk.press("w", "g")
        assert set(desk.lines) == {"x" * 38}
        for _ in range(60):
            if "END" in "".join(desk.lines):
                break
            await desk.press("pagedown")
        assert "END" in "".join(desk.lines) and desk.lines[-1] == "after"


async def test_times_are_shown_in_two_ways():
    async with logs(line("one", second=5)) as desk:
        here = (START + timedelta(seconds=5)).astimezone()
        await desk.press("t")
        assert desk.lines[0] == f"{here:%H:%M:%S}.000 one"
        await desk.press("t")
        assert desk.lines[0] == f"{here:%Y-%m-%d %H:%M:%S}.000 one"
        await desk.press("t")
        assert desk.lines[0] == "one"


async def test_colours_stay_and_everything_else_of_a_hostile_line_goes():
    async with logs(line("\x1b[31mred\x1b[0m\x1b[2J\x1b]0;title\x07 [bold]x[/oops]\x1b[5;8mhid")) as desk:
        assert desk.lines[0] == "red [bold]x[/oops]hid"
        segments = [s for s in desk.view.render_line(0) if s.text.strip()]
        assert segments[0].text == "red" and segments[0].style.color.number == 1
        assert not any(s.style.blink or s.style.conceal for s in segments)


async def test_marked_lines_are_copied_else_the_page():
    async with logs(*many(5)) as desk:
        await desk.press("c")
        assert desk.app.copied.splitlines() == [f"line {n:05}" for n in range(5)]
        await desk.press("k", "k", "space", "space")
        assert "2 marked" in desk.text
        await desk.press("c")
        assert desk.app.copied == "line 00003\nline 00004"
        await desk.press("escape")
        assert "marked" not in desk.text


async def test_lines_are_saved_for_us_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("BERTH_STATE_DIR", str(tmp_path))
    async with logs(line("a\x1b[31mb", 0), line("c", 1), names=("web", "db")) as desk:
        await desk.press("ctrl+s")
        await desk.until(lambda: list(tmp_path.glob("saved-logs/*.log")))
    (path,) = tmp_path.glob("saved-logs/*.log")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text().splitlines() == [
        "2026-01-31T12:00:00.000000Z h1/web: ab",
        "2026-01-31T12:00:00.000000Z h1/db: c",
    ]


async def test_what_cannot_be_saved_is_said_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("BERTH_STATE_DIR", str(tmp_path))
    async with logs(line("one")) as desk:
        await desk.press("colon")
        await desk.type("save /proc/none/here.log")
        await desk.until(lambda: "was not saved" in desk.text)
        assert "one" in desk.text
    assert not list(tmp_path.iterdir())


async def test_parts_of_the_log_are_asked_for_by_key_and_by_command():
    async with logs(*many(3)) as desk:
        await desk.press("3")
        since = desk.feed.wants[-1].since
        assert (
            since is not None and abs(datetime.now(UTC) - since - timedelta(minutes=5)).total_seconds() < 60
        )
        await desk.press("1")
        assert desk.feed.wants[-1].head == 5000
        await desk.press("colon")
        await desk.type("tail 7")
        assert desk.feed.wants[-1].tail == 7 and "last 7" in desk.text
        await desk.press("colon")
        await desk.type("since yesterday-ish")
        assert "is no time" in desk.text and len(desk.feed.wants) == 4


async def test_a_lost_link_is_said_and_taken_back():
    async with logs(line("one")) as desk:
        desk.feed.status(0, Status("lost", EngineError("h1: the log broke off.")))
        await desk.add(line("x"))
        await desk.until(lambda: "! lost" in desk.text and "the log broke off. Trying again." in desk.text)
        desk.feed.status(0, Status("following"))
        await desk.add(line("two"))
        await desk.until(lambda: "broke off" not in desk.text and "● following" in desk.text)
        desk.feed.status(0, Status("removed", EngineError("gone")))
        await desk.add(line("y"))
        await desk.until(lambda: "web was removed" in desk.text)
        assert "● following" not in desk.text
        assert [text for text in ("one", "x", "two", "y") if text not in desk.text] == []


async def test_without_lines_it_says_why():
    async with logs() as desk:
        assert "Nothing was written yet." in desk.text
        desk.feed.status(0, Status("lost", EngineError("h1: no engine.", hint="Start it.")))
        desk.screen._news = True
        await desk.until(lambda: "Start it." in desk.text)


async def test_only_visible_lines_are_drawn(monkeypatch):
    drawn: list[int] = []
    draw = LogCanvas._draw

    def counted(self, number, state):
        drawn.append(number)
        return draw(self, number, state)

    monkeypatch.setattr(LogCanvas, "_draw", counted)
    async with logs(*many(20_000)) as desk:
        await desk.press("w", "pageup", "t", "g")
        assert len(drawn) < 150


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (10, 4), (40, 20), (300, 80)])
async def test_any_size_will_do(size):
    async with logs(
        *many(40), line("日本語 " * 80), line("\x1b[1mx" * 300), names=("web", "db"), size=size
    ) as desk:
        await desk.press(
            "w", "t", "k", "j", "space", "pageup", "g", "right", "w", "t", "n", "escape", "G", "left"
        )
        assert desk.app.screen is desk.screen
        for y in range(desk.view.size.height):
            assert desk.view.render_line(y).cell_length == desk.view.size.width


async def test_the_terminal_shrinks_to_nothing_and_grows_again():
    async with logs(*many(40)) as desk:
        await desk.press("w", "pageup")
        await desk.pilot.resize_terminal(1, 1)
        await desk.pilot.pause()
        await desk.pilot.resize_terminal(80, 14)
        await desk.until(lambda: len(desk.lines) == 12)
        assert all(text.startswith("line ") for text in desk.lines)


async def test_q_leaves_for_where_one_was():
    async with logs(*many(3)) as desk:
        await desk.press("slash")
        await desk.type("line")
        await desk.press("q")
        assert desk.app.screen is not desk.screen


async def test_every_key_stands_in_the_help():
    async with logs(line("x"), names=("web", "db")) as desk:
        await desk.press("question_mark")
        await desk.until(lambda: desk.app.screen is not desk.screen)
        said = " ".join(str(each.render()) for each in desk.app.screen.query(".help-section"))
        for word in (
            "Read since 5m",
            "Read last 500",
            "Wrap",
            "Search",
            ":since",
            "stderr",
            "regular expression",
        ):
            assert word in said
