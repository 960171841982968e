"""Two hosts with GPUs and queues for all tests of this folder, and a berth that knows them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backend.queues.labs import IMAGE, INFO, Berth
from tests.lab import HostSpec, Lab, parts


@pytest.fixture(scope="package")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    parts.require()
    specs = (HostSpec("q1", gpus="nvidia:4"), HostSpec("q2", gpus="nvidia:2"))
    with Lab(tmp_path_factory.mktemp("runlab") / "lab", specs) as lab:
        yield lab


@pytest.fixture
def berth(cluster: Lab, tmp_path: Path) -> Berth:
    folder = tmp_path / "demo"
    folder.mkdir()
    return Berth(cluster.config_dir, folder, tmp_path / "state")


@pytest.fixture
def project(berth: Berth, cluster: Lab) -> Path:
    """The tree of rp's page, unmodified; no host knows it yet."""
    for each in cluster.hosts.values():
        each.run(["rm", "-rf", "/home/alice/berth"])
    top = berth.folder
    for name in ("docker", ".rp", ".cache", "output"):
        (top / name).mkdir()
    (top / ".rp/info.json").write_text(json.dumps(INFO))
    (top / ".rp/paths.json").write_text('["output", ".cache"]')
    (top / "docker/Dockerfile").write_text(f"FROM {IMAGE}\n")
    (top / "docker/bashhook.sh").write_text("echo hook\n")
    (top / "docker/hook_pre_useradd").write_text("RUN echo pre\n")
    (top / "docker/hook_post_useradd").write_text("RUN echo post\n")
    (top / "hello.sh").write_text('# hello.sh\necho "Hello $1"\necho "$1" >/home/user/output/said\n')
    return top
