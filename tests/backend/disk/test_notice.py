"""Telling users by a program of one's own, and what of disks can be configured."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.config import Config, load
from backend.config.schema import DiskSettings, Settings
from backend.disk.model import Progress
from backend.disk.notice import Message, send
from backend.disk.words import sure, unread
from backend.errors import ActionFailed, ConfigError, UsageError

GIB = 1 << 30


def configured(folder: Path, *command: str) -> Config:
    return Config(directory=folder, settings=Settings(disk=DiskSettings(notify=command)))


def message(user: str, text: str = "You have 5 G.") -> Message:
    return Message("h1", user, 5 * GIB, "/home/x; touch y", text)


async def test_a_program_is_run_for_each_without_a_shell(tmp_path: Path) -> None:
    config = configured(tmp_path, "tee", str(tmp_path / "{user} {host} {size}"))
    said = await send(config, None, [message("alice"), message("bob")], "command")  # type: ignore[arg-type]
    assert said == ["alice: told by tee", "bob: told by tee"]
    assert (tmp_path / "alice h1 5.0 G").read_text() == "You have 5 G.\n"
    assert (tmp_path / "bob h1 5.0 G").exists()
    with pytest.raises(UsageError, match="no program"):
        await send(configured(tmp_path), None, [message("alice")], "command")  # type: ignore[arg-type]


async def test_one_that_fails_hides_no_other_and_all_that_fail_are_a_failure(tmp_path: Path) -> None:
    (tmp_path / "bob").mkdir()
    config = configured(tmp_path, "tee", str(tmp_path / "{user}"))
    said = await send(config, None, [message("alice"), message("bob")], "command")  # type: ignore[arg-type]
    assert said[0] == "alice: told by tee" and "Is a directory" in said[1]
    with pytest.raises(ActionFailed, match="Is a directory"):
        await send(config, None, [message("bob")], "command")  # type: ignore[arg-type]
    with pytest.raises(ActionFailed, match="cannot be started"):
        await send(configured(tmp_path, "/nowhere/x"), None, [message("bob")], "command")  # type: ignore[arg-type]


def test_what_can_be_configured(tmp_path: Path) -> None:
    (tmp_path / "hosts.yaml").write_text(
        "disk_full: 90\ndisk_folders: [/data]\n"
        "hosts:\n  h1: {host: x}\n  h2: {host: y, disk_full: 95.5, disk_folders: [/scratch, /mnt/a b]}\n"
    )
    (tmp_path / "settings.yaml").write_text("disk: {notify: [mail, '{user}'], file: '/srv/{user}.txt'}\n")
    config = load(tmp_path)
    limits = {each.name: (each.disk_full, each.disk_folders) for each in config.hosts}
    assert limits == {
        "local": (90, ("/data",)),
        "h1": (90, ("/data",)),
        "h2": (95.5, ("/scratch", "/mnt/a b")),
    }
    assert config.settings.disk == DiskSettings(notify=("mail", "{user}"), file="/srv/{user}.txt")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("hosts.yaml", "disk_full: 101\n"),
        ("hosts.yaml", "disk_folders: [data]\n"),
        ("settings.yaml", "disk: {file: /srv/all.txt}\n"),
        ("settings.yaml", "disk: {way: mail}\n"),
    ],
)
def test_what_cannot_be_is_an_error_with_its_place(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=f"{name}:1"):
        load(tmp_path)


def test_how_sure_a_size_is() -> None:
    read = Progress(bytes=4 * GIB, guess=2 * GIB, doubt=GIB, files=1000, folders=90, open=10)
    assert sure(read) == (
        "about 6.0 G, give or take 1.0 G: 4.0 G (67 %) read in 1,000 files, 10 folders not read"
    )
    assert sure(Progress(bytes=GIB, guess=GIB, folders=1, open=99)).startswith("very roughly 2.0 G")
    assert sure(Progress(bytes=GIB, files=2, complete=True)) == "1.0 G in 2 files"
    problems = tuple((f"/x{number}", "Permission denied") for number in range(7))
    (line,) = unread(Progress(unreadable=9, problems=problems))
    assert line.startswith("9 folders cannot be read: /x0 (Permission denied)") and line.endswith(
        "and 4 more"
    )
