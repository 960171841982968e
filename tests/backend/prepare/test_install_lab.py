"""`berth install` and the toolkit's scripts, in real containers with real bash, apt, git, pip and Python."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pip
import pytest

from backend import toolkit
from tests.backend.prepare.conftest import Berth
from tests.lab import Host, HostSpec, Lab, parts

pytestmark = pytest.mark.lab

BIN = "/root/shared/bin"
SPECS = (HostSpec("h1", gpus="amd:2"), HostSpec("p1", engine="podman"))
Inside = Callable[..., str]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    parts.require("git", "dpkg-deb")
    with Lab(tmp_path_factory.mktemp("install") / "lab", SPECS) as lab:
        lab.host("h1").load_debian()
        yield lab


@pytest.fixture
def h1(lab: Lab) -> Iterator[Host]:
    """The host; containers of a test are removed."""
    host = lab.host("h1")
    yield host
    if left := host.docker("ps", "-aq").split():
        host.docker("rm", "-f", *left)
    host.run(["rm", "-rf", "/home/alice/shared", "/home/alice/.local"])


@pytest.fixture
def box(h1: Host) -> Inside:
    """A container with a real Debian; runs a command in it, its output."""
    h1.docker("run", "-d", "--name", "box", "debian:lab", "sleep", "1d")
    return inside(h1, "box")


def inside(host: Host, name: str) -> Inside:
    def run(*argv: str, check: bool = True, env: tuple[str, ...] = ()) -> str:
        options = [word for each in env for word in ("-e", each)]
        done = host.run(["docker", "exec", *options, name, *argv], check=check)
        return done.stdout + ("" if check else done.stderr)

    return run


def put(host: Host, name: str, folder: str, files: dict[str, bytes | str]) -> None:
    """Files into a container, those that are programs executable."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, text in files.items():
            data = text.encode() if isinstance(text, str) else text
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(data), 0o755
            archive.addfile(member, io.BytesIO(data))
    host.docker("exec", name, "mkdir", "-p", folder)
    host.docker("cp", "-", f"{name}:{folder}", data=buffer.getvalue())


def data(done: object) -> dict:
    (found,) = json.loads(done.stdout)  # type: ignore[attr-defined]
    return found


# --------------------------------------------------------------------------------------- install


def test_a_container_gets_the_environment_once_and_loses_it_again(h1: Host, box: Inside, berth: Berth):
    box("sh", "-c", "printf 'PS1=x' >/root/.bashrc; chmod 600 /root/.bashrc")
    before = box("sh", "-c", "find /root | sort; cat /root/.bashrc")
    shown = data(berth("install", "h1/box", "--no-tools", "--dry-run", "--json"))["data"]
    assert f"write ~/shared/bin/{next(iter(toolkit.TOOLS))}" in shown["changes"]
    assert box("sh", "-c", "find /root | sort; cat /root/.bashrc") == before

    berth("--read-only", "install", "h1/box", code=5)
    berth("install", "h1/box", "--no-tools")
    assert box("stat", "-c", "%a %U", "/root/.bashrc", f"{BIN}/contenv").split() == [
        "600",
        "root",
        "755",
        "root",
    ]
    tuned = box("bash", "-ic", "echo $BERTH_ENVIRONMENT $PATH", check=False)
    assert tuned.splitlines()[0].startswith(f"tuned {BIN}:")
    raw = box("bash", "-ic", "echo [$BERTH_ENVIRONMENT]", env=("BERTH_PROFILE=raw",), check=False)
    assert raw.splitlines()[0] == "[]"
    again = data(berth("install", "h1/box", "--no-tools", "--json"))
    assert again["data"]["changes"] == [] and "already" in again["message"]

    box("sh", "-c", f"echo '# mine' >>{BIN}/setpytorch; echo alias l=ls >>/root/.bashrc")
    notes = data(berth("install", "h1/box", "--no-tools", "--json"))["data"]["notes"]
    assert any("setpytorch is not as berth wrote it" in note for note in notes)

    berth("uninstall", "h1/box", code=5)
    notes = data(berth("uninstall", "h1/box", "--yes", "--json"))["data"]["notes"]
    assert any("setpytorch was changed" in note for note in notes)
    assert box("cat", "/root/.bashrc") == "PS1=x\nalias l=ls\n"
    assert box("find", "/root", "-newer", "/etc/hostname", "-name", "*env*") == ""
    box("rm", "-r", "/root/shared")
    box("sh", "-c", "printf 'PS1=x' >/root/.bashrc")
    assert box("sh", "-c", "find /root | sort; cat /root/.bashrc") == before


