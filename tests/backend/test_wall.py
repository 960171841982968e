"""What watched panes show, whoever sends it in whatever order; and what of it is worth an alert."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend import wire
from backend.agent import commands
from backend.agent.probe import panes
from backend.containerrows import session_row
from backend.logs.pattern import Pattern
from backend.model import FleetState, HostSnapshot, HostState, SessionRow, TmuxPane, TmuxSession
from backend.wall import Alarms, Album, Feed, Image, PaneKey, session_key
from backend.wire import PaneChange

SOCKET = "/tmp/tmux-0/default"
START = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
KEY = PaneKey("h", SOCKET, "%0")
TEXTS = st.text(st.characters(exclude_characters="\n", exclude_categories=("Cs",)), max_size=6)


class Out:
    """An outbox that is read now and then: what waits is replaced, as in the real one."""

    def __init__(self) -> None:
        self.waiting: dict[object, dict[str, object]] = {}

    def waits(self, key: object) -> bool:
        return key in self.waiting

    def message(self, name: str, data: dict[str, object], key: object) -> None:
        assert name == "pane"
        self.waiting[key] = data

    def read(self) -> list[PaneChange]:
        found = [
            wire.decode(msgspec.json.encode({"s": "pane", "t": 1, "d": data})).data
            for data in self.waiting.values()
        ]
        self.waiting.clear()
        return found


class NoLoop:
    def later(self, delay, call):
        return None


def picture(rows: list[str]) -> dict[str, object]:
    lines = {place: row for place, row in enumerate(rows) if row}
    return {"width": 80, "height": 24, "cursor": [0, 0], "lines": lines}


@given(st.lists(st.tuples(st.lists(TEXTS, max_size=5), st.booleans()), max_size=12))
def test_what_arrives_is_what_was_captured_however_slow_the_reader_is(steps) -> None:
    out, album = Out(), Album()
    watch = panes.PaneWatch(NoLoop(), out)
    watch._shown = {(SOCKET, "%0"): None}
    for rows, read in [*steps, (["the", "end"], True)]:
        watch._send(SOCKET, "%0", picture(rows))
        if read:
            for change in out.read():
                assert album.take("h", change) == KEY
            image = album[KEY]
            assert image is not None
            assert image.lines == {place: row for place, row in enumerate(rows) if row}


@given(st.text(max_size=400), st.text("<>. \n%0123456789W", max_size=200))
def test_any_output_is_parsed(noise, more) -> None:
    for text in (noise, more):
        for pane, data in panes.parse(text, "W", ["%0", "%1"]).items():
            assert pane in ("%0", "%1") and set(data) == {"width", "height", "cursor", "lines"}


def test_only_whole_captures_count() -> None:
    text = "W>0 80 24 3 1 1\none\n\x1b[1mtwo\n\nW>1 40 10 0 0 0\ncut"
    found = panes.parse(text, "W", ["%7", "%9"])
    assert found == {
        "%7": {"width": 80, "height": 24, "cursor": [3, 1], "lines": {0: "one", 1: "\x1b[1mtwo"}}
    }
    assert panes.parse(text + "\nW.\n", "W", ["%7", "%9"])["%9"]["lines"] == {0: "cut"}


@pytest.mark.parametrize(
    "line",
    [
        b'{"cmd":"watch"}',
        b'{"cmd":"watch","panes":[1]}',
        b'{"cmd":"watch","panes":[{"socket":"/s","pane":"%1;kill-server"}]}',
        b'{"cmd":"watch","panes":[{"socket":"/s","pane":"$1"}]}',
        b'{"cmd":"watch","panes":[{"socket":3,"pane":"%1"}]}',
        b'{"cmd":"watch","panes":[' + b",".join([b'{"socket":"/s","pane":"%1"}'] * 65) + b"]}",
    ],
)
def test_what_is_no_list_of_panes_is_refused(line) -> None:
    with pytest.raises(commands.CommandError):
        commands.parse(line)


def test_a_change_that_does_not_fit_is_asked_for_again() -> None:
    album = Album()
    first = PaneChange(socket=SOCKET, pane="%0", number=5, lines={0: "a"})
    assert album.take("h", first) == KEY and not album.needs_whole(KEY)
    assert album.take("h", PaneChange(socket=SOCKET, pane="%0", number=9, base=8, lines={0: "b"})) is None
    assert album.needs_whole(KEY) and album[KEY].plain == ["a"]
    again = PaneChange(socket=SOCKET, pane="%0", number=1, lines={1: "\x1b[31mb\x1b[0m\x1b]0;x\x07"})
    assert album.take("h", again) == KEY
    assert album[KEY].plain == ["", "b"] and not album.needs_whole(KEY)


class Source:
    def __init__(self) -> None:
        self.on_pane = None
        self.asked: list[tuple[str, list]] = []

    def watch_panes(self, name, panes) -> None:
        self.asked.append((name, list(panes)))


def test_only_what_somebody_looks_at_is_asked_for() -> None:
    source = Source()
    feed, seen = Feed(source), []
    feed.want("wall", [KEY], seen.append)
    assert source.asked == [("h", [(SOCKET, "%0", True)])]
    source.on_pane("h", PaneChange(socket=SOCKET, pane="%0", number=1, lines={0: "x"}))
    source.on_pane("h", PaneChange(socket=SOCKET, pane="%1", number=1, lines={0: "x"}))
    assert seen == [KEY] and feed.album[PaneKey("h", SOCKET, "%1")] is None
    feed.want("alerts", [KEY])
    feed.leave("wall")
    feed.renew()
    assert source.asked[-1] == ("h", [(SOCKET, "%0", False)])
    feed.leave("alerts")
    assert source.asked[-1] == ("h", [])
    count = len(source.asked)
    feed.renew()
    assert len(source.asked) == count


# --------------------------------------------------------------------------------------------- alerts


def session(active: int = 0, *, dead: bool = False) -> TmuxSession:
    pane = TmuxPane(id="%0", window=0, window_name="w", index=0, command="python", dead=dead)
    return TmuxSession(
        id="$1", name="train", user="root", socket=SOCKET, attached=0, windows=1,
        activity_at=START + timedelta(seconds=active), panes=(pane,),
    )  # fmt: skip


def fleet(*sessions: TmuxSession, state: HostState = HostState.UP) -> FleetState:
    return FleetState(hosts={"h": HostSnapshot(name="h", address="h", state=state, sessions=sessions)})


def row(one: TmuxSession) -> SessionRow:
    return session_row(fleet(one).hosts["h"], one, [])


def kinds(alerts) -> list[str]:
    return [alert.kind for alert in alerts]


def test_silence_is_told_once_and_again_after_it_was_active() -> None:
    alarms = Alarms()
    watch = alarms.watch(row(session()), 100.0, silence=60)
    assert not alarms.check(fleet(session()), 159.0)
    assert kinds(alarms.check(fleet(session()), 160.0)) == ["silent"]
    assert watch.alert is not None and not alarms.check(fleet(session()), 300.0)
    assert not alarms.check(fleet(session(7)), 301.0) and watch.alert is None
    assert kinds(alarms.check(fleet(session(7)), 361.0)) == ["silent"]


def test_a_host_that_is_away_is_not_silent() -> None:
    alarms = Alarms()
    alarms.watch(row(session()), 0.0, silence=60)
    assert not alarms.check(fleet(session(), state=HostState.DOWN), 500.0)
    assert not alarms.check(fleet(session()), 501.0)
    assert not alarms.check(fleet(state=HostState.DOWN), 700.0)
    assert kinds(alarms.check(fleet(session()), 760.0)) == ["silent"]


def test_the_end_is_told_once_and_not_for_one_list_that_was_cut_short() -> None:
    alarms = Alarms()
    alarms.watch(row(session()), 0.0, silence=None)
    assert not alarms.check(fleet(), 1.0)
    assert not alarms.check(fleet(session()), 6.0)
    assert not alarms.check(fleet(), 7.0)
    assert kinds(alarms.check(fleet(), 16.0)) == ["ended"]
    assert not alarms.check(fleet(), 99.0)


def test_a_pane_that_stays_dead_has_ended() -> None:
    alarms = Alarms()
    alarms.watch(row(session()), 0.0)
    assert kinds(alarms.check(fleet(session(dead=True)), 1.0)) == ["ended"]
    assert not alarms.check(fleet(session(dead=True)), 500.0)


def test_a_pattern_is_told_for_rows_that_were_not_there_before() -> None:
    alarms = Alarms()
    watched = row(session())
    alarms.watch(watched, 0.0, pattern=Pattern("error"))
    assert alarms.to_capture() == [KEY]
    assert not alarms.look(KEY, Image(lines={0: "an old error"}))
    assert not alarms.look(KEY, Image(lines={0: "fine", 1: "an old error"}))
    (alert,) = alarms.look(KEY, Image(lines={0: "an old error", 1: "\x1b[31mERROR: nan\x1b[0m"}))
    assert alert.kind == "match" and "ERROR: nan" in alert.text and "\x1b" not in alert.text
    assert not alarms.look(KEY, Image(lines={0: "\x1b[31mERROR: nan\x1b[0m"}))
    alarms.seen(session_key(watched))
    assert alarms.watches[session_key(watched)].alert is None
    alarms.unwatch(session_key(watched))
    assert alarms.to_capture() == []


def test_a_pane_that_is_larger_than_any_screen_is_not_kept() -> None:
    album = Album()
    for number in range(1, 200):
        lines = {(number - 1) * 2 + row: "x" * 65_000 for row in range(2)}
        base = None if number == 1 else number - 1
        album.take("h", PaneChange(socket=SOCKET, pane="%0", number=number, base=base, lines=lines))
        image = album[KEY]
        assert image is not None and sum(map(len, image.lines.values())) <= 4 * 2**20
    assert album.needs_whole(KEY)
