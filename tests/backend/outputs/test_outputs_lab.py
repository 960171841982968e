"""image.sqsh and env.toml on real hosts, from Docker and Podman, by the real program."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import program
from tests.lab import Host, HostSpec, Lab, parts

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

Berth = Callable[..., subprocess.CompletedProcess]
RECIPE = """\
FROM busybox
ENV GREETING="it's \\$odd" EMPTY=
RUN mkdir -p "/opt/a b" && echo data >"/opt/a b/c d" && ln "/opt/a b/c d" /opt/hard && ln -s hard /opt/soft \
 && mkfifo /opt/pipe && chown 1234:4321 /opt/hard && chmod 4755 /opt/hard \\
 && dd if=/dev/zero of=/opt/big bs=1M count=9
VOLUME /data
WORKDIR /opt/place
ENTRYPOINT ["sh", "-c", "echo $GREETING at $PWD: $*", "x"]
CMD ["by", "default"]
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    parts.require("sqfstar", "unsquashfs")
    specs = [HostSpec("h1"), HostSpec("p1", engine="podman")]
    with Lab(tmp_path_factory.mktemp("outputs") / "lab", specs) as lab:
        for host in lab.hosts.values():
            tool = "podman" if host.spec.engine == "podman" else "docker"
            host.run(["sh", "-c", "mkdir -p /srv/out && chmod 1777 /srv/out"])
            host.put("/tmp/recipe/Dockerfile", RECIPE)
            host.run([tool, "build", "-q", "-t", "test/odd:1", "/tmp/recipe"])
        yield lab


@pytest.fixture
def environment(lab: Lab, tmp_path: Path) -> dict[str, str]:
    own = {"BERTH_STATE_DIR": str(tmp_path / "state"), "HOME": str(tmp_path)}
    return {**os.environ, "BERTH_CONFIG_DIR": str(lab.config_dir), **own}


@pytest.fixture
def berth(environment: dict[str, str]) -> Berth:
    def run(*words: str, code: int = 0) -> subprocess.CompletedProcess:
        return program.berth(*words, env=environment, code=code)

    return run


def left_behind(host: Host, folder: str) -> list[str]:
    tool = "podman" if host.spec.engine == "podman" else "docker"
    names = host.run([tool, "ps", "-a", "--format", "{{.Names}}"]).stdout.split()
    files = host.run(["ls", "-A", folder], check=False).stdout.split()
    return [name for name in names if "output" in name] + [name for name in files if name.startswith(".")]


@pytest.mark.parametrize("name", ["h1", "p1"])
def test_an_image_becomes_a_root_that_starts_as_the_image_says(lab, berth, name):
    host = lab.host(name)
    image = "localhost/test/odd:1" if name == "p1" else "test/odd:1"
    berth("image", "sqsh", f"{name}/{image}", "--into", "/srv/out/odd one")
    berth("image", "sqsh", f"{name}/{image}", "--into", "/srv/out/again/x.sqsh", "--no-env")
    assert (
        host.run(["cmp", "/srv/out/odd one/image.sqsh", "/srv/out/again/x.sqsh"], check=False).returncode == 0
    )
    assert host.run(["ls", "/srv/out/again"]).stdout.split() == ["x.sqsh"]
    assert left_behind(host, "/srv/out/again") == []
    found = tomllib.loads(host.run(["cat", "/srv/out/odd one/env.toml"]).stdout)
    assert found == {"image": "/srv/out/odd one/image.sqsh"}

    host.run(["unsquashfs", "-q", "-n", "-d", "/srv/out/root", "/srv/out/odd one/image.sqsh"])
    assert host.run(["ls", "-A", "/srv/out/root/dev"]).stdout == ""
    said = host.run(["chroot", "/srv/out/root", "/bin/sh", "/etc/rc"]).stdout
    assert said.endswith("at /opt/place: by default\n")
    said = host.run(["chroot", "/srv/out/root", "/bin/sh", "/etc/rc", "other words"]).stdout
    assert said.endswith("at /opt/place: other words\n")
    assert "GREETING=it's $odd" in host.run(["cat", "/srv/out/root/etc/environment"]).stdout
    assert host.run(["cat", "/srv/out/root/etc/fstab"]).stdout.split()[1] == "/data"
    look = [
        "stat",
        "-c",
        "%F %a %h %u %n",
        "--",
        *(f"/srv/out/root/opt/{each}" for each in ("hard", "soft", "pipe")),
    ]
    assert host.run(look).stdout.splitlines() == [
        "regular file 4755 2 0 /srv/out/root/opt/hard",
        "symbolic link 777 1 0 /srv/out/root/opt/soft",
        "fifo 644 1 0 /srv/out/root/opt/pipe",
    ]
    assert host.run(["cat", "/srv/out/root/opt/a b/c d"]).stdout == "data\n"
    host.run(["rm", "-rf", "/srv/out/root", "/srv/out/again", "/srv/out/odd one"])