def test_packages_come_by_apt_itself_and_are_not_asked_for_twice(h1: Host, box: Inside, berth: Berth):
    control = "Package: hello-berth\nVersion: 1\nArchitecture: all\nMaintainer: x <x@x>\nDescription: x\n"
    put(h1, "box", "/repo", {"build/DEBIAN/control": control})
    box("dpkg-deb", "-b", "/repo/build", "/repo/hello-berth_1_all.deb")
    packages = f"{control}Filename: ./hello-berth_1_all.deb\nSize: $(stat -c %s hello-berth_1_all.deb)\n"
    index = f'cd /repo && printf "{packages}SHA256: $(sha256sum *.deb | cut -c-64)\n\n" >Packages'
    box("sh", "-c", index.replace("\n", "\\n"))
    box(
        "sh",
        "-c",
        "echo 'deb [trusted=yes] file:/repo ./' >/etc/apt/sources.list; rm -f /etc/apt/sources.list.d/*",
    )
    said = berth("install", "h1/box", "hello-berth", "--no-environment")
    assert "step 1 of 1: install hello-berth" in said.stdout and "Setting up hello-berth" in said.stdout
    assert "installed" in box("dpkg-query", "-W", "-f", "${Status}", "hello-berth")
    again = data(berth("install", "h1/box", "hello-berth", "--no-environment", "--json"))
    assert again["data"]["changes"] == []
    failed = berth("install", "h1/box", "no-such-package", "--no-environment", code=1)
    assert "apt-get install" in failed.stderr and "no-such-package" in failed.stdout
    assert "cannot be a package" in berth("install", "h1/box", "a;b", code=2).stderr


@pytest.mark.parametrize(
    ("manager", "asks", "call"),
    [
        ("dnf", "rpm", "dnf -y install vim-enhanced procps-ng"),
        ("yum", "rpm", "yum -y install vim-enhanced procps-ng"),
        ("zypper", "rpm", "zypper --non-interactive install vim procps"),
        ("apk", "apk", "apk add --no-cache vim procps"),
    ],
)
def test_other_families_are_asked_in_their_own_words(
    h1: Host, berth: Berth, manager: str, asks: str, call: str
):
    """Stand-ins at the lowest layer: these managers are not to be had here."""
    h1.docker("run", "-d", "--name", "other", "busybox", "sleep", "1d")
    stand_in = f'#!/bin/sh\n[ "$1" = info ] && exit 1\necho "{manager} $*" >>/tmp/calls\n'
    put(h1, "other", "/bin", {asks: "#!/bin/sh\nexit 1\n"} | {manager: stand_in})
    berth("install", "h1/other", "vim", "procps", "--no-environment")
    assert inside(h1, "other")("cat", "/tmp/calls").strip() == call


def test_where_shared_is_mounted_the_toolkit_lies_on_the_host(h1: Host, berth: Berth):
    h1.run(["mkdir", "-p", "/home/alice/shared"], user="alice")
    mount = "/home/alice/shared:/root/shared"
    h1.docker("run", "-d", "--name", "box", "-v", mount, "debian:lab", "sleep", "1d")
    berth("install", "h1/box", "--no-tools")
    assert h1.run(["stat", "-c", "%a %U", "/home/alice/shared/bin/contenv"]).stdout.strip() == "755 alice"
    assert "tuned" in inside(h1, "box")("bash", "-ic", "echo $BERTH_ENVIRONMENT", check=False)
    assert data(berth("install", "h1/box", "--no-tools", "--json"))["data"]["changes"] == []
    berth("uninstall", "h1/box", "--yes")
    assert h1.run(["ls", "/home/alice/shared/bin"]).stdout.split() == sorted(toolkit.TOOLS)
    berth("unprepare", "h1", "--yes")
    assert h1.run(["find", "/home/alice/shared"]).stdout == "/home/alice/shared\n"


