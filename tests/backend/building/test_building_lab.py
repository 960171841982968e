"""Builds on real hosts by the real program: what is built, what is not, and how it is said."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import signal

import pytest

from backend import bundle
from tests.backend.building.conftest import World, busy, ended, steps
from tests.lab.machine import wait_for

pytestmark = pytest.mark.lab

STACKED = "ARG baseimage\nFROM ${baseimage}\n"


def stack(world: World) -> None:
    world.recipe("ssh", f"{STACKED}RUN echo ssh > /ssh\n", berth_yaml="base: busybox\nmaintainer: me\n")
    world.recipe(
        "mamba", f"{STACKED}COPY f /f\n", berth_yaml="base: ssh\nmaintainer: me\n", f="content of mamba\n"
    )
    world.recipe("torch", f"{STACKED}RUN cat /f > /torch\n", berth_yaml="base: mamba\nmaintainer: me\n")


def test_a_stack_is_built_on_two_hosts_and_then_only_what_changed(world):
    stack(world)
    world.berth("images", "build", "torch", "--host", "h1", "h2")
    top = "me/busybox_ssh_mamba_torch"
    for name in ("h1", "h2"):
        assert (
            world.lab.host(name).docker("run", "--rm", top, "cat", "/ssh", "/torch")
            == "ssh\ncontent of mamba"
        )
    said = world.berth("images", "build", "torch", "--host", "h1", "h2")
    assert "nothing to do: 6 images are fresh" in said.stdout
    assert len(world.builds()) == 6  # what was fresh is not put on record

    world.recipe("mamba", f"{STACKED}COPY f /f\n", f="other\n")
    said = world.berth("images", "build", "torch", "--host", "h1")
    assert "ssh: nothing to do" in said.stderr
    assert "mamba: is built: its files, or what it stands on, have changed" in said.stderr
    h1 = world.lab.host("h1")
    assert h1.docker("run", "--rm", top, "cat", "/torch") == "other"
    assert h1.docker("images", "-q", "-f", "dangling=true") == ""  # what was replaced is gone

    h1.docker("rmi", top)
    said = world.berth("images", "build", "torch", "--host", "h1")
    assert "torch: is built: it is not there" in said.stderr and "mamba: nothing to do" in said.stderr


def test_a_base_that_moved_makes_stale(world):
    h1 = world.lab.host("h1")
    world.recipe("leaf", "FROM base:1\nRUN cat /which > /found\n")
    h1.docker("build", "-t", "base:1", "-", data=b"FROM busybox\nRUN echo one > /which\n")
    world.berth("images", "build", "leaf", "--host", "h1")
    world.berth("images", "build", "leaf", "--host", "h1")
    h1.docker("build", "-t", "base:1", "-", data=b"FROM busybox\nRUN echo two > /which\n")
    said = world.berth("images", "build", "leaf", "--host", "h1")
    assert "base:1 is another image now" in said.stderr
    image = world.build("leaf", "h1")["images"][0]
    assert h1.docker("run", "--rm", image, "cat", "/found") == "two"


@pytest.mark.parametrize(
    ("host", "builder"), [("h1", "buildkit"), ("h1", "classic"), ("p1", "auto"), ("p1", "classic")]
)
def test_every_builder_builds_tells_its_steps_and_says_what_failed(world, host, builder):
    world.recipe("good", "FROM busybox\nRUN echo hello there\nCOPY Dockerfile sub/ /x/\n")
    sub = world.recipes / "images/good/sub"
    sub.mkdir()
    (sub / "run.sh").write_text("#!/bin/sh\n")
    (sub / "run.sh").chmod(0o755)
    world.berth("images", "build", "good", "--host", host, "--builder", builder)
    build = world.build("good", host)
    engine = world.lab.host(host)
    assert engine.docker(
        "run", "--rm", build["images"][0], "sh", "-c", "stat -c '%a %u' /x/run.sh; ls -A /x"
    ) == ("755 0\nDockerfile\nrun.sh")
    texts = [step["text"] for step in build["done"]]
    assert "RUN echo hello there" in texts and build["step"] == build["steps"] >= 3
    assert [step["line"] for step in build["done"] if step["text"] == "RUN echo hello there"] == [2]
    log = (world.state / "builds" / f"{build['id']}.log").read_text()
    assert "hello there" in log

    world.recipe("bad", "FROM busybox\n\nRUN echo last words; \\\n  exit 3\n")
    said = world.berth("images", "build", "bad", "--host", host, "--builder", builder, code=1)
    assert "images/bad/Dockerfile:3:" in said.stderr and "last words" in said.stderr
    assert world.state_of("bad", host) == "failed"


def test_a_broken_dockerfile_is_told_by_line_and_column_before_any_host_is_asked(world):
    world.recipe("broken", "FROM busybox\n  FOO bar\n")
    said = world.berth("images", "build", "broken", "--host", "h1", code=2)
    assert "images/broken/Dockerfile:2:3: 'FOO' is no instruction" in said.stderr
    assert not (world.state / "builds").exists() or not world.builds()


def test_what_fails_takes_along_only_what_stands_on_it(world):
    stack(world)
    world.recipe("mamba", f"{STACKED}RUN exit 5\n")
    world.recipe("other", f"{STACKED}RUN echo fine > /other\n", berth_yaml="base: ssh\nmaintainer: me\n")
    world.berth("images", "build", "torch", "other", "--host", "h1", code=1)
    states = {each["recipe"]: each["state"] for each in world.builds()}
    assert states == {"ssh": "done", "mamba": "failed", "torch": "skipped", "other": "done"}
    failed = world.build("mamba", "h1")["id"]
    world.recipe("mamba", f"{STACKED}RUN echo mended > /f\n")
    said = world.berth("images", "retry", failed)
    assert "ssh: nothing to do" in said.stderr and "other: nothing to do" in said.stderr
    assert {each["state"] for each in world.builds() if each["recipe"] == "mamba"} == {"failed", "done"}


@pytest.mark.parametrize(("host", "builder"), [("h1", "buildkit"), ("h1", "classic")])
def test_a_cancel_ends_the_build_on_its_host(world, host, builder):
    world.recipe("slow", f"FROM busybox\nRUN {steps(60)}\n")
    process = world.start("images", "build", "slow", "--host", host, "--builder", builder)
    machine = world.lab.host(host)
    wait_for(lambda: any("echo t $i" in each for each in busy(machine)), "the step to run", seconds=60)
    process.send_signal(signal.SIGINT)
    out = ended(process)
    assert process.returncode == 130, out
    wait_for(lambda: not busy(machine), "the build to end on its host", seconds=30)
    assert world.state_of("slow", host) == "cancelled"
    wait_for(lambda: machine.docker("ps", "-aq") == "", "its container to be gone", seconds=30)


def test_cancelled_on_podman_a_step_ends_at_once_whoever_runs_it(world):
    p1 = world.lab.host("p1")
    world.recipe("slow", f"FROM busybox\nRUN {steps(600)}\nRUN echo after\n", berth_yaml="name: team/slow\n")
    process = world.start("images", "build", "slow", "--host", "p1")  # by the service, which is root's
    wait_for(lambda: any("echo t $i" in each for each in busy(p1)), "the step to run", seconds=60)
    process.send_signal(signal.SIGINT)
    ended(process)
    assert world.state_of("slow", "p1") == "cancelled"
    wait_for(lambda: not busy(p1), "the step to end", seconds=60)

    p1.put("/root/agent.pyz", bundle.agent_zipapp()[0])  # by Podman itself: the images are our own
    with p1.popen(["python3", "/root/agent.pyz", "build", "run"]) as agent:
        say(
            agent, engine="podman", kind="podman", socket="/run/podman/podman.sock", image="own:1", digest="1"
        )
        heard(agent, b'"send"')
        spec = {"tags": ["own:1"], "target": "", "platform": "", "no_cache": True}
        spec |= {"args": {}, "labels": {}, "secrets": {}, "dockerfile": f"FROM busybox\nRUN {steps(600)}\n"}
        say(agent, build=spec)
        heard(agent, b'"t 1"')
        say(agent, cancel=1)
        assert json.loads(heard(agent, b'"end"'))["end"]["cancelled"]
        agent.stdin.close()
    assert not busy(p1)
    assert p1.docker("ps", "-aq", "--external") == ""  # nothing that a build began in is left
    assert not {"team/slow", "own"} & set(p1.docker("images", "--format", "{{.Repository}}").split())


def say(agent, **what):
    agent.stdin.write(json.dumps(what).encode() + b"\n")
    agent.stdin.flush()


def heard(agent, word):
    """The first line with that word."""
    return next(line for line in agent.stdout if word in line)


def test_a_build_is_cancelled_from_elsewhere_and_listed_while_it_runs(world):
    world.recipe("slow", f"FROM busybox\nRUN {steps(60)}\n")
    process = world.start("images", "build", "slow", "--host", "h1")
    h1 = world.lab.host("h1")
    wait_for(lambda: any("echo t $i" in each for each in busy(h1)), "the step to run", seconds=60)
    listed = world.berth("images", "builds", "--active").stdout
    assert "building 2/2" in listed and "h1/slow" in listed
    build = world.build("slow", "h1")["id"]
    assert "cancelled" in world.berth("images", "cancel", build).stdout
    assert "cancelled" in ended(process)
    wait_for(lambda: not busy(h1), "the build to end", seconds=30)


def test_a_detached_order_goes_on_by_itself(world):
    stack(world)
    said = world.berth("images", "build", "torch", "--host", "h1", "--detach")
    assert "goes on by itself" in said.stdout
    wait_for(lambda: world.state_of("torch", "h1") == "done", "torch to be built", seconds=60)


def test_the_context_travels_once_and_then_only_what_changed(world):
    world.recipe("big", "FROM busybox\nCOPY big small /data/\n", big=os.urandom(8_000_000), small="1")
    world.berth("images", "build", "big", "--host", "h1")
    assert world.build("big", "h1")["sent"] > 8_000_000
    world.recipe("big", "FROM busybox\nCOPY big small /data/\n", small="2")
    world.berth("images", "build", "big", "--host", "h1")
    assert world.build("big", "h1")["sent"] < 100_000
    image = world.build("big", "h1")["images"][0]
    assert world.lab.host("h1").docker("run", "--rm", image, "cat", "/data/small") == "2"


def test_content_counts_and_not_size_and_time(world):
    place = world.recipe("same", "FROM busybox\nCOPY f /f\nRUN cat /f > /copy\n", f="one")
    os.utime(place / "f", (10**9, 10**9))
    world.berth("images", "build", "same", "--host", "h1")
    (place / "f").write_text("two")
    os.utime(place / "f", (10**9, 10**9))
    world.berth("images", "build", "same", "--host", "h1")
    image = world.build("same", "h1")["images"][0]
    assert world.lab.host("h1").docker("run", "--rm", image, "cat", "/copy") == "two"


def test_without_rsync_the_whole_context_is_sent_and_that_is_said(world):
    world.recipe("plain", "FROM busybox\nCOPY f /f\nRUN test $(cat /f) = 12\n", f="12")
    h1 = world.lab.host("h1")
    h1.run(["mv", "/usr/bin/rsync", "/usr/bin/rsync.away"])
    try:
        said = world.berth("images", "build", "plain", "--host", "h1")
    finally:
        h1.run(["mv", "/usr/bin/rsync.away", "/usr/bin/rsync"])
    assert "h1 has no rsync: the whole context is sent" in said.stderr


@pytest.mark.parametrize("host", ["h1", "p1"])
def test_a_secret_is_there_in_the_build_and_nowhere_afterwards(world, host):
    key = world.folder / "token"
    key.write_text("hunter2-but-longer")
    world.recipe(
        "private",
        "FROM busybox\nRUN --mount=type=secret,id=token wc -c < /run/secrets/token > /size\n",
        berth_yaml=f"secrets:\n  token: {{file: {key}}}\n",
    )
    said = world.berth("images", "build", "private", "--host", host)
    assert "looking for private keys" in said.stderr
    machine, image = world.lab.host(host), world.build("private", host)["images"][0]
    assert machine.docker("run", "--rm", image, "cat", "/size") == "18"
    script = (
        "ls -d /dev/shm/berth-* 2>/dev/null; grep -rl hunter2 /dev/shm /home/alice /run 2>/dev/null; true"
    )
    assert machine.run(["sh", "-c", script]).stdout.strip() == ""
    world.berth("images", "build", "private", "--host", host, "--builder", "classic", "--force", code=1)
    for record in (world.state / "builds").iterdir():
        assert b"hunter2" not in record.read_bytes()


def test_the_list_of_builds_is_data_too(world):
    world.recipe("one", "FROM busybox\nRUN true\n")
    world.berth("images", "build", "one", "--host", "h1")
    [result] = json.loads(world.berth("images", "builds", "--json").stdout)
    build = result["data"][0]
    assert result["ok"] and (build["host"], build["recipe"], build["state"]) == ("h1", "one", "done")
    assert build["images"] and build["seconds"] >= 0 and build["active"] is False
    assert "request" not in build


def test_a_context_is_started_again_with_what_was_built(world):
    h1 = world.lab.host("h1")
    for number in ("one", "two"):
        world.recipe("app", f"FROM busybox\nRUN echo {number} > /v\n", berth_yaml="name: team/app\n")
        if number == "one":
            world.berth("context", "new", "web", "--host", "h1", "--image", "team/app:latest")
        said = world.berth("images", "build", "app", "--host", "h1", "--up", "web")
        assert h1.docker("exec", "web", "cat", "/v") == number
    assert "was made again with what was built; the old one is web-before-" in said.stderr
    said = world.berth("images", "build", "app", "--host", "h1", "--up", "web")
    assert "runs already" in said.stderr
    world.berth("images", "build", "app", "--host", "h2", "--up", "web", code=2)


def test_a_second_name_is_given(world):
    h1 = world.lab.host("h1")
    world.recipe("app", "FROM busybox\nRUN true\n", berth_yaml="name: team/app\n")
    world.berth("images", "build", "app", "--host", "h1")
    world.recipe("app", "FROM busybox\nRUN true\n", berth_yaml="name: team/app\ntags: [latest, v2]\n")
    world.berth("images", "build", "app", "--host", "h1")
    world.berth("images", "build", "app", "--host", "h1")
    h1.docker("rmi", "team/app:v2")
    assert "it is not called team/app:v2 yet" in world.berth("images", "build", "app", "--host", "h1").stderr
    assert "team/app:v2" in h1.docker("images", "--format", "{{.Repository}}:{{.Tag}}").split()


MINIFORGE = """\
#!/bin/sh
# `-b -p FOLDER`, as the installer has it
mkdir -p "$3/bin" "$3/etc/profile.d"
touch "$3/etc/profile.d/conda.sh"
printf '#!/bin/sh\\necho "$* [$CONDA_OVERRIDE_CUDA]" >> %s/log\\n' "$3" > "$3/bin/mamba"
printf '#!/bin/sh\\necho "python $*" >> %s/log\\n' "$3" > "$3/bin/python"
chmod 755 "$3/bin/mamba" "$3/bin/python"
"""
FROM_FOLDER = '#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done\nexec cp "/mirror/${3##*/}" "$2"\n'
"""curl, where the network is a folder."""


def test_the_templates_of_mamba_and_torch_take_their_steps(world):
    h1 = world.lab.host("h1")
    debian = h1.load_debian()
    digest = hashlib.sha256(MINIFORGE.encode()).hexdigest()
    for version, told in (("25.9.1-0", digest), ("other", "0" * 64)):
        name = f"Miniforge3-{version}-Linux-{platform.machine()}.sh"
        h1.put(f"/tmp/base/mirror/{name}", MINIFORGE)
        h1.put(f"/tmp/base/mirror/{name}.sha256", f"{told}  ./{name}\n")
    h1.put("/tmp/base/curl", FROM_FOLDER, mode=0o755)
    h1.put("/tmp/base/Dockerfile", f"FROM {debian}\nCOPY mirror /mirror\nCOPY curl /usr/local/bin/curl\n")
    h1.docker("build", "-t", "ground:1", "/tmp/base")
    world.recipes.mkdir()
    for name, base in (("mamba", "ground:1"), ("torch", "")):
        words = ["--root", str(world.recipes), *(["--base", base] if base else [])]
        world.berth("images", "new", name, name, *words)

    said = world.berth("images", "build", "mamba", "--host", "h1", "--arg", "miniforge=other", code=1).stderr
    assert "did NOT match" in said
    world.berth("images", "build", "torch", "--host", "h1", "--arg", "cuda=12.4", "--arg", "python=3.11")
    image = next(each for each in world.build("torch", "h1")["images"])
    log = h1.docker("run", "--rm", image, "cat", "/opt/conda/log").splitlines()
    assert log[:4] == [
        "install -y python=3.11 []",
        "clean -afy []",
        "install -y pytorch-gpu torchvision cuda-version<=12.4 [12.4]",
        "clean -afy []",
    ]
    assert log[4].startswith("python -c import torch")
    assert h1.docker("run", "--rm", image, "sh", "-c", "command -v mamba; ls /tmp") == "/opt/conda/bin/mamba"
