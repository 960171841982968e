"""settings.yaml, read and written."""

from __future__ import annotations

import stat

import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from backend.config import Settings, change_settings, load, save_settings
from backend.config.schema import Notify
from backend.config.settings import _SETTINGS
from backend.errors import ConfigError
from tests.backend.config.conftest import Folder


def test_every_key(folder: Folder) -> None:
    got = folder.settings(
        """\
theme: nord
keys: {stop: ctrl+s, remove: "ctrl+d, delete", kill: [ctrl+k], pause: ''}
interval: 0.5
columns: {containers: [name, state], fleet: name}
sort: {gpus: -util, containers: name}
read_only: on
notifications: off
notify: {jobs: all, states: failed, ways: [tmux], command: [notify, -x, "a b; c"]}
"""
    ).settings
    assert got == Settings(
        theme="nord",
        keys={"stop": ("ctrl+s",), "remove": ("ctrl+d", "delete"), "kill": ("ctrl+k",), "pause": ()},
        interval=0.5,
        columns={"containers": ("name", "state"), "fleet": ("name",)},
        sort={"gpus": "-util", "containers": "name"},
        read_only=True,
        notifications=False,
        notify=Notify(jobs="all", states=("failed",), ways=("tmux",), command=("notify", "-x", "a b; c")),
    )


def test_no_field_lacks_its_key() -> None:
    assert set(_SETTINGS) == set(Settings.__struct_fields__)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("interval: 0.4", "settings.yaml:1: interval: 0.4 is out of range. Allowed: 0.5 to 60."),
        ("interval: 61", "interval: 61 is out of range."),
        ("interval: fast", "interval: 'fast' is not a number. Allowed: 0.5 to 60."),
        ("theme: dark\nintervall: 2", "settings.yaml:2: intervall: unknown key. Did you mean 'interval'?"),
        ("sort: {gpus: '-'}", "sort.gpus: '-' is no column."),
        ("columns: {gpus: [[a]]}", "columns.gpus.1: expected one value, found a list."),
        ("notify: {states: [ended]}", "notify.states.1: 'ended' is not known. Allowed: running,"),
        ("notify: {way: toast}", "notify.way: unknown key. Did you mean 'ways'?"),
        ("notify: {command: ''}", "notify: command: names no program."),
        ("keys: [a]", "keys: expected `key: value` lines, found a list."),
    ],
)
def test_mistakes(folder: Folder, text: str, expected: str) -> None:
    assert expected in folder.error(lambda: folder.settings(text))


def test_only_what_differs_is_written_and_nobody_else_reads_it(folder: Folder) -> None:
    new = folder.path / "new" / "place"
    save_settings(new, Settings(interval=5, sort={"gpus": "-util"}))
    file = new / "settings.yaml"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(new.stat().st_mode) == 0o700
    written = [line for line in file.read_text().splitlines() if not line.startswith("#")]
    assert written == ["interval: 5", "sort:", "  gpus: -util"]
    save_settings(new, Settings())
    assert load(new).settings == Settings()
    assert [path.name for path in new.iterdir()] == ["settings.yaml"]


def test_a_file_with_a_mistake_is_not_written_over(folder: Folder) -> None:
    file = folder.write("settings.yaml", "interval: [")
    with pytest.raises(ConfigError):
        save_settings(folder.path, Settings(theme="nord"))
    assert file.read_text() == "interval: ["


def test_a_change_keeps_what_was_edited_meanwhile(folder: Folder) -> None:
    save_settings(folder.path, Settings(theme="nord"))
    folder.write("settings.yaml", "theme: light\ninterval: 5\n")
    assert change_settings(folder.path, theme="dark") == Settings(theme="dark", interval=5)
    assert load(folder.path).settings == Settings(theme="dark", interval=5)


def test_a_link_stays_a_link(folder: Folder) -> None:
    real = folder.write("dotfiles/berth.yaml", "theme: light\n")
    (folder.path / "settings.yaml").symlink_to(real)
    change_settings(folder.path, interval=7.0)
    assert (folder.path / "settings.yaml").is_symlink()
    assert "interval: 7.0" in real.read_text()


def test_where_nothing_can_be_written_it_says_so(folder: Folder) -> None:
    (folder.path / "settings.yaml").symlink_to("/proc/settings.yaml")
    assert "settings.yaml: cannot be written" in folder.error(
        lambda: save_settings(folder.path, Settings(theme="x"))
    )


WORDS = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=6).filter(
    lambda word: word.isprintable() and word[0] != "-"
)
NAMES = WORDS.filter(lambda word: "=" not in word and word != "<<")


@hypothesis_settings(
    deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.builds(
        Settings,
        theme=st.none() | WORDS,
        keys=st.dictionaries(NAMES, st.lists(WORDS, max_size=3).map(tuple), max_size=3),
        interval=st.floats(0.5, 60).map(lambda seconds: round(seconds, 3)),
        columns=st.dictionaries(NAMES, st.lists(WORDS, max_size=3).map(tuple), max_size=3),
        sort=st.dictionaries(NAMES, WORDS | WORDS.map("-{}".format), max_size=3),
        read_only=st.booleans(),
        notifications=st.booleans(),
        terminal=st.sampled_from(["auto", "here", "window", "pane", "popup"]),
    )
)
def test_what_is_written_is_read_back(folder: Folder, settings: Settings) -> None:
    save_settings(folder.path, settings)
    assert msgspec.structs.asdict(load(folder.path).settings) == msgspec.structs.asdict(settings)
