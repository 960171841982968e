"""Remapped keys: what settings may say, and what is refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
from textual.binding import Binding

from backend.config import Config
from backend.config.schema import Settings
from backend.errors import ConfigError
from tui.desk import Desk
from tui.keymap import of_settings
from tui.keys import bindings_of, is_shown, keymap
from tui.table import FleetTable
from tui.views import all_views

VIEWS = all_views()
SCOPES = [(Desk, FleetTable, view) for view in VIEWS]


class First:
    BINDINGS: ClassVar = [Binding("a,b", "one", id="one"), Binding("c", "two", id="two")]


class Second:
    BINDINGS: ClassVar = [Binding("d", "three", id="three")]


def test_names_and_characters_of_keys_are_both_understood() -> None:
    assert keymap({"one": ("x", "?")}, [(First,)]) == {"one": "x,question_mark"}


def test_an_action_without_keys_has_none() -> None:
    [key] = keymap({"one": ()}, [(First,)]).values()
    assert not is_shown(key)


def test_an_unknown_action_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError) as caught:
        keymap({"on": ("x",)}, [(First,)])
    assert "'on'" in caught.value.message
    assert "one, two" in caught.value.hint


def test_a_key_that_is_taken_is_refused_with_both_actions() -> None:
    with pytest.raises(ConfigError) as caught:
        keymap({"three": ("b",)}, [(First, Second)])
    assert "'one'" in caught.value.message
    assert "'three'" in caught.value.message


def test_keys_of_two_actions_can_be_swapped() -> None:
    assert keymap({"two": ("d",), "three": ("c",)}, [(First, Second)]) == {"two": "d", "three": "c"}


def test_scopes_that_are_never_active_together_may_share_a_key() -> None:
    assert keymap({"three": ("a",)}, [(First,), (Second,)]) == {"three": "a"}


def test_every_binding_of_the_dashboard_has_an_id_and_no_two_share_a_key() -> None:
    for scope in SCOPES:
        taken: dict[str, str | None] = {}
        for owner in scope:
            for binding in bindings_of(owner):
                assert binding.id, binding
                assert taken.setdefault(binding.key, binding.id) == binding.id, binding


@pytest.mark.parametrize("name", ["wall-zoom", "log-search", "output-back", "lines-top"])
def test_the_keys_of_every_screen_can_be_set(name: str, tmp_path: Path) -> None:
    config = Config(directory=tmp_path, hosts=(), settings=Settings(keys={name: ("f9",)}))
    assert of_settings(config) == {name: "f9"}
