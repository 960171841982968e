"""A repository of cluster images: base first, image.sqsh, env.toml, and a Slurm job in that root."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import HostSpec, Lab, parts

pytestmark = [pytest.mark.lab, pytest.mark.timeout(400)]

FILES = {
    "reasoning_base/Dockerfile": "FROM busybox:latest\nRUN echo base > /layers\nWORKDIR /workspace\n",
    "projects/reasoning:2025.1/Dockerfile": (
        "FROM busybox:latest AS tools\nRUN echo tool > /tool\n"
        "FROM reasoning_base\nCOPY --from=tools /tool /tool\nRUN echo project >> /layers\n"
        'COPY entrypoint.sh /entrypoint.sh\nENTRYPOINT ["/entrypoint.sh"]\nCMD ["cat", "/layers"]\n'
    ),
    "projects/reasoning:2025.1/entrypoint.sh": '#!/bin/sh\necho "entered $PWD"\nexec "$@"\n',
    "projects/reasoning:2025.1/berth.yaml": (
        "cluster:\n  mounts: [/capstor, /users]\n  workdir: /workspace\n"
        "  annotations:\n    com.hooks.aws_ofi_nccl.enabled: 'true'\n"
    ),
}
NAME = "reasoning:2025.1"
INSIDE = """\
set -e
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
unsquashfs -quiet -no-progress -dest "$root/r" /srv/imgs/image.sqsh
unshare --map-root-user chroot "$root/r" /bin/sh /etc/rc {0}
"""
"""What enroot does, as far as a node without it can: the root of the image, entered by its /etc/rc."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    parts.require("sqfstar", "unsquashfs")
    specs = [HostSpec("c1", slurm="c1", engine="none"), HostSpec("n1", slurm="c1")]
    with Lab(tmp_path_factory.mktemp("imgs") / "lab", specs) as lab:
        lab.host("n1").run(["sh", "-c", "mkdir -p /srv/imgs && chown alice: /srv/imgs"])
        yield lab


@pytest.fixture
def env(lab: Lab, tmp_path: Path) -> dict[str, str]:
    own = {
        "BERTH_STATE_DIR": f"{tmp_path}/state",
        "BERTH_CACHE_DIR": f"{tmp_path}/cache",
        "HOME": f"{tmp_path}",
    }
    return {**os.environ, "BERTH_CONFIG_DIR": str(lab.config_dir), **own}


def berth(env: dict[str, str], *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "tui", *words], env=env, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
    return done


def test_from_the_repository_to_a_job_in_the_image(lab: Lab, env: dict[str, str], tmp_path: Path) -> None:
    root = tmp_path / "imgs"
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "projects" / NAME / "entrypoint.sh").chmod(0o755)
    (root / "projects/reasoning:latest").symlink_to(NAME)
    (lab.config_dir / "settings.yaml").write_text(f"images:\n  roots: [{root}]\n")
    before = sorted(path for path in root.rglob("*"))

    berth(env, "images", "build", "reasoning:latest", "--host", "n1")
    images = lab.host("n1").docker("images", "--format", "{{.Repository}}:{{.Tag}}").split()
    assert {"reasoning_base:latest", NAME} <= set(images)

    berth(env, "image", "sqsh", f"n1/{NAME}", "--into", "/srv/imgs")
    assert tomllib.loads(lab.host("n1").run(["cat", "/srv/imgs/env.toml"]).stdout) == {
        "image": "/srv/imgs/image.sqsh",
        "mounts": ["/capstor", "/users"],
        "workdir": "/workspace",
        "annotations": {"com": {"hooks": {"aws_ofi_nccl": {"enabled": "true"}}}},
    }
    assert sorted(path for path in root.rglob("*")) == before

    assert job(lab, "") == (0, "entered /workspace\nbase\nproject\n")
    assert job(lab, shlex.join(["sh", "-c", "cat /tool; exit 7"])) == (7, "entered /workspace\ntool\n")


def job(lab: Lab, words: str) -> tuple[int, str]:
    """Exit code and output of a Slurm job on the node that has the file."""
    script = ["srun", "--quiet", "sh", "-c", INSIDE.format(words)]
    done = lab.host("c1").run(script, user="alice", check=False, timeout=120)
    return done.returncode, done.stdout
