"""docs/configuration.md says what the code does: every key is there, and every example loads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from backend.config import contexts, hosts, load, settings
from tests.backend.config.conftest import Folder

PAGE = (Path(__file__).parents[3] / "docs" / "configuration.md").read_text()
SECTIONS = dict(re.findall(r"^## (\S+).*?\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize(
    ("section", "keys"),
    [
        ("hosts.yaml", {*hosts._TOP, *hosts._HOST}),
        ("contexts/NAME.yaml", set(contexts._CONTEXT)),
        ("settings.yaml", set(settings._SETTINGS)),
    ],
)
def test_tables_list_exactly_the_keys_there_are(section: str, keys: set[str]) -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", SECTIONS[section], re.MULTILINE)) == keys


def test_every_option_of_the_engine_is_named() -> None:
    assert set(contexts._OPTIONS) <= set(re.findall(r"`(\w+)`", SECTIONS["contexts/NAME.yaml"]))


def test_the_examples_load(folder: Folder) -> None:
    examples = re.findall(r"```yaml\n# (\S+)\n(.*?)```", PAGE, re.DOTALL)
    for name, text in examples:
        folder.write(name, text)
    config = load(folder.path)
    assert [host.name for host in config.hosts] == ["local", "mi300", "h100-1", "old"]
    assert config.context("train").ports == ("127.0.0.1:8888:8888/tcp", "0.0.0.0:9999:80/tcp")
    assert config.settings.sort == {"gpus": "-util"}
