"""Hosts are said in the same ways to every verb that takes several."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from backend import verbrun
from backend.actions import load
from backend.arguments import parser
from backend.config import Config
from backend.config.schema import HostConfig
from backend.parsing import Listed

FORMS = (["h1", "h2"], ["h1,h2"], ["h1,", "h2"], ["h1", "--host", "h2"])


@pytest.fixture(scope="module")
def whole() -> argparse.ArgumentParser:
    return parser()


def verbs(of: argparse.ArgumentParser, name: str = "") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    yield name, of
    for action in of._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, below in action.choices.items():
                yield from verbs(below, f"{name} {word}".strip())


def test_every_verb_takes_hosts_alike(whole: argparse.ArgumentParser) -> None:
    found = []
    for name, verb in verbs(whole):
        for action in verb._actions:
            if "--host" in action.option_strings and action.nargs not in (None, 1):
                assert isinstance(action, Listed), name
                found.append(name)
    assert {"hosts", "activity", "push", "pulldir", "images build", "image rm", "images prune"} <= set(found)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("verb", ["gpus", "push", "sync undo", "images builds", "each"])
def test_the_forms_mean_the_same(whole: argparse.ArgumentParser, verb: str, form: list[str]) -> None:
    said = vars(whole.parse_args([*verb.split(), "--host", *form]))
    assert (said.get("host") or said["option_host"]) == ["h1", "h2"]


def test_words_of_the_verb_behind_hosts(
    whole: argparse.ArgumentParser, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = replace(
        Config(directory=tmp_path), hosts=tuple(HostConfig(name=name, host=name) for name in ("h1", "h2"))
    )
    push = load()["push-files"]

    def read(*words: str) -> dict[str, object]:
        said = whole.parse_args(["push", *words])
        return verbrun._sorted(push, verbrun.options_of(push, said, ()), config)

    meant = {"profile": "train", "host": ("h1", "h2")}
    assert read("train", "--host", "h1", "h2") == read("--host", "h1", "h2", "train") == meant
    assert read("--host", "h1", "train") == {"profile": "train", "host": ("h1",)}
    assert read("--host", "h1", "h*") == {"host": ("h1", "h*")}
    assert read("train", "--host", "h1", "oops") == {"profile": "train", "host": ("h1", "oops")}
    with pytest.raises(SystemExit):
        whole.parse_args(["image", "pull", "--host", "h1", "debian:12"])
    assert "They stand before --host" in capsys.readouterr().err
