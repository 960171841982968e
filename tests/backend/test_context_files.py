"""Files of contexts: nothing wrong is ever written, nothing that was there is ever lost."""

from __future__ import annotations

import pytest

from backend.config import load
from backend.contexts import files
from backend.errors import ActionFailed, ConfigError, NoSuchTarget, UsageError
from backend.lastcontext import last_context

GOOD = "host: local\nimage: busybox\n"


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.setenv("BERTH_STATE_DIR", str(tmp_path / "state"))
    (tmp_path / "config" / "contexts").mkdir(parents=True)
    return lambda: load(tmp_path / "config")


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
