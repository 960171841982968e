"""rp's projects: read as they are, made as rp makes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backend.errors import ConfigError, UsageError
from backend.projects import compose, rp
from backend.projects.rpargs import translate

GB = 1024**3
INFO = {
    "cpu": 4,
    "docker_shm": "64g",
    "gpus": 1,
    "memory": 8,
    "name": "demo",
    "rp_version": "0.0.1",
    "stdout_to_file": False,
    "tag": "julian_tanke/rp_demo",
    "username": "julian_tanke",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project with the fields and the tree of rp's own page."""
    top = tmp_path / "demo"
    (top / ".rp").mkdir(parents=True)
    (top / "docker").mkdir()
    (top / ".rp/info.json").write_text(json.dumps(INFO))
    (top / ".rp/paths.json").write_text(json.dumps(["/data/set1", "output"]))
    (top / "docker/Dockerfile").write_text("FROM busybox\r\nENV A=1")
    (top / "docker/hook_pre_useradd").write_text("RUN echo pre\n")
    (top / "docker/hook_post_useradd").write_text("RUN echo post\n")
    (top / "docker/bashhook.sh").write_text("echo hook\n")
    return top


def _info(folder: Path, **changes: Any) -> None:
    (folder / ".rp/info.json").write_text(json.dumps({**INFO, **changes}))


def test_a_project_of_rp_is_read_unchanged(folder: Path) -> None:
    project = rp.read(folder)
    assert (project.name, project.tag) == ("demo", "julian_tanke/rp_demo")
    assert project.defaults == rp.Defaults(cpus=4, gpus=1, memory=8 * GB, shm=64 * GB, to_file=False)
    assert rp.mounts(project, "/home/x/demo") == (
        ("/home/x/demo", "/home/user/demo", False),
        ("/data/set1", "/home/user/set1", False),
        ("/home/x/demo/output", "/home/user/output", False),
    )


def test_it_is_found_from_any_folder_inside(folder: Path) -> None:
    inside = folder / "src/deep"
    inside.mkdir(parents=True)
    found = rp.find(inside)
    assert found is not None
    assert found.folder == folder
    assert rp.find(folder.parent) is None


