"""Images and private things on real hosts, by the real program: what leaves a host holds no key."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import program
from tests.lab import Host, HostSpec, Lab, parts

pytestmark = pytest.mark.lab

Berth = Callable[..., subprocess.CompletedProcess]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    parts.require("docker-registry")
    with Lab(tmp_path_factory.mktemp("images") / "lab", [HostSpec("h1"), HostSpec("h2")]) as lab:
        yield lab


@pytest.fixture
def berth(lab: Lab, tmp_path: Path) -> Berth:
    """Runs the real program."""
    own = {"BERTH_STATE_DIR": str(tmp_path / "state"), "HOME": str(tmp_path)}

    def run(*words: str, code: int = 0) -> subprocess.CompletedProcess:
        env = {**os.environ, "BERTH_CONFIG_DIR": str(lab.config_dir), **own}
        return program.berth(*words, env=env, code=code)

    return run


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "id_test"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    (tmp_path / ".gitconfig").write_text('[user]\nname = A \\"B\\"\nemail = a@b\n')
    return path


@pytest.fixture
def box(lab: Lab) -> Iterator[Host]:
    """A host with a running container `box`; images of a test are removed."""
    host = lab.host("h1")
    host.docker(
        "run", "-d", "--name", "box", "-e", 'ODD=$x "y" \\z', "--label", "team=a b", "busybox", "sleep", "1d"
    )
    yield host
    host.docker("rm", "-f", "box")
    for each in lab.hosts.values():
        names = each.docker("images", "--format", "{{.Repository}}:{{.Tag}}").split()
        for name in names:
            if "test/" in name or "berth-temporary" in name:
                each.docker("rmi", "-f", name)


def left_behind(host: Host) -> list[str]:
    """Temporary containers, temporary and dangling images."""
    containers = host.docker("ps", "-a", "--format", "{{.Names}}").split()
    images = host.docker("images", "-a", "--format", "{{.Repository}}:{{.Tag}}").split()
    odd = [name for name in images if name.startswith(("berth-temporary", "<none>"))]
    return [name for name in containers if name.startswith("berth-")] + odd


def test_keys_go_in_with_right_modes_and_come_out_for_good(box, berth, key):
    berth("private", "install", "h1/box", "--key", str(key))
    modes = box.docker(
        "exec", "box", "stat", "-c", "%a %U %n", "/root/.ssh", "/root/.ssh/id_test", "/root/.gitconfig"
    )
    assert modes.split("\n")[:3] == [
        "700 root /root/.ssh",
        "600 root /root/.ssh/id_test",
        "600 root /root/.gitconfig",
    ]
    assert 'name = "A \\"B\\""' in box.docker("exec", "box", "cat", "/root/.gitconfig")
    found = berth("private", "check", "h1/box", code=5)
    assert "/root/.ssh/id_test" in found.stderr
    berth("private", "rm", "h1/box", code=5)  # nobody said yes
    berth("private", "rm", "h1/box", "--yes")
    berth("private", "check", "h1/box")
    assert box.docker("exec", "box", "ls", "-A", "/root/.ssh") == ""


def test_a_git_configuration_that_was_there_is_kept_and_comes_back(box, berth, key):
    old = "[alias]\n\tco = checkout\n"
    box.docker("exec", "box", "sh", "-c", f"printf '{old}' >/root/.gitconfig; chmod 640 /root/.gitconfig")
    for _ in range(2):  # again is the same
        said = berth("private", "install", "h1/box", "--key", str(key))
        assert "/root/.gitconfig was there" in said.stderr
        written = box.docker("exec", "box", "cat", "/root/.gitconfig")
        assert "path = .gitconfig.before-berth" in written and "email" in written
    berth("private", "rm", "h1/box", "--yes")
    assert box.docker("exec", "box", "cat", "/root/.gitconfig") == old.strip()
    assert box.docker("exec", "box", "stat", "-c", "%a", "/root/.gitconfig") == "640"
    assert box.docker("exec", "box", "ls", "-A", "/root").split() == [".gitconfig", ".ssh"]


def test_a_key_that_is_there_is_not_replaced(box, berth, key):
    box.docker("exec", "box", "sh", "-c", "mkdir /root/.ssh; echo mine >/root/.ssh/id_test")
    said = berth("private", "install", "h1/box", "--key", str(key), code=1).stderr
    assert "/root/.ssh/id_test is there already" in said
    assert box.docker("exec", "box", "cat", "/root/.ssh/id_test") == "mine"
    assert box.docker("exec", "box", "ls", "-A", "/root") == ".ssh"


def test_what_belongs_to_the_host_or_lies_behind_a_link_is_not_shredded(box, berth, key):
    text = key.read_text()
    box.put("/tmp/home/.ssh/id_host", text)
    box.put("/tmp/home/.gitconfig", "[user]\nname = host\n")
    mount = ["-v", "/tmp/home:/home/alice"]
    box.docker("run", "-d", "--name", "mounted", *mount, "busybox", "sleep", "1d")
    try:
        script = (
            "mkdir -p /home/bob/.ssh /srv; echo precious >/srv/passwd; ln -s /srv/passwd /home/bob/.netrc;"
            "ln -s /srv /home/bob/.docker; echo x >/srv/config.json"
        )
        box.docker("exec", "mounted", "sh", "-c", script)
        berth("private", "install", "h1/mounted", "--key", str(key))
        said = berth("private", "rm", "h1/mounted", "--yes").stderr
        assert "left alone, it is mounted: /home/alice/.ssh/id_host" in said
        assert "left alone, it lies behind a link: /home/bob/.docker/config.json" in said
        assert box.docker("exec", "mounted", "cat", "/home/alice/.ssh/id_host") == text.strip()
        assert "name = host" in box.docker("exec", "mounted", "cat", "/home/alice/.gitconfig")
        assert box.docker("exec", "mounted", "cat", "/srv/passwd", "/srv/config.json") == "precious\nx"
        assert box.docker("exec", "mounted", "ls", "-A", "/home/bob", "/root/.ssh").split() == [
            "/home/bob:", ".docker", ".ssh", "/root/.ssh:"
        ]  # fmt: skip
    finally:
        box.docker("rm", "-f", "mounted")


def test_what_berth_put_into_a_mounted_home_goes_again(box, berth, key):
    mount = ["-v", "/tmp/other-home:/root"]
    box.docker("run", "-d", "--name", "mounted", *mount, "busybox", "sleep", "1d")
    try:
        berth("private", "install", "h1/mounted", "--key", str(key))
        berth("private", "rm", "h1/mounted", "--yes")
        assert box.docker("exec", "mounted", "find", "/root", "-type", "f") == ""
    finally:
        box.docker("rm", "-f", "mounted")


def test_what_is_no_key_is_refused(box, berth, tmp_path):
    (tmp_path / "notes").write_text("hello")
    assert (
        "no private SSH key"
        in berth("private", "install", "h1/box", "--key", str(tmp_path / "notes"), code=2).stderr
    )


def test_an_image_with_a_key_neither_leaves_as_a_file_nor_to_a_registry(box, berth, key, tmp_path):
    berth("private", "install", "h1/box", "--key", str(key), "--no-git")
    berth("commit", "h1/box", "test/dirty:1")
    box.docker("exec", "box", "rm", "/root/.ssh/id_test")
    berth("commit", "h1/box", "test/deleted:1")
    for words in (
        ("image", "check", "test/dirty:1", "--host", "h1"),
        ("image", "save", "test/dirty:1", str(tmp_path / "x.tar"), "--host", "h1"),
        ("image", "push", "test/dirty:1", "--host", "h1"),
    ):
        said = berth(*words, code=5).stderr
        assert "/root/.ssh/id_test" in said and "in layer " in said
    assert not (tmp_path / "x.tar").exists()


def test_a_deleted_key_is_still_found_in_its_layer_until_the_image_is_flattened(box, berth, key):
    berth("cp", str(key), "h1/box:/root/secret")
    box.docker("commit", "box", "test/with:1")
    box.docker("run", "--name", "gone", "test/with:1", "rm", "/root/secret")
    box.docker("commit", "gone", "test/without:1")
    box.docker("rm", "gone")
    assert "/root/secret" in berth("image", "check", "test/without:1", "--host", "h1", code=5).stderr
    box.docker("run", "-d", "--name", "flat", "test/without:1", "sleep", "1d")
    try:
        berth("push-image", "h1/flat", "test/flat:1", "--no-push", "--no-clean")
    finally:
        box.docker("rm", "-f", "flat")
    berth("image", "check", "test/flat:1", "--host", "h1")
    assert left_behind(box) == []


def test_flattening_keeps_what_the_image_says_and_leaves_the_container_as_it_was(box, berth, key):
    change = [
        'ENTRYPOINT ["sh", "-c"]',
        'CMD ["echo $ODD"]',
        "WORKDIR /data dir",
        "USER alice",
        "EXPOSE 80/tcp",
    ]
    words = [word for line in change for word in ("--change", line)]
    box.docker("commit", *words, "box", "test/base:1")
    box.docker("run", "-d", "--name", "odd", "--entrypoint", "sleep", "-u", "0", "test/base:1", "1d")
    try:
        box.docker(
            "exec",
            "odd",
            "sh",
            "-c",
            "mkdir -p /root/.cache/x; echo a > /root/.bash_history; echo keep > /kept",
        )
        berth("push-image", "h1/odd", "test/flat:2", "--no-push")
        assert box.docker("exec", "odd", "cat", "/root/.bash_history") == "a"
    finally:
        box.docker("rm", "-f", "odd")
    before, after = (json.loads(box.docker("inspect", name))[0] for name in ("test/base:1", "test/flat:2"))
    for field in ("WorkingDir", "ExposedPorts", "Labels"):
        assert after["Config"].get(field) == before["Config"].get(field), field
    assert 'ODD=$x "y" \\z' in after["Config"]["Env"]
    assert len(after["RootFS"]["Layers"]) == 1
    files = box.docker(
        "run", "--rm", "--entrypoint", "sh", "-u", "0", "test/flat:2", "-c", "cat /kept; ls -A /root"
    )
    assert files.split() == ["keep"]
    assert left_behind(box) == []


def test_push_to_a_registry_and_save_load_copy_between_hosts(lab, box, berth, tmp_path):
    other = lab.host("h2")
    box.put("/tmp/registry.yml", "version: 0.1\nstorage: {filesystem: {rootdirectory: /tmp/registry}}\n"
            "http: {addr: 127.0.0.1:5000}\n")  # fmt: skip
    registry = box.popen(["docker-registry", "serve", "/tmp/registry.yml"])
    try:
        while box.run(["sh", "-c", "wget -qO- http://127.0.0.1:5000/v2/ || curl -s http://127.0.0.1:5000/v2/"],
                      check=False).returncode:  # fmt: skip
            assert registry.poll() is None
            time.sleep(0.05)
        berth("push-image", "h1/box", "127.0.0.1:5000/test/box:1")
        box.docker("rmi", "127.0.0.1:5000/test/box:1")
        box.docker("pull", "127.0.0.1:5000/test/box:1")
    finally:
        registry.terminate()
        registry.wait()
    image = "127.0.0.1:5000/test/box:1"
    berth("image", "save", image, str(tmp_path / "box.tar.gz"), "--host", "h1")
    assert (
        "exists already"
        in berth("image", "save", image, str(tmp_path / "box.tar.gz"), "--host", "h1", code=1).stderr
    )
    with tarfile.open(tmp_path / "box.tar.gz") as archive:
        assert "manifest.json" in archive.getnames()
    berth("image", "load", str(tmp_path / "box.tar.gz"), "--host", "h2")
    assert other.docker("images", "-q", image)
    other.docker("rmi", image)
    assert "copied" in berth("image", "copy", image, "--host", "h1", "--to", "h2").stdout
    assert "already" in berth("image", "copy", image, "--host", "h1", "--to", "h2").stdout
    assert berth("image", "copy", "test/nothing:1", "--host", "h1", "--to", "h2", code=4).stderr


def test_a_full_disk_leaves_no_half_file(box, berth, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=500k", "tmpfs", small], check=True)
    try:
        said = berth("image", "save", "busybox:latest", str(small / "x.tar"), "--host", "h1", code=1).stderr
        assert "No space left" in said
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", small], check=True)


@pytest.mark.parametrize(("number", "code"), [(2, 130), (15, 143), (1, 129)])
def test_a_save_that_is_ended_leaves_no_half_file(lab, box, tmp_path, number, code):
    env = {**os.environ, "BERTH_CONFIG_DIR": str(lab.config_dir), "BERTH_STATE_DIR": str(tmp_path / "state")}
    slow = tmp_path / "slow"
    slow.mkdir()
    box.docker("exec", "box", "dd", "if=/dev/urandom", "of=/big", "bs=1M", "count=300")
    box.docker("commit", "box", "test/big:1")
    words = ["image", "save", "test/big:1", str(slow / "x.tar.gz"), "--host", "h1", "--no-check"]
    child = subprocess.Popen(
        [sys.executable, "-m", "tui", *words], env=env, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    while not list(slow.iterdir()):
        assert child.poll() is None
        time.sleep(0.02)
    child.send_signal(number)
    assert child.wait(20) == code
    assert list(slow.iterdir()) == []


def test_read_only_refuses_what_changes(berth, box):
    for words in (
        ("push-image", "h1/box", "test/x:1"),
        ("private", "install", "h1/box"),
        ("image", "load", "/nothing", "--host", "h1"),
        ("image", "tag", "busybox", "test/x:1", "--host", "h1"),
    ):
        assert "read-only" in berth("--read-only", *words, code=5).stderr


def test_exec_ends_with_the_commands_exit_code(box, berth):
    assert berth("exec", "h1/box", "--", "sh", "-c", "echo out; exit 3", code=3).stdout == "out\n"


def test_a_refused_push_leaves_the_image_that_had_the_name(box, berth, key):
    berth("commit", "h1/box", "test/named:1")
    before = box.docker("images", "-q", "test/named:1")
    berth("cp", str(key), "h1/box:/secret")
    berth("push-image", "h1/box", "test/named:1", "--no-push", "--no-flatten", "--no-clean", code=5)
    assert box.docker("images", "-q", "test/named:1") == before
    assert left_behind(box) == []
