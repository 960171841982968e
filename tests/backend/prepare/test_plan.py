"""What is decided about a host: from what is there to what is changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec.structs import replace as changed

from backend import toolkit
from backend.config import Folders
from backend.prepare import blocks, host, packages, plan, undo
from backend.prepare.seen import Entry, Place, Seen, read
from backend.prepare.wanted import KEY, TMUX, hooks, wanted

AIM = wanted(Folders(), packages=("git", "tmux"), git={"user.name": "Ann"})
BARE = Seen(
    user="ann", home="/home/ann", shell="/bin/bash", problem="", made=(), files={}, programs=("git",),
    manager="apt-get", missing=(), root=False, sudo=False, git={"user.name": None},
)  # fmt: skip


def file(text: str, **more: object) -> Place:
    return Place("file", text=text, sha=blocks.digest(text), mode=0o644, **more)  # type: ignore[arg-type]


def paths(found: plan.Plan, do: str) -> list[str]:
    return [step.wire["path"] for step in found.files if step.wire["do"] == do]


def test_a_bare_host_gets_everything_once() -> None:
    found = plan.prepare(AIM, BARE, "h1")
    assert "shared/secret" in paths(found, "folder")
    assert [step.wire["mode"] for step in found.files if step.wire["path"] == "shared/secret"] == [0o700]
    assert {".bashrc", ".profile", ".tmux.conf", TMUX} <= set(paths(found, "write"))
    assert found.files[-1].wire["do"] == "manifest"
    assert [step.wire["key"] for step in found.after] == ["user.name"]
    assert not found.notes


def test_names_of_folders_are_words_for_the_shell_too() -> None:
    odd = wanted(Folders(mirror="a'$(id)", shared="s h".replace(" ", "")), packages=(), git={})
    (text,) = [text for path, text in odd.files.items() if path.endswith("shell.sh")]
    assert "'a'\"'\"'$(id)'" in text


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (Place("link", target="/dots/bashrc"), "is a link to /dots/bashrc"),
        (file("x\n", writable=False), "may not be written"),
        (Place("unknown", error="it is no plain file"), "it is no plain file"),
        (file(f"{blocks.BEGIN}\nexport A=1\n"), "do not stand as a pair"),
        (file(blocks.render("my own")), "was changed"),
    ],
)
def test_a_file_that_cannot_be_changed_is_left_and_said(place: Place, said: str) -> None:
    found = plan.prepare(AIM, changed(BARE, files={".bashrc": place, ".profile": file("")}), "h1")
    assert ".bashrc" not in paths(found, "write")
    assert any("~/.bashrc" in note and said in note for note in found.notes)


def test_a_folder_that_is_a_file_stops_only_what_is_in_it() -> None:
    found = plan.prepare(AIM, changed(BARE, files={"shared": file("")}), "h1")
    assert not [path for path in paths(found, "folder") if path.startswith("shared/")]
    assert "sharedump" in paths(found, "folder")
    assert any("~/shared is there and is no folder" in note for note in found.notes)


def test_a_link_to_a_folder_is_a_folder() -> None:
    found = plan.prepare(AIM, changed(BARE, files={"shared": Place("link", folder=True)}), "h1")
    assert "shared" not in paths(found, "folder")
    assert "shared/bin" in paths(found, "folder")
    assert not found.notes


def test_an_open_secret_folder_is_closed_and_undo_opens_it_again() -> None:
    seen = changed(BARE, files={"shared/secret": Place("folder", mode=0o755)})
    (step,) = [step for step in plan.prepare(AIM, seen, "h1").files if step.wire["do"] == "chmod"]
    made = Entry("mode", path="shared/secret", was=step.wire["record"]["was"])
    after = changed(BARE, made=(made,), files={"shared/secret": Place("folder", mode=0o700)})
    (back,) = [step for step in undo.unprepare(after).files if step.wire["do"] == "chmod"]
    assert back.wire["mode"] == 0o755


def test_packages_without_rights_are_named_with_the_command_for_an_administrator() -> None:
    found = plan.prepare(AIM, changed(BARE, missing=("tmux",)), "h1")
    assert not [step for step in found.after if step.wire["do"] == "command"]
    (note,) = found.notes
    assert "sudo apt-get install -y -q --no-install-recommends tmux" in note


@pytest.mark.parametrize(
    ("manager", "root", "last"),
    [
        ("apt-get", True, "apt-get install -y -q --no-install-recommends tmux"),
        ("dnf", False, "sudo -n dnf -y install tmux"),
        ("yum", False, "sudo -n yum -y install tmux"),
        ("zypper", True, "zypper --non-interactive install tmux"),
    ],
)
def test_packages_come_by_the_manager_of_the_host(manager: str, root: bool, last: str) -> None:
    seen = changed(BARE, missing=("tmux",), manager=manager, root=root, sudo=not root)
    (step,) = [step for step in plan.prepare(AIM, seen, "h1").after if step.wire["do"] == "command"]
    assert " ".join(step.wire["argv"][-1]) == last


def test_packages_have_other_names_elsewhere() -> None:
    assert packages.named("dnf", ["vim", "procps", "git"]) == ("vim-enhanced", "procps-ng", "git")
    assert packages.named("apt-get", ["vim", "vim"]) == ("vim",)


def test_git_settings_that_are_set_stay() -> None:
    assert not plan.prepare(AIM, changed(BARE, git={"user.name": "Other"}), "h1").after


def test_a_key_that_is_there_is_never_made_again() -> None:
    seen = changed(BARE, files={f"{KEY}.pub": file("ssh-ed25519 AAAA me\n")})
    found = plan.prepare(replace(AIM, key=True), seen, "h1")
    assert not [step for step in found.after if step.wire["do"] == "key_make"]
    assert any("ssh-ed25519 AAAA me" in note for note in found.notes)


def test_hooks_go_where_the_shell_and_tmux_look() -> None:
    assert ".zshrc" in [hook.path for hook in hooks({}, "/usr/bin/zsh")]
    kinds = {".bash_profile": "file", ".tmux.conf": "missing", ".config/tmux/tmux.conf": "file"}
    assert [hook.path for hook in hooks(kinds, "/bin/bash")] == [".bashrc", ".config/tmux/tmux.conf"]


def test_undo_leaves_what_was_changed_since() -> None:
    mine = blocks.render("ours")
    made = (
        Entry("file", path=TMUX, sha="0" * 64),
        Entry("block", path=".bashrc", sha=blocks.digest(mine), created=True),
        Entry("git", key="user.name", value="Ann"),
    )
    files = {TMUX: file("changed\n"), ".bashrc": file("mine\n" + mine)}
    found = undo.unprepare(changed(BARE, made=made, files=files, git={"user.name": "Bob"}))
    assert [step.wire["text"] for step in found.files if step.wire["do"] == "write"] == ["mine\n"]
    assert not paths(found, "remove") and not found.before
    assert any(TMUX in note for note in found.notes) and any("user.name" in note for note in found.notes)


def test_undo_of_packages_is_asked_for() -> None:
    seen = changed(BARE, root=True, made=(Entry("packages", names="tmux git", manager="apt-get"),))
    assert not undo.unprepare(seen).before
    assert any("tmux git" in note for note in undo.unprepare(seen).notes)
    (step,) = undo.unprepare(seen, remove_packages=True).before
    assert step.wire["argv"] == [["apt-get", "remove", "-y", "-q", "tmux", "git"]]


def test_a_home_that_is_not_there_is_seen(tmp_path: Path) -> None:
    request = json.dumps({"verb": "look", "files": [".bashrc"], "packages": [], "git": [], "programs": []})
    done = subprocess.run(
        [sys.executable, "-I", "-c", host._ONE_LINER],
        input=f"{json.dumps([toolkit.source(part) for part in host.PARTS])}\n{request}\n".encode(),
        capture_output=True,
        env={**os.environ, "HOME": str(tmp_path / "gone")},
        check=True,
    )
    assert read(json.loads(done.stdout)["look"]).problem == "it is not there"
