"""Images for the lab's engines, made on this machine: nothing is pulled."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from tests.lab.machine import built, cache, command, machine_lock
from tests.lab.spec import LabError

WORKERS = ("python", "torchrun", "vllm", "jupyter-lab", "tensorboard")
"""Programs in the image that look like work; see native/work.c."""

_BUSYBOX = Path("/usr/bin/busybox")
_FOLDERS = ("bin", "dev", "etc", "home", "proc", "root", "sys", "usr", "usr/bin", "var", "workspace")


def busybox() -> Path:
    """A tar of a root file system of one busybox, and `work` under the names of what people run on GPUs."""
    if not _BUSYBOX.exists():
        raise LabError("the lab needs busybox-static, which is not installed")
    work = built("work.c", "-static")
    target = cache() / f"busybox-{int(_BUSYBOX.stat().st_mtime)}-{work.name}.tar"
    with machine_lock("busybox"):
        if not target.exists():
            part = target.with_name(f"{target.name}.part")
            _write_busybox(part, work)
            part.replace(target)
    return target


def _write_busybox(path: Path, work: Path) -> None:
    with tarfile.open(path, "w") as tar:

        def entry(name: str, kind: bytes, mode: int, text: bytes = b"", link: str = "") -> None:
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.size, info.linkname = kind, mode, len(text), link
            tar.addfile(info, io.BytesIO(text))

        for folder in _FOLDERS:
            entry(folder, tarfile.DIRTYPE, 0o755)
        entry("tmp", tarfile.DIRTYPE, 0o1777)
        entry("etc/passwd", tarfile.REGTYPE, 0o644, b"root:x:0:0:root:/root:/bin/sh\n")
        entry("etc/group", tarfile.REGTYPE, 0o644, b"root:x:0:\n")
        entry("bin/busybox", tarfile.REGTYPE, 0o755, _BUSYBOX.read_bytes())
        for applet in command([str(_BUSYBOX), "--list"]).stdout.split():
            if applet != "busybox":
                entry(f"bin/{applet}", tarfile.SYMTYPE, 0o777, link="busybox")
        entry("usr/bin/work", tarfile.REGTYPE, 0o755, work.read_bytes())
        for program in WORKERS:
            entry(f"usr/bin/{program}", tarfile.SYMTYPE, 0o777, link="work")


def debian(*more: str) -> Path:
    """A tar of a small Debian with bash, procps, python3 and `more` packages: made once, then cached."""
    name = "-".join(("debian", *sorted(more)))
    target = cache() / f"{name}.tar"
    with machine_lock(name):
        if target.exists():
            return target
        root, part = cache() / f"{name}.root", cache() / f"{name}.tar.part"
        command(["rm", "-rf", str(root)])
        suite = next(
            line.partition("=")[2]
            for line in Path("/etc/os-release").read_text().splitlines()
            if line.startswith("VERSION_CODENAME=")
        )
        include = ",".join(("procps", "python3-minimal", *more))
        argv = ["debootstrap", "--variant=minbase", f"--include={include}", suite, str(root)]
        command([*argv, *_mirror()], timeout=900)
        away = ("var/cache/apt/*", "var/lib/apt/lists/*", "etc/ssh/ssh_host_*")
        command(["sh", "-c", "rm -rf " + " ".join(f"'{root}'/{each}" for each in away)])
        command(["tar", "--numeric-owner", "-C", str(root), "-cf", str(part), "."], timeout=300)
        command(["rm", "-rf", str(root)])
        part.replace(target)
    return target


def _mirror() -> list[str]:
    """The mirror this machine's apt uses; debootstrap's own choice when that cannot be told."""
    listing = command(["apt-get", "indextargets", "--format", "$(REPO_URI)"], check=False).stdout
    return listing.split()[:1]