def test_podman_containers_are_given_the_same(lab: Lab, berth: Berth):
    host = lab.host("p1")
    host.docker("run", "-d", "--name", "box", "busybox", "sleep", "1d")
    try:
        berth("install", "p1/box", "--no-tools")
        listed = host.docker("exec", "box", "ls", "-l", BIN)
        assert len(listed.splitlines()) == 1 + len(toolkit.TOOLS) and "-rwxr-xr-x" in listed
        assert data(berth("install", "p1/box", "--no-tools", "--json"))["data"]["changes"] == []
        assert "tuned" in host.docker("exec", "box", f"{BIN}/contenv", "env")
        berth("uninstall", "p1/box", "--yes")
        assert host.docker("exec", "box", "ls", "-A", "/root") == ""
    finally:
        host.docker("rm", "-f", "box")


def test_a_container_that_cannot_be_written_to_says_so(h1: Host, berth: Berth):
    h1.docker("run", "-d", "--name", "fixed", "--read-only", "busybox", "sleep", "1d")
    assert "read-only" in berth("install", "h1/fixed", "--no-tools", code=1).stderr
    h1.docker("stop", "-t", "0", "fixed")
    assert "does not apply" in berth("install", "h1/fixed", code=4).stderr


def test_a_context_says_whose_shells_are_meant(h1: Host, box: Inside, berth: Berth, lab: Lab, tmp_path: Path):
    config = Path(shutil.copytree(lab.config_dir, tmp_path / "config"))
    (config / "contexts").mkdir(exist_ok=True)
    text = "host: h1\nimage: debian:lab\ncontainer: box\nuser: dev\n"
    (config / "contexts/work.yaml").write_text(text)
    box("useradd", "-m", "-s", "/bin/bash", "dev")
    berth("install", "work", "--no-tools", config=config)
    assert box("stat", "-c", "%U", "/home/dev/shared/bin/contenv", "/home/dev/.bashrc").split() == [
        "dev",
        "dev",
    ]


# --------------------------------------------------------------------------------- what is inside


def test_envs_asks_a_real_python_and_says_what_is_broken(h1: Host, box: Inside, berth: Berth):
    torch = (
        "__version__ = '2.5.0+rocm6.2'\n"
        "class version: cuda = None; hip = '6.2.41133'\n"
        "class cuda:\n"
        "    device_count = staticmethod(lambda: 1)\n"
        "    get_device_name = staticmethod(lambda i: 'AMD Instinct MI300X')\n"
        "    get_arch_list = staticmethod(lambda: ['gfx942'])\n"
    )
    packages = {
        "torch/__init__.py": torch,
        "triton/__init__.py": "__version__ = '3.1.0'\n",
        "numpy/__init__.py": "raise RuntimeError('built for another Python')\n",
    }
    folder = box(
        "python3", "-c", "import sys; print([p for p in sys.path if p.endswith('dist-packages')][0])"
    )
    put(h1, "box", folder.strip(), packages)  # type: ignore[arg-type]
    said = berth("envs", "h1/box").stdout
    for line in (
        "python: 3.",
        f"torch: 2.5.0+rocm6.2  {folder.strip()}/torch/__init__.py",
        "torch hip: 6.2.41133",
        "torch gpu 0: AMD Instinct MI300X",
        "torch archs: gfx942",
        "triton: 3.1.0",
        "numpy: broken: built for another Python",
    ):
        assert line in said


# ------------------------------------------------------------------------------------ the toolkit


