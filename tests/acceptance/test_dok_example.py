"""dok's three layers on two hosts at once: named as its page says, people log in, their key is nowhere else.

A small Debian stands in for nvidia/cuda, and layers that need no network for mamba's and torch's own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import Host, HostSpec, Lab, parts
from tests.lab.machine import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

BASE = "nvidia/cuda:11.8.0-devel-ubuntu22.04"
SSH, MAMBA, TORCH = (
    f"xvdp/cuda1180-ubuntu2204_{layers}:latest" for layers in ("ssh", "ssh_mamba", "ssh_mamba_torch")
)
LAYER = """\
ARG baseimage
FROM ${{baseimage}}
USER root
RUN mkdir -p /opt/{0} && chmod 777 /opt/{0} && echo {0} > /opt/{0}/here
USER 1000
"""
PORT = "32778"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    parts.require("debootstrap", "rsync")
    with Lab(tmp_path_factory.mktemp("dok") / "lab", [HostSpec("h1"), HostSpec("h2")]) as lab:
        lab.each(lambda host: host.load_debian("openssh-server", "sudo", name=BASE) and None)
        yield lab


@pytest.fixture
def env(lab: Lab, tmp_path: Path) -> dict[str, str]:
    own = {"BERTH_STATE_DIR": str(tmp_path / "state"), "BERTH_CACHE_DIR": str(tmp_path / "cache")}
    return {**os.environ, "BERTH_CONFIG_DIR": str(lab.config_dir), "HOME": str(tmp_path), **own}


def berth(env: dict[str, str], *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "tui", *words],
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == code, (
        f"berth {' '.join(words)}: {done.returncode}, {done.stdout}, {done.stderr}"
    )
    return done


@pytest.fixture
def recipes(env: dict[str, str], tmp_path: Path) -> Path:
    """A copy of the example: `images/ssh` from berth's template, `mamba` and `torch` upon it."""
    key = tmp_path / "id_login"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "authorized_keys").write_text(key.with_suffix(".pub").read_text())
    root = tmp_path / "dok"
    root.mkdir()
    berth(env, "images", "new", "ssh", "ssh", "--root", str(root), "--base", BASE)
    text = (root / "images/ssh/berth.yaml").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("authorized_keys")]
    lines += [f"authorized_keys: {tmp_path}/.ssh/authorized_keys", "maintainer: xvdp"]
    (root / "images/ssh/berth.yaml").write_text("\n".join(lines) + "\n")
    for name, base in (("mamba", "ssh"), ("torch", "mamba")):
        (root / "images" / name).mkdir()
        (root / "images" / name / "Dockerfile").write_text(LAYER.format(name))
        (root / "images" / name / "berth.yaml").write_text(f"base: {base}\nmaintainer: xvdp\n")
    return root


def layers_with(host: Host, image: str, text: str) -> list[str]:
    """Layers of an image that hold a text, as `docker save` has them, the lowest first."""
    script = (
        "d=$(mktemp -d); cd $d; docker save $1 | tar xf -; "
        "for l in $(grep -o '[0-9a-f]\\{64\\}/layer.tar' manifest.json); do "
        'tar xOf $l --wildcards "*authorized_keys*" 2>/dev/null | grep -qF "$2" && echo $l; done; rm -r $d'
    )
    return host.run(["sh", "-c", script, "sh", image, text], timeout=120).stdout.split()


def login(lab: Lab, host: Host, key: Path, user: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["ssh", "-i", key, "-p", PORT, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
         "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", f"{user}@{host.address}", *words],
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip


def test_three_layers_on_two_hosts(lab: Lab, env: dict[str, str], recipes: Path, tmp_path: Path) -> None:
    before = sorted((path, path.stat().st_mtime_ns) for path in recipes.rglob("*"))
    said = berth(env, "images", "build", "torch", "--root", str(recipes), "--host", "h1", "h2")
    assert "built" in said.stdout
    assert sorted((path, path.stat().st_mtime_ns) for path in recipes.rglob("*")) == before
    public = (tmp_path / ".ssh" / "authorized_keys").read_text().split()[1]
    for host in lab.hosts.values():
        names = host.docker("images", "--format", "{{.Repository}}:{{.Tag}}").split()
        assert {SSH, MAMBA, TORCH} <= set(names)
        own = layers_with(host, SSH, public)
        assert own and layers_with(host, TORCH, public) == own  # those of ssh, and no other
        exposed = json.loads(
            host.docker("image", "inspect", TORCH, "--format", "{{json .Config.ExposedPorts}}")
        )
        assert f"{PORT}/tcp" in exposed
        for image in (SSH, TORCH):
            berth(env, "image", "check", image, "--host", host.name)
    assert not any((tmp_path / "cache" / "staged").iterdir())
    again = berth(env, "images", "build", "torch", "--root", str(recipes), "--host", "h1", "h2")
    assert "6 images are fresh" in again.stdout


def test_people_log_in(lab: Lab, env: dict[str, str], recipes: Path, tmp_path: Path) -> None:
    berth(env, "images", "build", "torch", "--root", str(recipes), "--host", "h1")
    h1 = lab.host("h1")
    h1.docker("run", "-d", "--name", "login", "--user", "root", "-p", f"{PORT}:{PORT}", TORCH)
    try:
        key = tmp_path / "id_login"
        wait_for(
            lambda: login(lab, h1, key, "appuser", "true").returncode == 0, "sshd to let us in", seconds=60
        )
        for user, uid in (("appuser", 1000), ("appuser1", 1001), ("appuser2", 1002)):
            done = login(lab, h1, key, user, "id -u; id -Gn; cat /opt/torch/here; pwd")
            assert done.stdout.split("\n")[:1] == [str(uid)] and done.stdout.endswith(
                f"torch\n/home/{user}\n"
            ), done
            assert "docker" in done.stdout.split("\n")[1].split()
        assert login(lab, h1, key, "appuser", "sudo -n id -u").stdout == "0\n"
        assert login(lab, h1, key, "appuser1", "sudo -n id -u").returncode != 0
        assert login(lab, h1, key, "root", "true").returncode != 0
        other = tmp_path / "id_other"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True)
        assert login(lab, h1, other, "appuser", "true").returncode != 0
    finally:
        h1.docker("rm", "-f", "login")