def test_init_makes_the_tree_and_touches_nothing_that_is_there(tmp_path: Path) -> None:
    top = tmp_path / "My Project!"
    (top / "docker").mkdir(parents=True)
    (top / "docker/Dockerfile").write_text("FROM scratch\n")
    written = rp.init(top)
    assert "docker/Dockerfile" not in written
    assert (top / "docker/Dockerfile").read_text() == "FROM scratch\n"
    assert set(json.loads((top / ".rp/info.json").read_text())) == set(INFO)
    assert rp.read(top).name == "my_project"
    for name in (
        "docker/hook_pre_useradd",
        "docker/hook_post_useradd",
        "docker/bashhook.sh",
        ".rp/paths.json",
    ):
        assert (top / name).is_file()
    for name in (".cache", "output"):
        assert (top / name).is_dir()
    with pytest.raises(UsageError, match="is a project already"):
        rp.init(top)


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        ("julian_tanke/rp_demo", "julian_tanke/rp_demo"),
        ("Julian Tanke/rp_Demo:latest", "julian_tanke/rp_demo"),
        ("///", "rp/project"),
        ("-x-/.y.", "x/y"),
    ],
)
def test_a_tag_becomes_a_name_that_an_engine_takes(tag: str, name: str) -> None:
    assert rp.image_name(tag) == name


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"cpu": "many"}, "cpu"), ({"cpu": 0}, "cpu"), ({"cpu": True}, "cpu"), ({"gpus": -1}, "gpus"),
        ({"memory": "lots"}, "memory"), ({"docker_shm": "big"}, "docker_shm"),
        ({"stdout_to_file": "no"}, "stdout_to_file"),
        ({"name": ["x"]}, "name"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named_with_its_file(folder: Path, changes: dict[str, Any], field: str) -> None:
    _info(folder, **changes)
    with pytest.raises(ConfigError, match=rf"info\.json: {field}: "):
        rp.read(folder)


def test_a_broken_file_is_named_with_its_line(folder: Path) -> None:
    (folder / ".rp/info.json").write_text('{"cpu": 4,\n nonsense}')
    with pytest.raises(ConfigError, match=r"info\.json:2:2: "):
        rp.read(folder)
    (folder / ".rp/info.json").write_text("[1]")
    with pytest.raises(ConfigError, match="not an object"):
        rp.read(folder)


@pytest.mark.parametrize("paths", [["a/b"], ["/"], [".."], "x", [1], ["/x\0"]])
def test_paths_that_are_none(folder: Path, paths: Any) -> None:
    (folder / ".rp/paths.json").write_text(json.dumps(paths))
    with pytest.raises(ConfigError, match=r"paths\.json"):
        rp.read(folder)


def test_paths_that_collide(folder: Path) -> None:
    (folder / ".rp/paths.json").write_text(json.dumps(["/a/set", "/b/set"]))
    with pytest.raises(UsageError, match="/a/set and /b/set would both be mounted at /home/user/set"):
        rp.mounts(rp.read(folder), "/p")
    (folder / ".rp/paths.json").write_text(json.dumps(["/somewhere/demo"]))
    with pytest.raises(UsageError, match="at /home/user/demo"):
        rp.mounts(rp.read(folder), "/p")


def test_the_dockerfile_is_put_together_as_rp_does(folder: Path) -> None:
    lines = compose.dockerfile(rp.read(folder), 1234, 100).splitlines()
    order = [
        "FROM busybox",
        "ENV A=1",
        "RUN echo pre",
        "USER 1234:100",
        "RUN echo post",
        "WORKDIR /home/user/demo",
    ]
    assert [line for line in lines if line in order] == order
    assert not any("\r" in line for line in lines)


def test_root_needs_no_user_of_its_own(folder: Path) -> None:
    text = compose.dockerfile(rp.read(folder), 0, 0)
    assert "/etc/passwd" not in text
    assert "USER root" in text


def test_the_digest_names_the_content(folder: Path) -> None:
    project = rp.read(folder)
    first = compose.digest(project, 1, 1)
    assert compose.digest(project, 1, 1) == first
    assert compose.digest(project, 2, 1) != first
    (folder / "docker/data.txt").write_text("x")
    second = compose.digest(project, 1, 1)
    assert second != first
    (folder / "docker/data.txt").chmod(0o755)
    assert compose.digest(project, 1, 1) != second


def test_parts_may_be_missing_but_not_the_dockerfile(folder: Path) -> None:
    (folder / "docker/hook_pre_useradd").unlink()
    (folder / "docker/hook_post_useradd").write_text("")
    assert "FROM busybox" in compose.dockerfile(rp.read(folder), 1, 1)
    (folder / "docker/Dockerfile").write_text("\n")
    with pytest.raises(UsageError, match="is empty"):
        compose.dockerfile(rp.read(folder), 1, 1)
    (folder / "docker/Dockerfile").unlink()
    with pytest.raises(UsageError, match="does not exist"):
        compose.dockerfile(rp.read(folder), 1, 1)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (
            ["run", '--script=hello.sh "a b"', "--cpu=2", "--gpu=0", "--mem=8"],
            ["run", '--script=hello.sh "a b"', "--cpus=2", "--gpus=0", "--mem=8"],
        ),
        (["run", "--detach=True", "--script", "x"], ["run", "--detach", "--script", "x"]),
        (["run", "--detach=False"], ["run"]),
        (["run", "--cpu", "2", "--outfile_name", "r"], ["run", "--cpus", "2", "--outfile-name", "r"]),
        (["run", "--", "x.sh", "--cpu=2"], ["run", "--", "x.sh", "--cpu=2"]),
        (["kill", "pid=1234"], ["job", "kill", "1234", "--yes"]),
        (["enter", "--cpu=1", "--mem=4", "--gpu=0"], ["shell", "--cpus=1", "--mem=4", "--gpus=0"]),
        (["enter", "h/c", "--user", "x"], ["enter", "h/c", "--user", "x"]),
        (["kill", "h/c", "--signal", "INT"], ["kill", "h/c", "--signal", "INT"]),
        (["ps", "--json"], ["ps", "--json"]),
    ],
)
def test_rps_command_lines_mean_the_same(theirs: list[str], ours: list[str]) -> None:
    assert translate(theirs, 0) == ours


def test_what_stands_before_the_verb_stays() -> None:
    assert translate(["--config", "d", "kill", "pid=7"], 2) == ["--config", "d", "job", "kill", "7", "--yes"]