@pytest.fixture
def work(h1: Host, berth: Berth) -> Inside:
    """A container with git, Python and pip of the machine, and the toolkit; wheels are found in /wheels."""
    told = {
        "BERTH_SYSFS_ROOT": "/gpus",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": "/wheels",
        "PIP_BREAK_SYSTEM_PACKAGES": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
        "PYTHON": "/usr/bin/python3",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": "/opt/pip",
    }
    options = [word for name, value in told.items() for word in ("-e", f"{name}={value}")]
    mounts = ["-v", "/usr:/usr:ro", "-v", "/run/gpus/sys:/gpus:ro"]
    h1.docker("run", "-d", "--name", "work", *mounts, *options, "debian:lab", "sleep", "1d")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(
            Path(pip.__file__).parent, "pip", filter=lambda each: None if "__pycache__" in each.name else each
        )
    h1.docker("exec", "work", "mkdir", "-p", "/opt/pip", "/wheels")
    h1.docker("cp", "-", "work:/opt/pip", data=buffer.getvalue())
    berth("install", "h1/work", "--no-tools")
    run = inside(h1, "work")
    run("git", "config", "--global", "user.email", "x@example.org")
    run("git", "config", "--global", "user.name", "x")
    return run


def wheel(name: str, version: str, needs: str = "") -> dict[str, bytes]:
    """A wheel of one empty module with a version."""
    buffer = io.BytesIO()
    info = f"{name}-{version}.dist-info"
    requires = f"Requires-Dist: {needs}\n" if needs else ""
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(f"{name}/__init__.py", f"__version__ = {version!r}\n")
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}"
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return {f"{name}-{version}-py3-none-any.whl": buffer.getvalue()}


def source_of(name: str, version: str) -> dict[str, str]:
    """A project that pip can build without an index: it is its own build backend."""
    (file, data), *_ = wheel(name, version).items()
    backend = (
        f"import pathlib\nDATA = bytes.fromhex({data.hex()!r})\n"
        f"def build_wheel(folder, *_, **__):\n"
        f"    pathlib.Path(folder, {file!r}).write_bytes(DATA)\n"
        f"    return {file!r}\n"
        f"build_editable = build_wheel\n"
    )
    project = '[build-system]\nrequires = []\nbuild-backend = "own"\nbackend-path = ["."]\n'
    return {"pyproject.toml": project, "own.py": backend, "setup.py": "", "torch/__init__.py": ""}


def repository(h1: Host, run: Inside, folder: str, files: dict[str, str]) -> None:
    put(h1, "work", folder, files)  # type: ignore[arg-type]
    script = 'git init -q -b main "$0" && cd "$0" && git add -A && git commit -q -m first'
    run("sh", "-c", script, folder)


def test_every_script_explains_itself_and_refuses_what_it_does_not_know(work: Inside):
    for name in toolkit.TOOLS:
        assert len(work(f"{BIN}/{name}", "--help")) > 100, name
        said = work("sh", "-c", f"{BIN}/{name} --no-such-option; echo exit $?", check=False)
        assert "exit 2" in said, name


def test_contenv_runs_a_command_and_says_what_it_sets(work: Inside):
    work("sh", "-c", "mkdir -p /root/shared/env /root/sharedump; echo 'export MINE=1' >/root/shared/env/a.sh")
    said = work(f"{BIN}/contenv", "--dry-run")
    assert "HF_HOME=/root/sharedump/cache/huggingface" in said and ". /root/shared/env/a.sh" in said
    assert work(f"{BIN}/contenv", "sh", "-c", 'echo "$MINE $BERTH_ENVIRONMENT"') == "1 tuned\n"
    loaded = f'set -u; . {BIN}/contenv; . {BIN}/contenv; echo "$PATH"; set'
    first, *rest = work("bash", "-c", loaded).splitlines()
    assert first.split(":").count(BIN) == 1
    assert not [line for line in rest if line.startswith("_berth")]


def test_showenvs_names_the_architecture_of_the_gpus(work: Inside):
    assert "gpu architectures: gfx942 gfx942" in work(f"{BIN}/showenvs")
    assert work(f"{BIN}/showenvs", "--dry-run").startswith("would ask")