def test_what_cannot_be_made_leaves_the_old_one(lab, berth):
    host = lab.host("h1")
    host.put("/srv/out/keep/image.sqsh", "the old one", user="alice")
    assert (
        "no host has an image"
        in berth("image", "sqsh", "h1/test/none:1", "--into", "/srv/out/keep", "--yes", code=4).stderr
    )
    host.put("/usr/local/bin/sqfstar", "#!/bin/sh\necho no room >&2\nexit 1\n", mode=0o755)
    try:
        done = berth("image", "sqsh", "h1/test/odd:1", "--into", "/srv/out/keep", "--yes", code=1)
        assert "sqfstar failed: no room" in done.stderr
    finally:
        host.run(["rm", "/usr/local/bin/sqfstar"])
    host.fill_disk()
    try:
        berth("image", "sqsh", "h1/test/odd:1", "--into", "/srv/out/keep", "--yes", code=1)
    finally:
        host.free_disk()
    assert host.run(["cat", "/srv/out/keep/image.sqsh"]).stdout == "the old one"
    assert left_behind(host, "/srv/out/keep") == []
    refused = berth("image", "sqsh", "h1/test/odd:1", "--into", "/srv/out/keep", code=5).stderr
    assert "/srv/out/keep/image.sqsh on h1 is there already (11 B). Replace it?" in refused
    assert host.run(["cat", "/srv/out/keep/image.sqsh"]).stdout == "the old one"
    berth("image", "sqsh", "h1/test/odd:1", "--into", "/srv/out/keep", "--yes")
    assert host.run(["cat", "/srv/out/keep/env.toml"]).stdout == 'image = "/srv/out/keep/image.sqsh"\n'


@pytest.mark.parametrize("way", ["cancelled", "killed"])
def test_a_conversion_that_ends_in_the_middle_leaves_nothing(lab, berth, environment, way):
    host = lab.host("h1")
    host.put("/tmp/slow/Dockerfile", "FROM test/odd:1\nRUN dd if=/dev/urandom of=/noise bs=1M count=80\n")
    host.run(["docker", "build", "-q", "-t", "test/slow:1", "/tmp/slow"])
    words = [
        sys.executable,
        "-m",
        "tui",
        "image",
        "sqsh",
        "h1/test/slow:1",
        "--into",
        "/srv/out/slow",
        "--no-check",
    ]
    running = subprocess.Popen([*words, "--compression", "xz"], env=environment, stdin=subprocess.DEVNULL)
    wait(lambda: any(".part" in name for name in left_behind(host, "/srv/out/slow")))
    if way == "killed":
        (agent,) = agents(host)
        os.kill(agent, signal.SIGKILL)
        assert running.wait(60) == 3
        assert left_behind(host, "/srv/out/slow") != []
        berth("image", "sqsh", "h1/busybox:latest", "--into", "/srv/out/slow")  # sweeps
        assert sorted(host.run(["ls", "-A", "/srv/out/slow"]).stdout.split()) == ["env.toml", "image.sqsh"]
        host.run(["rm", "-r", "/srv/out/slow"])
    else:
        running.send_signal(signal.SIGINT)
        assert running.wait(60) == 130
    wait(lambda: left_behind(host, "/srv/out/slow") == [])
    assert host.run(["test", "-e", "/srv/out/slow/image.sqsh"], check=False).returncode != 0
    host.docker("rmi", "-f", "test/slow:1")


def agents(host: Host) -> list[int]:
    """Processes of `agent output` on it."""
    found = host.run(["sh", "-c", "grep -lz '^output$' /proc/[0-9]*/cmdline 2>/dev/null || true"]).stdout
    inside = [int(path.split("/")[2]) for path in found.split()]
    ours = []
    for pid in inside:
        for status in Path("/proc").glob("[0-9]*/status"):
            try:
                text = status.read_text()
            except OSError:
                continue
            line = next((line.split() for line in text.splitlines() if line.startswith("NSpid:")), [])
            if len(line) > 2 and line[-1] == str(pid) and same_host(host, int(line[1])):
                ours.append(int(line[1]))
    return ours


def same_host(host: Host, pid: int) -> bool:
    return os.readlink(f"/proc/{pid}/ns/pid") == os.readlink(f"/proc/{host.pid}/ns/pid")


def wait(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_environments_are_made_and_shown_with_where_values_come_from(lab, berth):
    host = lab.host("h1")
    host.put("/srv/out/imgs/env.toml", '# base\nimage = "/srv/out/imgs/image.sqsh"\nmounts = ["/capstor"]\n')
    berth("edf", "new", "mine", "--base", "/srv/out/imgs/env.toml", "--workdir", "/scratch", "--host", "h1")
    (result,) = json.loads(berth("edf", "render", "mine", "--host", "h1", "--json").stdout)
    found = result["data"]
    places = {each["key"]: (each["value"], each["file"].rpartition("/")[2]) for each in found["values"]}
    assert places == {
        "image": ("/srv/out/imgs/image.sqsh", "env.toml"),
        "mounts": ("/capstor", "env.toml"),
        "workdir": ("/scratch", "mine.toml"),
    }
    done = berth("edf", "new", "mine", "--base", "./other", "--host", "h1")
    assert "./other is not there yet" in done.stderr
    done = berth("edf", "render", "mine", "--host", "h1", code=4)
    assert "./other" in done.stderr and "mine.toml" in done.stderr
    text = berth(
        "edf", "render", "/srv/out/imgs/env.toml", "--host", "h1", "--form", "sarus", "--text"
    ).stdout
    assert tomllib.loads(text) == {"mounts": ["/capstor:/capstor"]}
    done = berth("--read-only", "edf", "new", "x", "--base", "y", "--host", "h1", code=5)
    assert host.run(["sh", "-c", "ls ~/.edf"], check=False).stdout.split() in ([], ["mine.toml"])
