"""docs/configuration.md says what the code does: every key is there, and every example loads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from backend.config import commands, contexts, hosts, load, settings, sync
from backend.config.schema import Settings
from backend.recipes import berthfile
from tests.backend.config.conftest import Folder

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "configuration.md").read_text()
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


@pytest.mark.parametrize(
    ("page", "section", "keys"),
    [
        ("configuration", "settings.yaml", {*settings._IMAGES, *settings._NOTIFY, *settings._FOLDERS}),
        ("configuration", "settings.yaml", set(settings._DISK)),
        ("everywhere", "", {*commands._COMMAND, *commands._PARAM}),
        ("sync", "", {*sync._PROFILE, *sync._RULE, *sync._KEEPING}),
        ("images", "berth.yaml", {*berthfile._RECIPE, *berthfile._USER}),
    ],
    ids=["settings", "disk", "commands", "sync.yaml", "berth.yaml"],
)
def test_keys_below_others_are_named_too(page: str, section: str, keys: set[str]) -> None:
    text = (DOCS / f"{page}.md").read_text()
    if section:
        text = dict(re.findall(r"^## (\S+).*?\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))[section]
    said = set(re.findall(r"[`\[{, ](\w+)[`:]", text)) | set(
        re.findall(r"^ *(?:- )?(\w+):", text, re.MULTILINE)
    )
    assert keys <= said, keys - said


def test_defaults_of_the_settings_are_those_of_the_code() -> None:
    rows = dict(
        re.findall(r"^\| `(\w+)` \| [^|]*(?:\| )*\| ([^|]*) \|", SECTIONS["settings.yaml"], re.MULTILINE)
    )
    told = {"interval": 2.0, "read_only": False, "notifications": True, "terminal": "auto"}
    for name, value in told.items():
        assert getattr(Settings(), name) == value
        said = (
            str(value).lower()
            if isinstance(value, bool)
            else f"{value:g}"
            if isinstance(value, float)
            else value
        )
        assert f"`{said}`" in re.search(rf"^\| `{name}` \|.*$", SECTIONS["settings.yaml"], re.MULTILINE)[0]  # type: ignore[index]
    assert rows["packages"] == ", ".join(f"`{each}`" for each in Settings().packages)
