"""The verbs as people type them: what is printed, asked, refused; exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from backend.sync import spelled_out
from tests.backend.sshd import Sshd
from tests.backend.sync.conftest import files, write
from tests.lab import parts

ROOT = Path(__file__).parents[3]


class Shell:
    """A home here, a home there, a command line."""

    def __init__(self, folder: Path, sshd: Sshd) -> None:
        self.here, self.there, self.config = folder / "laptop", folder / "remote", folder / "config"
        for each in (self.here, self.there, self.config):
            each.mkdir()
        sshd.stop()
        sshd.options["SetEnv"] = f"HOME={self.there}"
        sshd.start()
        entry = (
            f"host: 127.0.0.1, sshport: {sshd.port}, username: {sshd.host().username}, tags: [gpu],"
            f" identity_file: {sshd.user_key}, known_hosts: {sshd.known_hosts}"
        )
        (self.config / "hosts.yaml").write_text(
            f"local: false\nhosts:\n  one: {{{entry}}}\n  two: {{{entry}, read_only: true}}\n"
            "  down: {host: 127.0.0.1, sshport: 1}\n"
        )
        (self.config / "sync.yaml").write_text(
            "profiles:\n"
            "  code: {hosts: [one], rules: [{source: work}]}\n"
            "  mirror: {hosts: [one], rules: [{source: work, delete: true}]}\n"
            "  back: {hosts: [one], rules: [{source: out, direction: pull}]}\n"
        )
        self.env = {
            **os.environ,
            "HOME": str(self.here),
            "BERTH_CONFIG_DIR": str(self.config),
            "BERTH_STATE_DIR": str(folder / "state"),
        }

    def __call__(
        self, *words: str, code: int = 0, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "tui", *words],
            cwd=ROOT,
            env=self.env,
            capture_output=True,
            text=True,
            input=stdin or "",
            check=False,
        )
        assert done.returncode == code, (done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done


@pytest.fixture
def berth(tmp_path: Path, sshd: Sshd) -> Shell:
    parts.require("rsync")
    return Shell(tmp_path, sshd)


def test_a_day(berth: Shell) -> None:
    write(berth.here / "work/a.py", "one")
    write(berth.here / "work/b.py", "two")
    dry = berth("push", "code", "--dry-run")
    assert "2 new" in dry.stdout
    assert "work/a.py" in dry.stdout
    assert not (berth.there / "work").exists()
    assert "one: 2 new, 6 B" in berth("push", "code").stdout
    assert "nothing to do, 2 the same" in berth("push", "code").stdout
    (berth.here / "work/b.py").unlink()
    refused = berth("push", "mirror", code=5)
    assert "work/b.py" in refused.stderr
    assert "one: 1 file would be deleted" in refused.stderr
    assert "Delete 1 file on one?" in refused.stderr
    assert (berth.there / "work/b.py").exists()
    assert "1 deleted" in berth("push", "code", "--delete", "--yes").stdout
    assert files(berth.there / "work") == {"a.py": b"one"}
    (entry, *_) = json.loads(berth("sync", "history", "--json").stdout)
    assert (entry["deleted"], entry["host"]) == (1, "one")
    assert "which replaced 0 and deleted 1 file?" in berth("sync", "undo", code=5).stderr
    assert "1 put back" in berth("sync", "undo", entry["run"], "--yes").stdout
    assert files(berth.there / "work") == {"a.py": b"one", "b.py": b"two"}
    assert "no sync on record" in berth("sync", "undo", "--yes", code=4).stderr


def test_results_as_json(berth: Shell) -> None:
    write(berth.here / "work/a.py", "one")
    (plan,) = json.loads(berth("push", "code", "-n", "--json").stdout)
    assert [(each["kind"], each["path"]) for each in plan["changes"] if not each["folder"]] == [
        ("new", "work/a.py")
    ]
    found = json.loads(berth("push", "code", "--host", "one", "--host", "down", "--json", code=3).stdout)
    assert [(each["host"], each["ok"], each["new"]) for each in found] == [
        ("one", True, 1),
        ("down", False, 0),
    ]
    assert found[1]["error"]


def test_conflicts_are_named_and_fail(berth: Shell) -> None:
    write(berth.here / "work/a", "first", age=1000)
    berth("push", "code")
    write(berth.here / "work/a", "mine", age=10)
    write(berth.there / "work/a", "theirs", age=5)
    left = berth("push", "code", code=1)
    assert "work/a" in left.stderr
    assert "1 in conflict" in left.stdout
    (result,) = json.loads(berth("push", "code", "--json", code=1).stdout)
    assert result["conflicts"] == ["work/a"]
    berth("push", "code", "--on-conflict", "mine")
    assert (berth.there / "work/a").read_text() == "mine"


def test_what_is_refused(berth: Shell) -> None:
    write(berth.here / "work/a")
    assert "two is read-only" in berth("push", "code", "--host", "two", code=5).stderr
    assert "berth is read-only" in berth("--read-only", "push", "code", code=5).stderr
    assert "two is read-only" in berth("push", "code", "--host", "two", "--watch", code=5).stderr
    assert "Delete on one from now on" in berth("push", "mirror", "--watch", code=5).stderr
    assert "no sync profile" in berth("push", "nope", code=4).stderr
    assert "two is read-only" in berth("push", "code", "--host", "one", "two", code=5).stderr
    assert files(berth.there) == {"work/a": b"text"}, "a host that may not be written holds up no other"
    assert "no host has the tag" in berth("push", "code", "--tag", "nope", code=4).stderr
    assert "nothing to push" in berth("push", "back", code=2).stderr
    assert "there is nothing to pull" in berth("pull", "back", code=4).stderr
    assert "no profile is named" in berth("sync", code=2).stderr
    assert "which host" in berth("pushdir", "work", code=2).stderr


def test_nothing_is_undone_on_a_read_only_host(berth: Shell) -> None:
    write(berth.here / "work/a", "first", age=1000)
    berth("push", "code")
    write(berth.here / "work/a", "second", age=10)
    berth("push", "code")
    hosts = berth.config / "hosts.yaml"
    hosts.write_text(hosts.read_text().replace("tags: [gpu]", "tags: [gpu], read_only: true", 1))
    assert "one is read-only" in berth("sync", "undo", "--yes", code=5).stderr
    assert (berth.there / "work/a").read_text() == "second"


def test_pull_from_a_read_only_host(berth: Shell) -> None:
    write(berth.there / "out/result", "1")
    assert "1 new" in berth("pull", "back", "--host", "two").stdout
    assert files(berth.here / "out") == {"result": b"1"}


def test_pushdir_remembers_the_folder(berth: Shell) -> None:
    write(berth.here / "work/a", "new")
    write(berth.there / "work/old", "old")
    assert "1 new, 1 deleted" in berth("pushdir", "work", "--host", "one", "--yes").stdout
    assert files(berth.there / "work") == {"a": b"new"}
    write(berth.there / "work/b", "there")
    berth("pulldir", "--host", "one", "--yes")
    assert files(berth.here / "work") == {"a": b"new", "b": b"there"}


def test_only_a_folder_that_was_replaced_is_remembered(berth: Shell) -> None:
    write(berth.here / "work/a", "new")
    berth("pushdir", "work", "--host", "one")
    berth("pushdir", "nowhere", "--host", "one", code=4)
    berth("pushdir", "nowhere", "--host", "down", code=3)
    berth("pushdir", "work/deeper", "--host", "one", "--dry-run", code=4)
    write(berth.here / "work/b", "more")
    assert "one: 1 new" in berth("pushdir", "--host", "one").stdout
    assert files(berth.there / "work") == {"a": b"new", "b": b"more"}


def test_a_folder_that_is_too_large_to_be_kept_is_asked_about(berth: Shell) -> None:
    write(berth.here / "work/a", "new")
    large = write(berth.there / "work/large", "")
    os.truncate(large, 3 * 1024**3)  # a hole: it takes no room
    why = "replacing work cannot be undone: 3.0 G are more than keep_size"
    assert why in berth("pushdir", "work", "--host", "one", "--dry-run").stdout
    (shown,) = json.loads(berth("pushdir", "work", "--host", "one", "-n", "--json").stdout)
    assert shown["final"] == why
    refused = berth("pushdir", "work", "--host", "one", code=5)
    assert f"on one ({why})?" in refused.stderr
    assert large.exists()
    assert f"not kept: {why}" in berth("pushdir", "work", "--host", "one", "--yes").stderr
    assert files(berth.there / "work") == {"a": b"new"}
    assert "no sync on record" in berth("sync", "undo", "--yes", code=4).stderr


def test_profiles_are_shown_as_they_would_be_written(berth: Shell) -> None:
    names = [each["name"] for each in json.loads(berth("sync", "profiles", "--json").stdout)]
    assert names == ["code", "mirror", "back", "push", "pull", "pushremove"]
    shown = berth("sync", "show", "pushremove").stdout
    (berth.config / "sync.yaml").write_text(shown)
    assert berth("sync", "show", "pushremove").stdout == shown


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "profiles: {a: {rules: [{source: /}]}}",
            "sync.yaml:1: profiles.a.rules.1.source: '/' would be a whole",
        ),
        ("profiles: {a: {rules: [{source: ../x}]}}", "holds `..`"),
        ("profiles: {a: {rules: []}}", "`rules` is missing"),
        ("profiles: {a: {rules: [{target: x}]}}", "`source` is missing"),
        ("profiles: {a: {hosts: [nope], rules: [{source: x}]}}", "no host is called 'nope'"),
        ("profiles: {a: {rules: [{source: x, filter: [x]}]}}", "is no filter"),
        ("profiles: {a: {rules: [{source: x, mode: 999}]}}", "is no mode"),
        ("profiles: {a: {rules: [{source: x, secret: true, mode: 0755}]}}", "secret rule is for us alone"),
        ("profiles: {a: {rules: [{source: x, sauce: y}]}}", "Did you mean 'source'"),
        ("profile: {}", "unknown key"),
    ],
)
def test_a_wrong_sync_yaml_is_named_with_its_line(berth: Shell, text: str, said: str) -> None:
    (berth.config / "sync.yaml").write_text(text)
    assert said in berth("sync", "profiles", code=2).stderr


def test_a_profile_may_be_named_without_run() -> None:
    assert spelled_out(["sync", "notes", "-n"], 0) == ["sync", "run", "notes", "-n"]
    assert spelled_out(["--read-only", "sync"], 1) == ["--read-only", "sync", "run"]
    assert spelled_out(["sync", "history"], 0) == ["sync", "history"]
    assert spelled_out(["sync", "--help"], 0) == ["sync", "--help"]