def test_pytorch_is_got_brought_up_to_date_and_chosen(h1: Host, work: Inside):
    repository(h1, work, "/origin", {"torch/__init__.py": "1"})
    get = [f"{BIN}/get_torch_main", "--url", "file:///origin"]
    assert "+ git clone" in work(*get, "--dry-run")
    assert "first" in work(*get)
    work("sh", "-c", "cd /origin && git commit -q --allow-empty -m second")
    assert "second" in work(*get)
    work("sh", "-c", "echo mine >/root/pytorch-main/torch/__init__.py")
    assert "not committed" in work(*get, check=False)
    assert "which repository" in work(f"{BIN}/get_torch_me", check=False)
    work("git", "config", "--global", "berth.torch", "file:///origin")
    assert "/root/pytorch-me is at" in work(f"{BIN}/get_torch_me")
    assert work(f"{BIN}/setpytorch", "me", "--dry-run") == "would link /root/pytorch to /root/pytorch-me\n"
    work(f"{BIN}/setpytorch", "main")
    work(f"{BIN}/setpytorch", "me")
    assert work("readlink", "/root/pytorch") == "/root/pytorch-me\n"
    assert "* me" in work(f"{BIN}/setpytorch")
    assert "PYTHONPATH=/root/pytorch:" in work(f"{BIN}/contenv", "--dry-run")
    assert "no /root/pytorch-x" in work(f"{BIN}/setpytorch", "x", check=False)
    work("sh", "-c", "rm /root/pytorch && mkdir /root/pytorch")
    assert "folder of its own" in work(f"{BIN}/setpytorch", "main", check=False)


def test_triton_is_built_at_the_version_that_is_pinned(h1: Host, work: Inside):
    repository(h1, work, "/triton.origin", source_of("triton", "3.9.1"))
    commit = work("git", "-C", "/triton.origin", "rev-parse", "HEAD").strip()
    install = [f"{BIN}/install_triton", "--url", "file:///triton.origin"]
    assert "which version" in work(*install, check=False)
    put(h1, "work", "/root/pytorch-main", {".ci/docker/ci_commit_pins/triton.txt": f"{commit}\n"})
    work(f"{BIN}/setpytorch", "main")
    assert f"checkout --detach {commit}" in work(*install, "--dry-run")
    assert "triton 3.9.1" in work(*install)
    assert "triton 3.9.1" in work(*install, "main")


def test_numpy_1_comes_with_its_friends(h1: Host, work: Inside):
    wheels = wheel("numpy", "1.26.4") | wheel("numpy", "2.1.0") | wheel("scipy", "1.13.0", "numpy>=1.22")
    put(h1, "work", "/wheels", wheels)  # type: ignore[arg-type]
    work("/usr/bin/python3", "-m", "pip", "install", "-q", "scipy")
    assert "numpy<2 scipy" in work(f"{BIN}/install_numpy1", "--dry-run")
    assert work("/usr/bin/python3", "-c", "import numpy; print(numpy.__version__)") == "2.1.0\n"
    assert "numpy 1.26.4" in work(f"{BIN}/install_numpy1")


def test_a_checkout_is_built_for_the_gpu_that_is_here(h1: Host, work: Inside):
    assert "no PyTorch checkout" in work(f"{BIN}/clean_torch", check=False)
    repository(h1, work, "/root/pytorch-main", source_of("torch", "2.9.0"))
    at = ["sh", "-c", f'cd /root/pytorch-main && {BIN}/clean_torch "$@"', "x"]
    work("sh", "-c", "mkdir -p /opt/rocm /root/pytorch-main/build && touch /root/pytorch-main/build/old")
    shown = work(*at, "--dry-run")
    assert "for rocm gfx942" in shown and "PYTORCH_ROCM_ARCH=gfx942" in shown and "USE_CUDA=0" in shown
    assert "TORCH_CUDA_ARCH_LIST='8.0;9.0'" in work(
        *at, "--dry-run", "--for", "cuda", "--arch", "8.0", "--arch", "9.0"
    )
    work(*at, "--jobs", "1")
    assert "2.9.0" in work("/usr/bin/python3", "-m", "pip", "show", "torch")
    assert work("sh", "-c", "ls /root/pytorch-main/build 2>&1 || :").endswith("No such file or directory\n")


def test_private_things_are_shown_before_they_are_removed(work: Inside):
    work("sh", "-c", "mkdir -p /root/.ssh; echo '-----BEGIN OPENSSH PRIVATE KEY-----' >/root/.ssh/id")
    assert "would remove /root/.ssh/id" in work(f"{BIN}/remprivate", "--dry-run")
    assert "removed /root/.ssh/id" in work(f"{BIN}/remprivate")
