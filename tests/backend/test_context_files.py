"""Files of contexts: nothing wrong is ever written, nothing that was there is ever lost."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from backend.cli import main
from backend.config import load
from backend.contexts import editing, files
from backend.errors import ActionFailed, ConfigError, NoSuchTarget, UsageError
from backend.lastcontext import last_context

GOOD = "host: local\nimage: busybox\n"


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.setenv("BERTH_STATE_DIR", str(tmp_path / "state"))
    (tmp_path / "config" / "contexts").mkdir(parents=True)
    return lambda: load(tmp_path / "config")


@pytest.fixture
def run_verb(tmp_path, monkeypatch) -> Callable[..., None]:
    """Runs a verb; it must not end in what is shown as a bug."""
    monkeypatch.setenv("BERTH_CONFIG_DIR", str(tmp_path / "config"))

    def run(*words: str, code: int | None = 0) -> None:
        ended = main(words)
        assert ended == code if code is not None else ended != 1

    return run


def test_new_show_change_remove_restore(config):
    files.new(config(), "work", files.TEMPLATE.format(host="local", image="busybox", name="work"))
    assert config().context("work").container == "work"
    files.change(config(), "work", GOOD + "user: alice\n")
    assert config().context("work").user == "alice"
    files.use("work")
    files.remove(config(), "work")
    assert config().contexts == () and last_context() is None
    assert [v.kind for v in files.history(config(), "work")] == ["removed", "replaced"]
    files.restore(config(), "work")
    assert config().context("work").user == "alice"


@pytest.mark.parametrize(
    "text", ["", "host: local\n", GOOD + "imgae: x\n", "host: [", GOOD + "host: nowhere\n"]
)
def test_what_would_be_an_error_is_never_written(config, text):
    with pytest.raises(ConfigError, match=r"contexts/work\.yaml") as caught:
        files.new(config(), "work", text)
    assert "/tmp/berth-" not in str(caught.value)
    files.new(config(), "work", GOOD)
    with pytest.raises(ConfigError):
        files.change(config(), "work", text)
    assert files.path_of(config(), "work").read_text() == GOOD


@pytest.mark.parametrize("name", ["", "-x", "a/b", "..", "a b", ".hidden", "x" * 200, "a\nb"])
def test_names_that_cannot_be(config, name):
    with pytest.raises(UsageError):
        files.new(config(), name, GOOD)


def test_nothing_is_overwritten(config):
    files.new(config(), "work", GOOD)
    with pytest.raises(ActionFailed, match="exists"):
        files.new(config(), "work", GOOD)
    files.remove(config(), "work")
    files.new(config(), "work", GOOD + "user: bob\n")
    with pytest.raises(ActionFailed, match="exists again"):
        files.restore(config(), "work")
    assert config().context("work").user == "bob"


def test_what_is_not_there(config):
    with pytest.raises(NoSuchTarget, match="none"):
        files.remove(config(), "nothing")
    with pytest.raises(NoSuchTarget, match="no removed context"):
        files.restore(config(), "nothing")


def test_the_newest_of_several_removed_versions_comes_back(config):
    for user in ("one", "two"):
        files.new(config(), "work", GOOD + f"user: {user}\n")
        files.remove(config(), "work")
    files.restore(config(), "work")
    assert config().context("work").user == "two"
    assert len(files.trashed(config(), "work")) == 1


def test_history_keeps_what_was_replaced_and_what_was_created(config):
    files.new(config(), "work", GOOD)
    files.change(config(), "work", GOOD + "user: bob\n")
    files.created("work", "docker create --name work busybox")
    newest, oldest = files.history(config(), "work")
    assert (newest.kind, newest.summary) == ("created", "docker create --name work busybox")
    assert oldest.kind == "replaced"
    from pathlib import Path

    assert Path(oldest.path).read_text() == GOOD


def test_a_change_to_the_same_leaves_no_trace(config):
    files.new(config(), "work", GOOD)
    files.change(config(), "work", GOOD)
    assert files.history(config(), "work") == []


def test_rendered_values_read_back(config):
    text = files.render(
        {"host": "local", "image": "a:b", "ports": ["9999:9999"], "gpus": 2, "env": {}, "user": None}
    )
    assert files.check(config(), "work", text).ports == ("127.0.0.1:9999:9999/tcp",)


# ------------------------------------------------------------------------------------ single values

SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.text("ab#: \n-'é", max_size=8))
VALUES = st.one_of(
    SCALARS, st.lists(SCALARS, max_size=3), st.dictionaries(st.text("xy", min_size=1), SCALARS)
)


@given(
    st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=4),
    st.sampled_from("abcde"),
    VALUES,
)
def test_one_value_changes_and_no_other(before: dict[str, object], key: str, value: object) -> None:
    text = yaml.safe_dump(before, sort_keys=False, allow_unicode=True)
    if not before:
        text = "# nothing yet\n"
    text = "x: 1\n" + text
    wanted = {"x": 1} | before | {key: value}
    if value is None:
        del wanted[key]
    assert yaml.safe_load(editing.with_value(text, key, value)) == wanted


def test_comments_and_other_spellings_of_a_key_survive() -> None:
    text = 'image: x\nenv:\n  A: 1\n\n# about shells\n"profile" : raw  # for now\n# the end\n'
    changed = editing.with_value(text, "env", {"B": 2})
    assert changed == text.replace("  A: 1", "  B: 2")
    changed = editing.with_value(text, "profile", "tuned")
    assert changed == text.replace('"profile" : raw  # for now', "profile: tuned")
    assert editing.with_value(text, "env", None) == text.replace("env:\n  A: 1\n", "")


@pytest.mark.parametrize(
    "text", ["host: [", "{host: local}\n", "- a\n", "a: 1\n---\nb: 2\n", "[" * 5000, "\0"]
)
def test_what_is_no_block_of_keys_is_a_plain_failure(text: str) -> None:
    with pytest.raises(ConfigError, match="the file is"):
        editing.with_value(text, "profile", "raw")


def test_a_file_that_cannot_be_read_is_a_plain_failure(config):
    files.new(config(), "work", GOOD)
    before = config()
    path = files.path_of(before, "work")
    path.write_bytes(b"host: \xff\n")
    for call in (files.text_of, lambda config, name: files.change(config, name, GOOD)):
        with pytest.raises(ConfigError, match="no UTF-8"):
            call(before, "work")


def test_the_profile_is_toggled_however_it_is_written(config, run_verb):
    for written in ("profile: raw\n", "profile : raw\n", '"profile": raw\n', "profile:\n  raw\n"):
        files.new(config(), "work", written + GOOD)
        run_verb("context", "toggle", "work")
        assert config().context("work").profile == "tuned", written
        files.remove(config(), "work")


@pytest.mark.parametrize("value", ["2026-99-99", "[" * 3000])
def test_values_that_are_no_yaml_are_text(config, run_verb, value):
    files.new(config(), "work", GOOD)
    run_verb("context", "set", "work", f"user={value}")
    assert config().context("work").user == value
