"""A repository of cluster images: base first, image.sqsh, env.toml, and a Slurm job in that root."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import HostSpec, Lab, parts
from tests.lab.machine import wait_for

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
KEY = "printf -- '-----%s OPENSSH PRIVATE KEY-----\\nb3BlbnNza\\n' BEGIN >/root-key"
INSIDE = """\
set -e
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
unsquashfs -quiet -no-progress -dest "$root/r" /srv/imgs/image.sqsh
unshare --map-root-user chroot "$root/r" /bin/sh /etc/rc {0}
"""
"""What enroot does, as far as a node without it can: the root of the image, entered by its /etc/rc."""


PYXIS = """\
#!/bin/bash
words=() image=''
while [ "$1" != -- ]; do
    case $1 in
    --container-image=*) image=${1#*=} ;;
    --container-*) ;;
    *) words+=("$1") ;;
    esac
    shift
done
shift
inside='root=$(mktemp -d); unsquashfs -quiet -no-progress -dest "$root/r" "$0"; '
inside+='unshare --map-root-user /usr/sbin/chroot "$root/r" /bin/sh /etc/rc "$@"; rm -rf "$root"'
[ -z "$image" ] || set -- sh -c "$inside" "$image" "$@"
exec /usr/bin/srun "${words[@]}" -- "$@"
"""
"""srun as it is with the pyxis plugin: the command runs in the root of the image."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    parts.require("sqfstar", "unsquashfs")
    specs = [
        HostSpec("c1", slurm="c1", engine="none"),
        HostSpec("n1", slurm="c1"),
        HostSpec("n2", slurm="c1", engine="podman"),
    ]
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


@pytest.fixture
def root(lab: Lab, tmp_path: Path) -> Path:
    """A repository of cluster images."""
    root = tmp_path / "imgs"
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "projects" / NAME / "entrypoint.sh").chmod(0o755)
    (root / "projects/reasoning:latest").symlink_to(NAME)
    (lab.config_dir / "settings.yaml").write_text(f"images:\n  roots: [{root}]\n")
    return root


def test_from_the_repository_to_a_job_in_the_image(lab: Lab, env: dict[str, str], root: Path) -> None:
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
    script = ["srun", "--quiet", "--nodelist=n1", "sh", "-c", INSIDE.format(words)]
    done = lab.host("c1").run(script, user="alice", check=False, timeout=120)
    return done.returncode, done.stdout


# --------------------------------------------------------------------------------- builds as jobs


def only(lab: Lab, node: str) -> None:
    """Jobs go to that node."""
    for each in ("n1", "n2"):
        state = ["State=RESUME"] if each == node else ["State=DRAIN", "Reason=test"]
        lab.host("c1").run(["scontrol", "update", f"NodeName={each}", *state], check=False)


