"""The host's side of a build: locks, folders, output of bounded size, and which builder there is."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from backend.agent.builds import builders, folders, keys, lock
from backend.agent.builds.output import Output, Reader
from backend.agent.builds.service import Engine
from backend.agent.outputs.source import FailedError
from backend.toolkit.find_keys import KEY

IMAGE = "team/image:latest"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    (tmp_path / "run").mkdir()


def read(path: str) -> list[str]:
    reader = Reader(path)
    try:
        return [text for lines in reader.read() for _, text in lines]
    finally:
        reader.close()


# ------------------------------------------------------------------------------------------- output


def written(tmp_path: Path, limit: int) -> tuple[Output, str]:
    path = tmp_path / "output"
    path.touch()
    return Output(str(path), limit), str(path)


def test_output_comes_in_lines_whatever_pieces_it_came_in(tmp_path):
    output, path = written(tmp_path, 10_000)
    for piece in (b"on", b"e\ntw", b"o\r", b"three\r\nf", b"our"):
        output.feed(piece)
    assert read(path) == ["one", "two", "three"]
    output.close()
    assert read(path) == ["one", "two", "three", "four"]


def test_output_is_bounded_and_keeps_its_beginning_and_end(tmp_path):
    output, path = written(tmp_path, 2000)
    for number in range(5000):
        output.line(b"line %d" % number)
    output.close()
    found = read(path)
    assert found[0] == "line 0" and found[-1] == "line 4999" and len(found) < 600
    assert any("lines are left out" in line for line in found)


def test_a_full_disk_loses_lines_and_not_the_end(tmp_path, monkeypatch):
    output, path = written(tmp_path, 10_000)
    real = os.write
    full = [True]

    def write(descriptor: int, data: bytes) -> int:
        if full[0] and descriptor == output._file:
            raise OSError(28, "No space left on device")
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", write)
    output.line(b"while it is full")
    full[0] = False
    output.line(b"after")
    output.close()
    assert read(path) == ["while it is full", "after"]


# ------------------------------------------------------------------------------------------ folders


def test_a_run_tells_how_it_ended_and_whether_it_lives():
    run = folders.Run.make({"image": IMAGE, "digest": "d"})
    assert run.end() is None and not run.alive
    held = run.lock()
    assert run.alive and folders.running(IMAGE, "d") is not None and folders.running(IMAGE, "e") is None
    run.finish({"code": 0, "image": "sha256:x"})
    os.close(held)
    assert run.end() == {"code": 0, "image": "sha256:x"} and folders.running(IMAGE, "d") is None


def test_an_end_needs_no_room_and_a_long_one_is_no_lie():
    run = folders.Run.make({})
    end = Path(run.folder, "end")
    before = end.stat().st_size
    run.finish({"code": 1, "error": "x" * 4000})
    assert end.stat().st_size == before
    assert (run.end() or {}).get("code") == 1


def test_names_that_lead_elsewhere_are_no_runs():
    for name in ("../../etc", "", "20261121T000000-0000000g", "20261121T000000-00000000/.."):
        with pytest.raises(ValueError, match="is no build"):
            folders.Run(name)
    assert Path(folders.context("../../etc/passwd")).parent.name == "contexts"


def test_what_is_left_or_old_is_swept_and_what_lives_is_not(tmp_path, monkeypatch):
    dead, alive = folders.Run.make({}), folders.Run.make({})
    held = alive.lock()
    left = [folders.secrets_folder(each) for each in (dead, alive)]
    assert all(path.startswith(str(tmp_path / "run")) and os.stat(path).st_mode & 0o77 == 0 for path in left)
    foreign = tmp_path / "run" / "berth-build-else"
    foreign.mkdir()
    old = Path(folders.context(IMAGE))
    folders.keep_leftover(str(old), "0123456789ab")
    folders.keep_leftover(str(old), "no id")
    os.utime(old, (1, 1))
    for run in (dead, alive):
        os.utime(run.folder, (1, 1))
    forgotten: list[str] = []
    folders.sweep(forgotten.append)
    assert [os.path.exists(path) for path in left] == [False, True]
    assert foreign.exists() and not old.exists() and forgotten == ["0123456789ab"]
    assert not os.path.exists(dead.folder) and os.path.exists(alive.folder)
    os.close(held)


def test_secrets_that_lay_on_the_disk_are_swept_with_a_killed_build(monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", "")
    monkeypatch.setattr(folders.os, "access", lambda path, mode: not path.startswith("/dev/shm"))
    dead, alive = folders.Run.make({}), folders.Run.make({})
    held = alive.lock()
    left = [folders.secrets_folder(each) for each in (dead, alive)]
    assert [os.path.dirname(path) for path in left] == [dead.folder, alive.folder]
    folders.sweep()
    assert [os.path.exists(path) for path in left] == [False, True]
    assert os.path.exists(dead.folder)
    os.close(held)


# --------------------------------------------------------------------------------------------- lock


@pytest.mark.skipif(sys.platform != "linux", reason="abstract sockets are Linux's")
def test_one_builds_and_who_it_is_can_be_told(tmp_path):
    name = lock.name_of(f"/run/docker.sock-{time.time_ns()}", IMAGE)
    assert lock.holder(name) is None
    assert lock.take(name, str(tmp_path))
    assert not lock.take(name, str(tmp_path)) and lock.holder(name) == os.getuid()
    child = subprocess.Popen(["sleep", "60"], pass_fds=lock.descriptors())
    lock.drop()
    assert not lock.take(name, str(tmp_path))  # a child that inherited it keeps it
    child.kill()
    child.wait()
    assert lock.take(name, str(tmp_path))
    lock.drop()


# ----------------------------------------------------------------------------------------- builders


def program(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


BUILDX = (
    'case "$1" in buildx) echo "github.com/docker/buildx {0} abc";; *) echo "Docker version 28.2.2";; esac'
)


@pytest.mark.parametrize(
    ("script", "kind", "json"),
    [
        (BUILDX.format("v0.24.0"), "buildx", True),
        (BUILDX.format("0.12.1"), "buildx", False),
        ('[ "$1" = buildx ] && exit 1; echo "Docker version 20.10.24+dfsg1"', "buildkit", False),
        ('[ "$1" = buildx ] && exit 1; echo "Docker version 28.2.2"', "classic", False),
        ("exit 1", "classic", False),
    ],
)
def test_the_builder_that_is_there_is_found(tmp_path, monkeypatch, script, kind, json):
    program(tmp_path / "bin", "docker", script)
    monkeypatch.setattr(builders, "_programs", lambda name: iter([str(tmp_path / "bin" / name)]))
    found = builders.find("docker", "auto")
    assert (found.kind, found.json) == (kind, json)
    assert builders.find("docker", "classic").kind == "classic"
    if kind == "classic":
        with pytest.raises(LookupError):
            builders.find("docker", "buildkit")


def test_the_command_lines():
    spec = {
        "tags": ["a:1", "b:1"],
        "args": {"x": "y z"},
        "labels": {"l": "1"},
        "target": "one",
        "platform": "",
        "no_cache": True,
        "folder": "/ctx",
    }
    buildx = builders.Builder("buildx", "/bin/docker", json=True, attests=True)
    argv, environment = builders.command(buildx, "/run/d.sock", spec, {"k": "/s/0"})
    assert argv == [
        "/bin/docker", "buildx", "build", "--builder", "default", "--load", "--progress=rawjson",
        "--provenance=false", "--file", "/ctx/Dockerfile", "--tag", "a:1", "--tag", "b:1",
        "--build-arg", "x=y z",
        "--label", "l=1", "--secret", "id=k,src=/s/0", "--target", "one", "--no-cache", "--", "/ctx/tree",
    ]  # fmt: skip
    assert environment == {"DOCKER_HOST": "unix:///run/d.sock"}
    podman, environment = builders.command(builders.Builder("podman", "/bin/podman"), "/run/p.sock", spec, {})
    assert podman[:4] == ["/bin/podman", "--url", "unix:///run/p.sock", "build"] and environment == {}


@pytest.mark.parametrize("name", ["ssh-keygen", "ssh-add", "ssh-agent"])
def test_programs_that_deal_with_keys_hold_none(name):
    path = Path("/usr/bin", name)
    if not path.exists():
        pytest.skip(f"{name} is not here")
    assert b"PRIVATE KEY-----" in path.read_bytes() and KEY.search(path.read_bytes()) is None


def test_keys_are_found_in_whatever_they_are_written():
    for text in (
        b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl",
        b"-----BEGIN RSA PRIVATE KEY-----\r\nProc-Type: 4,ENCRYPTED",
        b'{"key": "-----BEGIN PRIVATE KEY-----\\nMIIE"}',
        b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQOY",
        b"PuTTY-User-Key-File-2: ssh-rsa",
    ):
        assert KEY.search(b"x\n" + text)


def test_a_search_that_says_more_than_is_understood_ends(tmp_path):
    (tmp_path / keys.PROGRAM).write_text("print('no JSON')\nprint('{}\\n' * 1_000_000)\n")
    with pytest.raises(FailedError, match="team/image:latest could not be searched for keys"):
        keys.find(str(tmp_path), Engine("/no/socket", "docker"), IMAGE)
