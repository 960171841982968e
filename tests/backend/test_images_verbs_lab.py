"""Images of real hosts by the real program: listed, watched, pulled, renamed, removed, pruned; and faults."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import program
from tests.lab import Host, HostSpec, Lab, parts

pytestmark = pytest.mark.lab
FIELDS = {
    *("host", "id", "name", "tags", "digests", "size", "shared_size", "created_at", "used_by"),
    *("labels", "recipe", "state", "reason", "stale"),
}
PATIENCE = 60.0


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    parts.require("docker-registry")
    hosts = [HostSpec("h1"), HostSpec("pod", engine="podman")]
    with Lab(tmp_path_factory.mktemp("images") / "lab", hosts) as lab:
        yield lab


class Berth:
    """The real program on the lab."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        own = {"BERTH_STATE_DIR": str(folder / "state"), "HOME": str(folder)}
        self.env = {**os.environ, "BERTH_CONFIG_DIR": str(lab.config_dir), **own}
        self.folder = folder

    def __call__(self, *words: str, code: int = 0) -> subprocess.CompletedProcess:
        return program.berth(*words, env=self.env, code=code)

    @contextmanager
    def running(self, *words: str) -> Iterator[subprocess.Popen]:
        process = subprocess.Popen(
            [sys.executable, "-m", "tui", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.env,
            stdin=subprocess.DEVNULL,
        )
        try:
            yield process
        finally:
            process.terminate()
            process.communicate()


@pytest.fixture
def berth(lab: Lab, tmp_path: Path) -> Iterator[Berth]:
    yield Berth(lab, tmp_path)
    for host in lab.hosts.values():
        host.docker("rm", "-f", "web", "old", check=False)
        names = host.docker("images", "--format", "{{.Repository}}:{{.Tag}}").split()
        for name in names:
            if "test/" in name:
                host.docker("rmi", "-f", name, check=False)
        host.docker("image", "prune", "-f", check=False)


def build(host: Host, tag: str, kilobytes: int) -> None:
    """An image with a layer of random bytes."""
    text = f"FROM busybox:latest\nRUN head -c {kilobytes}000 /dev/urandom >/big\n"
    host.docker("build", "-q", "-t", tag, "-", data=text.encode())


@pytest.fixture
def registry(lab: Lab) -> Iterator[Callable[[str, int], str]]:
    """Makes an image that h1's registry has and h1 has not; its name."""
    host = lab.host("h1")
    config = (
        "version: 0.1\nstorage: {filesystem: {rootdirectory: /tmp/registry}}\nhttp: {addr: 127.0.0.1:5000}\n"
    )
    host.put("/tmp/registry.yml", config)
    serving = host.popen(["docker-registry", "serve", "/tmp/registry.yml"])
    probe = "wget -qO- http://127.0.0.1:5000/v2/ || curl -s http://127.0.0.1:5000/v2/"
    end = time.monotonic() + PATIENCE
    while host.run(["sh", "-c", probe], check=False).returncode or serving.poll() is not None:
        assert time.monotonic() < end
        if serving.poll() is not None:  # that of the test before still held its port
            serving = host.popen(["docker-registry", "serve", "/tmp/registry.yml"])
        time.sleep(0.05)

    def offered(name: str, kilobytes: int) -> str:
        image = f"127.0.0.1:5000/{name}"
        build(host, image, kilobytes)
        host.docker("push", image)
        host.docker("rmi", image)
        return image

    yield offered
    serving.terminate()
    serving.wait()


def until(true: Callable[[], Any]) -> Any:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := true():
            return found
        time.sleep(0.05)
    raise AssertionError("it never came true")


def rows(berth: Berth, *words: str) -> list[dict[str, Any]]:
    return json.loads(berth("images", "--json", *words).stdout)


def test_images_of_both_engines_are_listed_with_who_uses_them(lab, berth):
    for name in ("h1", "pod"):
        host = lab.host(name)
        build(host, "test/a:1", 100)
        host.docker("run", "-d", "--name", "web", "test/a:1", "sleep", "1d")
    found = rows(berth)
    assert all(set(row) == FIELDS for row in found)
    mine = [row for row in found if any(tag.endswith("test/a:1") for tag in row["tags"])]
    assert sorted(row["host"] for row in mine) == ["h1", "pod"]
    for row in mine:
        assert row["used_by"] == ["container web"] and row["size"] > 100_000 and len(row["id"]) == 64
        assert row["created_at"].endswith("Z") and row["state"] is None and row["recipe"] is None
    assert {row["host"] for row in rows(berth, "--host", "pod")} == {"pod"}
    table = berth("images").stdout
    assert table.startswith("HOST\tIMAGE") and "localhost/test/a:1" in table


def test_a_watched_list_follows_what_changes(lab, berth):
    host = lab.host("h1")
    with berth.running("images", "--host", "h1", "--json", "--watch") as process:
        line = process.stdout.readline()
        assert "test/new:1" not in line
        host.docker("tag", "busybox:latest", "test/new:1")
        until(lambda: "test/new:1" in process.stdout.readline())


def test_an_image_is_renamed_and_removed_in_stages(lab, berth):
    host = lab.host("h1")
    build(host, "test/a:1", 10)
    berth("image", "tag", "test/a:1", "test/b:1", "--host", "h1")
    refused = berth("image", "rm", "h1/test/a:1", code=5)
    assert "It keeps its other name test/b:1" in refused.stderr
    assert "any more" in berth("image", "rm", "h1/test/a:1", "--yes").stdout
    host.docker("create", "--name", "old", "test/b:1", "true")
    said = berth("image", "rm", "h1/test/b:1", "--yes", code=5).stderr
    assert "container old" in said and "--force" in said
    assert "removed" in berth("image", "rm", "h1/test/b:1", "--yes", "--force").stdout
    assert berth("image", "layers", "h1/test/b:1", code=4)


def test_layers_are_told_on_both_engines(lab, berth):
    for name, tag in (("h1", "test/a:1"), ("pod", "localhost/test/a:1")):  # as each engine calls it
        build(lab.host(name), "test/a:1", 300)
        said = berth("image", "layers", "test/a:1", "--host", name).stdout
        assert "RUN head -c 300000" in said, said
        [told] = json.loads(berth("image", "layers", "test/a:1", "--host", name, "--json").stdout)
        layers = told["data"]["layers"]
        assert (told["data"]["host"], layers[-1]["tags"]) == (name, [tag])
        assert any("RUN head -c 300000" in layer["command"] and layer["size"] >= 300_000 for layer in layers)


def test_what_a_prune_would_remove_is_shown_and_only_that_goes(lab, berth):
    host = lab.host("h1")
    build(host, "test/a:1", 300)
    build(host, "test/a:1", 200)
    dry = berth("images", "prune", "--host", "h1", "--dry-run")
    assert "1 image would go" in dry.stdout and "frees 293 K" in dry.stderr
    berth("images", "prune", "--host", "h1", code=5)  # nobody said yes
    assert "removed 1 image" in berth("images", "prune", "--host", "h1", "--yes").stdout
    left = [row["tags"] for row in rows(berth, "--host", "h1")]
    assert ["test/a:1"] in left and [] not in left


def test_an_image_is_pulled_layer_by_layer(berth, registry):
    image = registry("test/pulled:1", 3000)
    done = berth("image", "pull", image, "--host", "h1")
    assert f"pulled {image}" in done.stdout
    assert "Pull complete" in done.stderr
    assert any(image in row["tags"] and row["digests"] for row in rows(berth, "--host", "h1"))


def test_a_registry_that_refuses_says_what_to_do(lab, berth, registry):
    image = registry("test/pulled:1", 10)
    wrong = berth("image", "pull", image.replace(":1", ":2"), "--host", "h1", code=4).stderr
    assert "manifest" in wrong and "correct the tag" in wrong
    none = berth("image", "pull", "127.0.0.1:5000/test/none:1", "--host", "h1", code=4).stderr
    assert "correct" in none
    away = berth("image", "pull", "127.0.0.1:1/x:1", "--host", "h1", "pod", code=1).stderr
    assert "0 of 2 hosts" in away and "Nothing answers at that registry" in away


def test_a_full_disk_ends_a_pull_and_says_so(lab, berth, registry):
    host = lab.host("h1")
    image = registry("test/large:1", 30_000)
    host.fill_disk()
    try:
        said = berth("image", "pull", image, "--host", "h1", code=1).stderr
        assert "no space left on device" in said and "disk is full" in said
    finally:
        host.free_disk()
    assert f"pulled {image}" in berth("image", "pull", image, "--host", "h1").stdout


def test_a_hanging_engine_and_a_host_that_is_away_are_said(lab, berth):
    host = lab.host("h1")
    host.hang_engine()
    try:
        done = berth("images", "--json", "--host", "h1", "pod", "--timeout", "8", code=1)
        assert {row["host"] for row in json.loads(done.stdout)} <= {"pod", "h1"}
        assert "pod" in done.stdout and "h1" in done.stderr
    finally:
        host.thaw_engine()
    host.stop_sshd()
    try:
        away = berth("images", "--json", "--host", "h1", code=3)
        assert json.loads(away.stdout) == [] and "h1" in away.stderr
        assert berth("image", "pull", "x:1", "--host", "h1", code=3)
    finally:
        host.start_sshd()