def shell(lab: Lab, env: dict[str, str], words: str) -> str:
    """What a shell says that is opened as a job, in the image file."""
    lab.host("c1").put("/usr/local/bin/srun", PYXIS, mode=0o755)
    image = "/home/alice/imgs/image.sqsh"
    asked = [sys.executable, "-m", "tui", "shell", "--host", "c1", "--image", image, "--time", "10m"]
    done = subprocess.run(
        ["script", "--quiet", "--return", "--flush", "--command", shlex.join(asked), "/dev/null"],
        env=env, input=f"{words}; exit\n", capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    lab.host("c1").run(["rm", "/usr/local/bin/srun"])
    return done.stdout.replace("\r\n", "\n")


def records(env: dict[str, str], recipe: str) -> list[dict]:
    """Of builds of a recipe, the newest first."""
    files = sorted((Path(env["BERTH_STATE_DIR"]) / "builds").glob("*.json"), reverse=True)
    return [each for each in map(json.loads, map(Path.read_text, files)) if each["recipe"] == recipe]


@pytest.mark.parametrize(("node", "builder"), [("n1", "build"), ("n2", "podman")])
def test_a_cluster_builds_by_a_job(
    lab: Lab, env: dict[str, str], root: Path, node: str, builder: str
) -> None:
    only(lab, node)
    host = lab.host(node)
    lab.host("c1").run(["rm", "-rf", "/home/alice/imgs"])
    host.docker("rmi", "-f", NAME, "reasoning_base", check=False)
    done = berth(
        env, "images", "build", NAME, "--host", "c1", "--sqsh", "imgs", "-p", "main", "--time", "20m"
    )
    assert f"reasoning_base:latest on {node} of c1, {NAME} on {node} of c1" in done.stdout
    assert "RUN echo project >> /layers" in done.stderr  # its log, while it was built
    entry = ["--entrypoint", "/bin/cat"]
    assert host.docker("run", "--rm", *entry, NAME, "/layers", "/tool").split() == ["base", "project", "tool"]
    settings = tomllib.loads(lab.host("c1").run(["cat", "/home/alice/imgs/env.toml"]).stdout)
    assert (settings["image"], settings["workdir"]) == ("/home/alice/imgs/image.sqsh", "/workspace")
    listing = host.run(["unsquashfs", "-cat", "/home/alice/imgs/image.sqsh", "layers"], user="alice").stdout
    assert listing == "base\nproject\n"
    [built] = records(env, NAME)
    assert (built["state"], built["node"], builder in built["builder"]) == ("done", node, True)
    assert "echo project" in berth(env, "images", "log", built["id"]).stdout

    # what holds a private key in any layer becomes no file
    (root / "projects" / NAME / "Dockerfile").write_text(
        f"FROM reasoning_base\nRUN {KEY}\nRUN rm /root-key\n"
    )
    made = ("images", "build", NAME, "--host", "c1", "--sqsh", "kept/image.sqsh")
    assert "private key: /root-key in layer" in berth(env, *made, code=1).stderr
    assert records(env, NAME)[0]["state"] == "failed"
    assert host.run(["ls", "-A", "/home/alice/kept"], check=False).stdout == ""
    berth(env, *made, "--no-check")
    assert host.run(["ls", "/home/alice/kept"]).stdout.split() == ["env.toml", "image.sqsh"]
    host.run(["rm", "-r", "/home/alice/kept"])
    for name, text in FILES.items():
        (root / name).write_text(text)
    if node == "n2":
        return
    berth(env, "images", "build", NAME, "--host", "c1")
    assert "entered /workspace" in (said := shell(lab, env, "cat /tool /layers")), said
    assert "tool\nbase\nproject\n" in said

    # what is fresh on the node is left alone
    (root / "projects" / NAME / "entrypoint.sh").write_text("#!/bin/sh\necho other\n")
    done = berth(env, "images", "build", NAME, "--host", "c1")
    assert f"built {NAME} on {node} of c1; 1 were fresh" in done.stdout

    # what goes wrong is told with the line, and what stands on it is left out
    (root / "reasoning_base/Dockerfile").write_text("FROM busybox:latest\nRUN echo no >&2; exit 3\n")
    done = berth(env, "images", "build", NAME, "--host", "c1", code=1)
    assert "reasoning_base/Dockerfile:2: " in done.stderr
    assert records(env, NAME)[0]["state"] == "skipped"
    assert lab.host("c1").run(["squeue", "--noheader"]).stdout == ""


def test_a_job_that_builds_is_found_again_and_cancelled(lab: Lab, env: dict[str, str], root: Path) -> None:
    only(lab, "n2")
    slow = "i=0; while [ $i -lt 600 ]; do i=$((i+1)); echo t $i; sleep 1; done"
    (root / "slow").mkdir()
    (root / "slow/Dockerfile").write_text(f"FROM busybox:latest\nRUN {slow}\n")
    argv = [sys.executable, "-m", "tui", "images", "build", "slow", "--host", "c1"]

    def begin() -> tuple[subprocess.Popen[bytes], str]:
        process = subprocess.Popen(argv, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(
            lambda: len(running()) == 1 and bool(records(env, "slow")[0].get("done")), "the step", seconds=90
        )
        return process, records(env, "slow")[0]["id"]

    def running() -> list[str]:
        listed = lab.host("n2").run(["ps", "-eo", "args"]).stdout.splitlines()
        return [line for line in listed if line.startswith("/bin/sh -c i=0")]

    process, _ = begin()
    process.send_signal(signal.SIGINT)
    assert process.wait(90) == 130
    assert (records(env, "slow")[0]["state"], running()) == ("cancelled", [])
    assert lab.host("c1").run(["squeue", "--noheader"]).stdout == ""

    process, build = begin()
    process.kill()
    process.wait()
    assert "detached" in berth(env, "images", "builds", "--active").stdout
    berth(env, "images", "cancel", build)
    assert (records(env, "slow")[0]["state"], running()) == ("cancelled", [])


def test_what_a_job_cannot_do_is_refused(lab: Lab, env: dict[str, str], root: Path) -> None:
    for words, said in (
        (("--host", "n1", "--partition", "main"), "n1 is no cluster"),
        (("--host", "n1", "--sqsh", "x"), "berth image sqsh"),
        (("--host", "c1", "--push"), "--push is not for builds by a job"),
        (("--host", "c1", "--check"), "--check is not for builds by a job"),
        (("--host", "c1", "--cpus", "0"), "allowed is 1 or more"),
    ):
        done = berth(env, "images", "build", NAME, *words, code=2)
        assert said in done.stderr, done.stderr
    (root / "projects" / NAME / "berth.yaml").write_text("secrets:\n  token: {env: HF}\n")
    assert "secrets" in berth(env, "images", "build", NAME, "--host", "c1", code=1).stderr
