"""Removing: only what was chosen and weighed, no link followed, nothing that has to stay."""

from __future__ import annotations

import os
import pwd
import subprocess
from pathlib import Path

import pytest

from backend.disk.host import change, tell
from backend.disk.host.change import Refusal, Target, remove, weigh


def quiet(files: int, size: int) -> None:
    """Nobody listens."""


def du(path: Path) -> int:
    return int(subprocess.run(["du", "-sxk", path], capture_output=True, check=True).stdout.split()[0]) * 1024


def test_what_is_weighed_is_what_comes_free(tmp_path: Path) -> None:
    base = tmp_path.resolve()
    (base / "gone/deep/er").mkdir(parents=True)
    (base / "stays").mkdir()
    for number, name in enumerate([b"a", b"new\nline", b"\xff\xfe", b"-rf ~"]):
        with open(os.path.join(os.fsencode(base / "gone/deep"), name), "wb") as file:
            file.write(b"x" * 10_000 * (number + 1))
    os.link(base / "gone/deep/a", base / "gone/deep/er/twice")
    (base / "stays/kept").write_bytes(b"x" * 50_000)
    os.link(base / "stays/kept", base / "gone/shared")
    (base / "gone/link").symlink_to(base / "stays")
    whole = du(base / "gone")
    with Target(str(base / "gone"), []) as target:
        weight = weigh(target, quiet)
        went = remove(target, quiet)
    assert not (base / "gone").exists()
    assert (base / "stays/kept").read_bytes() == b"x" * 50_000
    assert weight.bytes == went.bytes == whole - du(base / "stays/kept")
    assert (weight.files, weight.folders) == (went.files, went.folders) == (7, 3)
    assert weight.owners == {pwd.getpwuid(os.getuid()).pw_name: weight.bytes}
    assert not weight.problems and not went.problems


def test_a_single_file_and_a_link_by_itself(tmp_path: Path) -> None:
    base = tmp_path.resolve()
    (base / "file").write_bytes(b"x" * 9000)
    (base / "link").symlink_to("file")
    for name in ("link", "file"):
        with Target(str(base / name), []) as target:
            assert remove(target, quiet).files == 1
    assert not list(base.iterdir())


def test_nested_deeper_than_any_path_can_be(tmp_path: Path) -> None:
    base, before, name = tmp_path.resolve(), os.getcwd(), "d" * 100
    try:
        os.chdir(base)
        for _ in range(120):
            os.mkdir(name)
            os.chdir(name)
    finally:
        os.chdir(before)
    with Target(str(base / name), []) as target:
        assert remove(target, quiet).folders == 120
    assert not (base / name).exists()


@pytest.mark.parametrize("path", ["/", "/home", "/usr/share/doc", "/etc", "/tmp", "/var/lib", "/proc/1"])
def test_places_of_the_system_stay(path: str) -> None:
    with pytest.raises(Refusal):
        change.allowed(path, [])


@pytest.mark.parametrize("path", ["data", "/data/../etc", "/data/", "/data//x", "/a\0b", ""])
def test_only_whole_plain_paths(path: str) -> None:
    with pytest.raises(Refusal):
        change.allowed(path, [])


def test_homes_engines_and_keys_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = tmp_path.resolve()
    home = base / "people/alice"
    (home / ".ssh").mkdir(parents=True)
    (home / "data").mkdir()
    monkeypatch.setenv("HOME", str(home))
    engine = str(base / "engine")
    for path in (home, base / "people", home / ".ssh", home / ".ssh/id", base / "engine", base):
        with pytest.raises(Refusal):
            change.allowed(str(path), [engine])
    with pytest.raises(Refusal, match="prune"):
        change.allowed(engine + "/overlay2/x", [engine])
    change.allowed(str(home / "data"), [engine])


def test_what_lies_behind_a_link_is_not_reached_by_it(tmp_path: Path) -> None:
    base = tmp_path.resolve()
    (base / "real/inside").mkdir(parents=True)
    (base / "link").symlink_to("real")
    with pytest.raises(Refusal, match="link"):
        Target(str(base / "link/inside"), [])
    assert (base / "real/inside").exists()


def test_who_swaps_a_folder_on_the_way_for_a_link_leads_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = tmp_path.resolve()
    (base / "way/on/gone").mkdir(parents=True)
    (base / "stays/on/gone").mkdir(parents=True)
    true, opened = os.path.realpath, os.open

    def swap() -> None:
        if not (base / "aside").exists():
            (base / "way").rename(base / "aside")
            (base / "way").symlink_to(base / "stays")

    def realpath(path, **more):
        """Whoever asks where a path leads has an old answer."""
        found = true(path, **more)
        if path == str(base / "way/on"):
            swap()
        return found

    def open_(path, flags, *rest, **more):
        """Just before it is opened by its name in the folder above."""
        if path == "way":
            swap()
        return opened(path, flags, *rest, **more)

    monkeypatch.setattr(os.path, "realpath", realpath)
    monkeypatch.setattr(os, "open", open_)
    with pytest.raises(Refusal, match="link"):
        Target(str(base / "way/on/gone"), [])
    assert (base / "aside/on/gone").is_dir()


def test_a_folder_that_was_swapped_for_a_link_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = tmp_path.resolve()
    (base / "gone/in").mkdir(parents=True)
    (base / "stays").mkdir()
    (base / "stays/kept").write_text("kept")
    (base / "gone/in/file").write_text("x")
    true = os.stat

    def stat(path, *, dir_fd=None, follow_symlinks=True):
        """Between the look at a folder and its opening somebody puts a link in its place."""
        found = true(path, dir_fd=dir_fd, follow_symlinks=follow_symlinks)
        if path == "in" and (base / "gone/in").is_dir() and not (base / "gone/in").is_symlink():
            (base / "gone/in").rename(base / "aside")
            (base / "gone/in").symlink_to(base / "stays")
        return found

    monkeypatch.setattr(change.os, "stat", stat)
    with Target(str(base / "gone"), []) as target:
        went = remove(target, quiet)
    assert (base / "stays/kept").read_text() == "kept"
    assert any(path.endswith("/in") for path, _ in went.problems)


def test_a_message_is_left_in_a_file_of_ours_alone(tmp_path: Path) -> None:
    path = tmp_path / "berth-disk-alice.txt"
    assert str(path) in tell.leave_file(str(path), "first")
    tell.leave_file(str(path), "second")
    assert path.read_text() == "second" and path.stat().st_mode & 0o777 == 0o644
    path.unlink()
    (tmp_path / "secret").write_text("kept")
    path.symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match="not a file of ours"):
        tell.leave_file(str(path), "third")
    assert (tmp_path / "secret").read_text() == "kept"
    assert sorted(each.name for each in tmp_path.iterdir()) == [path.name, "secret"]


def test_a_terminal_is_written_to_where_its_owner_allows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.openpty()
    name = os.ttyname(theirs)
    monkeypatch.setattr(tell, "terminals", lambda: {"alice": [name]})
    monkeypatch.setattr(tell.shutil, "which", lambda program: None)
    try:
        os.chmod(name, 0o620)
        assert tell.write_to("alice", "one\ntwo") == "written to 1 terminal"
        assert os.read(ours, 100).replace(b"\r\r", b"\r") == b"\r\none\r\ntwo\r\n"
        os.chmod(name, 0o600)
        assert "mesg n" in tell.write_to("alice", "three")
        assert tell.write_to("bob", "four") == "is not logged in"
    finally:
        os.close(ours)
        os.close(theirs)
