"""Contexts on real hosts, by the real program: made, started, changed, thrown away, brought back."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tests import program
from tests.lab import Host, HostSpec, Lab, parts

pytestmark = pytest.mark.lab

Berth = Callable[..., subprocess.CompletedProcess]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    parts.require()
    hosts = [
        HostSpec("h1", gpus="nvidia:4"),
        HostSpec("amd", gpus="amd:2"),
        HostSpec("shut", sshd=False, engine="none"),
    ]
    with Lab(tmp_path_factory.mktemp("contexts") / "lab", hosts) as lab:
        for file in (lab.config_dir / "contexts").glob("*.yaml"):
            file.unlink()
        yield lab


@pytest.fixture
def env(lab: Lab, tmp_path: Path) -> dict[str, str]:
    own = {"BERTH_STATE_DIR": str(tmp_path / "state"), "HOME": str(tmp_path)}
    return {**os.environ, "BERTH_CONFIG_DIR": str(lab.config_dir), **own}


@pytest.fixture
def berth(env: dict[str, str]) -> Berth:
    def run(*words: str, code: int = 0, **more: str) -> subprocess.CompletedProcess:
        return program.berth(*words, env=env | more, code=code)

    return run


@pytest.fixture
def h1(lab: Lab) -> Iterator[Host]:
    yield lab.host("h1")
    for host in (lab.host("h1"), lab.host("amd")):
        names = host.docker("ps", "-aq").split()
        if names:
            host.docker("rm", "-f", *names)
    shutil.rmtree(lab.config_dir / "contexts", ignore_errors=True)


def inspect(host: Host, name: str) -> dict:
    return json.loads(host.docker("inspect", name))[0]


def test_a_whole_life(h1, berth, lab):
    options = ["--mount", "~/data:/data", "--port", "9999:80"]
    new = berth("context", "new", "work", "--host", "h1", "--image", "busybox", *options)
    assert "berth up work" in new.stdout
    berth("context", "new", "work", "--host", "h1", "--image", "busybox", code=1)
    up = berth("up", "work")
    assert "created and started work on h1" in up.stdout and "docker create --name work" in up.stderr
    found = inspect(h1, "work")
    assert found["State"]["Running"] and found["HostConfig"]["Binds"] == ["/home/alice/data:/data"]
    assert found["HostConfig"]["PortBindings"] == {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "9999"}]}
    assert found["Config"]["Labels"]["berth.owner"] == "alice"
    assert "runs already" in berth("up", "work").stdout
    row = next(
        row for row in json.loads(berth("contexts", "--json", "--host", "h1").stdout) if row["name"] == "work"
    )
    assert (row["state"], row["last"]) == ("running", True)
    report = berth("report")
    assert "container running" in report.stdout
    [told] = json.loads(berth("report", "--json").stdout)
    row = next(each for each in told["data"] if each["context"] == "work")
    assert (row["host"], row["state"], row["image_there"], row["error"]) == ("h1", "running", True, None)
    assert (
        "as the context says"
        in berth("context", "drift", "work").stderr + berth("context", "drift", "work").stdout
    )
    berth("context", "set", "work", "mounts=[/tmp:/other]", "shm_size=1G")
    shown = berth("context", "show", "work").stdout
    assert "shm_size     1.0 G\n" in shown and str(2**30) not in shown
    drift = berth("context", "drift", "work")
    assert "/other" in drift.stdout and "shm_size" in drift.stdout
    [told] = json.loads(berth("context", "drift", "work", "--json").stdout)
    assert {each["what"] for each in told["data"]["differences"]} >= {"mounts", "shm_size"}
    assert "Up" not in berth("down", "work", "--yes", "--grace", "0").stdout
    assert not inspect(h1, "work")["State"]["Running"]
    assert "started work" in berth("up", "work").stdout
    history = berth("context", "history", "work")
    assert "docker create" in history.stdout and "replaced" in history.stdout
    berth("context", "rm", "work", code=5)
    berth("context", "rm", "work", "--yes")
    assert inspect(h1, "work")["State"]["Running"]
    berth("up", "work", code=4)
    berth("context", "restore", "work")
    berth("context", "rm", "work", "--yes", "--container")
    assert h1.docker("ps", "-aq") == ""


def test_gpus_are_given_as_the_vendor_wants_and_placed_near_their_cpus(h1, berth, lab):
    berth("context", "new", "cuda", "--host", "h1", "--image", "busybox", "--gpus", "2")
    said = berth("up", "cuda").stderr
    assert "free, together" in said
    ids = inspect(h1, "cuda")["HostConfig"]["DeviceRequests"][0]["DeviceIDs"]
    assert len(ids) == 2 and all(uuid.startswith("GPU-") for uuid in ids)
    berth("context", "new", "rocm", "--host", "amd", "--image", "busybox", "--gpus", "1")
    berth("up", "rocm")
    host = inspect(lab.host("amd"), "rocm")["HostConfig"]
    devices = [device["PathOnHost"] for device in host["Devices"]]
    assert (
        devices[0] == "/dev/kfd"
        and devices[1].startswith("/dev/dri/renderD")
        and "SYS_PTRACE" in host["CapAdd"]
    )
    rows = json.loads(berth("gpus", "--json").stdout)
    assert sorted(row["host"] for row in rows if row["containers"]) == ["amd", "h1", "h1"]


@pytest.mark.parametrize(
    ("values", "says", "code"),
    [
        ({"gpus": "9"}, "has 4", 1),
        ({"gpus": "7,"}, "no GPU 7", 1),
        ({"image": "no/such:image"}, "no/such", 1),
        ({"host": "shut"}, "shut", 3),
        ({"host": "nowhere"}, "no host is called", 2),
        ({"port": "nonsense"}, "nonsense", 2),
    ],
)
def test_what_cannot_be_says_why_and_leaves_nothing(h1, berth, lab, values, says, code):
    fields = {"host": "h1", "image": "busybox"} | values
    words = [word for key, value in fields.items() for word in (f"--{key}", value)]
    new = subprocess.CompletedProcess([], 0)
    if code == 2:
        new = berth("context", "new", "bad", *words, code=code)
        assert says in new.stderr and not (lab.config_dir / "contexts/bad.yaml").exists()
        return
    berth("context", "new", "bad", *words)
    flags = ["--no-pull"] if "image" in values else []
    assert says in berth("up", "bad", *flags, code=code).stderr
    assert h1.docker("ps", "-aq") == ""


def test_a_port_in_use_and_a_name_in_use(h1, berth):
    h1.docker("run", "-d", "--name", "other", "-p", "127.0.0.1:9999:1", "busybox", "sleep", "1d")
    berth("context", "new", "work", "--host", "h1", "--image", "busybox", "--port", "9999:80")
    assert "9999" in berth("up", "work", code=1).stderr
    assert h1.docker("ps", "-a", "--format", "{{.Names}}") == "other"
    berth("context", "new", "taken", "--host", "h1", "--image", "busybox", "--container", "other")
    assert "runs already" in berth("up", "taken").stdout


def test_ctrl_c_while_it_is_created_leaves_no_container(h1, lab, env, berth):
    berth("context", "new", "work", "--host", "h1", "--image", "busybox")
    h1.hang_engine()
    child = subprocess.Popen(
        [sys.executable, "-m", "tui", "up", "work"], env=env, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    time.sleep(1.0)  # it has begun to ask by now, or it has not: both have to leave nothing
    child.send_signal(signal.SIGINT)
    h1.thaw_engine()
    assert child.wait(30) == 130
    assert h1.docker("ps", "-aq") == ""


def test_what_container_juggle_has_is_imported_and_starts(h1, berth, lab, tmp_path):
    folder = tmp_path / "mirror" / "context"
    folder.mkdir(parents=True)
    host = next(h for h in [lab.host("h1")])
    (folder / "hosts.yaml").write_text(
        f'username: alice\nhosts:\n    box:\n      host: "{host.address}"\n      sshport: 22\n'
    )
    (folder / "play.bash").write_text(
        "#!/bin/bash\nexport contextname=play\nexport username=alice\nexport container_name=alice-play\n"
        f"export image_id=busybox:latest\nexport hostname={host.address}\nexport hostnick=box\n"
        "export sshport=22\n"
        'echo -e "\\033]0;"$contextname"\\007"\n'
    )
    (tmp_path / "own").mkdir()
    own = {"BERTH_CONFIG_DIR": str(tmp_path / "own")}
    (tmp_path / "own/hosts.yaml").write_text(
        f"identity_file: {lab.key}\nknown_hosts: {lab.config_dir}/known_hosts\nlocal: false\nhosts:\n"
        "  spare: {host: 10.0.0.1, skip: true}\n"
    )
    assert (
        "added 1 hosts and 1 contexts"
        in berth("import", "container-juggle", str(tmp_path / "mirror"), **own).stdout
    )
    text = (tmp_path / "own/contexts/play.yaml").read_text()
    file = yaml.safe_load(text) | {"gpus": None}
    (tmp_path / "own/contexts/play.yaml").write_text(
        yaml.safe_dump({k: v for k, v in file.items() if v is not None})
    )
    berth("up", "play", **own)
    assert inspect(h1, "alice-play")["Path"] == "tail"


def test_an_edit_that_would_be_an_error_is_never_saved(h1, berth, lab, tmp_path, env):
    berth("context", "new", "work", "--host", "h1", "--image", "busybox")
    before = (lab.config_dir / "contexts/work.yaml").read_text()
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\necho "imgae: x" >> "$1"\n')
    editor.chmod(0o755)
    berth("context", "edit", "work", code=2, EDITOR=str(editor))  # no terminal
    script = f"{sys.executable} -m tui context edit work"
    done = subprocess.run(
        ["script", "-qec", script, "/dev/null"],
        env=env | {"EDITOR": str(editor)},
        input=b"n\n",
        capture_output=True,
        check=False,
    )
    assert b"imgae" in done.stdout and done.returncode == 1
    assert (lab.config_dir / "contexts/work.yaml").read_text() == before


def test_read_only_refuses_all_of_it(h1, berth):
    berth("context", "new", "work", "--host", "h1", "--image", "busybox")
    for words in (
        ("context", "new", "x", "--host", "h1", "--image", "busybox"),
        ("up", "work"),
        ("down", "work", "--yes"),
        ("context", "rm", "work", "--yes"),
        ("context", "set", "work", "user=bob"),
        ("import", "ssh"),
    ):
        assert "read-only" in berth("--read-only", *words, code=5).stderr
    assert h1.docker("ps", "-aq") == ""
    berth("--read-only", "report")
