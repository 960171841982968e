"""Which builder a host has, and its command line.

buildx      `docker buildx build`: BuildKit, with progress as JSON from 0.13 on
buildkit    `docker build` with DOCKER_BUILDKIT=1: command lines before 23, which speak BuildKit themselves
podman      `podman build`: our own, where the service works on our own images, since that can be ended in the
            middle of a step; else through the service
classic     the engine's own API (see `api`), which needs no program at all
"""

from __future__ import annotations

import os
import re
import subprocess
from typing import Any, Dict, List, Optional, Tuple

from . import api

_LOOK = 10.0
"""Seconds a program has to tell its version."""
_VERSION = re.compile(r"v?(\d+)\.(\d+)")
CLASSIC = "classic"
BUILDKIT = ("buildx", "buildkit")


class Builder:
    """A way to build."""

    def __init__(
        self, kind: str, program: str = "", json: bool = False, attests: bool = False, own: bool = False
    ) -> None:
        self.kind = kind
        self.own = own
        """It builds itself; else whoever listens on the socket does."""
        self.program = program
        self.json = json
        """It reports in JSON."""
        self.attests = attests
        """It would add attestations to the image unless told not to."""

    @property
    def secrets(self) -> bool:
        """Whether it takes build secrets."""
        return self.kind != CLASSIC


def find(engine: str, wanted: str, socket: str = "") -> Builder:
    """The builder to use. `engine` is docker or podman, behind `socket`; `wanted`: auto, buildkit or classic.

    Raises LookupError where `wanted` is not here.
    """
    if wanted == CLASSIC:
        return Builder(CLASSIC)
    if engine == "podman":
        program = next(_programs("podman"), "")
        if program:
            return Builder("podman", program, own=_is_own(program, socket))
        if wanted == "buildkit":
            raise LookupError("podman is not on the PATH here, which could build with secrets and mounts")
        return Builder(CLASSIC)
    found = _buildkit()
    if found is None and wanted == "buildkit":
        raise LookupError("this host has no docker-buildx, nor another way to BuildKit")
    return found or Builder(CLASSIC)


def _buildkit() -> Optional[Builder]:
    for program in _programs("docker"):
        buildx = _version([program, "buildx", "version"])
        if buildx is not None:
            return Builder("buildx", program, json=buildx >= (0, 13), attests=buildx >= (0, 10))
        own = _version([program, "--version"])
        if own is not None and (18, 9) <= own < (23, 0):
            return Builder("buildkit", program)
    return None


def _is_own(program: str, socket: str) -> bool:
    """Whether podman itself works on the images that the service behind the socket has: those of one user."""
    try:
        if os.stat(socket).st_uid != os.getuid():
            return False
    except OSError:
        return False
    said = _said([program, "info", "--format", "{{.Store.GraphRoot}}"])
    if said is None:
        return False
    root = (api.ask(socket, "GET", "/info") or {}).get("DockerRootDir")
    return bool(root) and said[1].strip() == root


def _programs(name: str) -> Any:
    """All programs of that name, in the order of the PATH."""
    seen = set()
    for folder in [*os.environ.get("PATH", "").split(":"), "/usr/local/bin", "/usr/bin"]:
        path = os.path.join(folder, name)
        real = os.path.realpath(path)
        if folder and real not in seen and os.access(path, os.X_OK):
            seen.add(real)
            yield path


def _version(argv: List[str]) -> Optional[Tuple[int, int]]:
    said = _said(argv)
    found = _VERSION.search(said[1]) if said is not None and not said[0] else None
    return (int(found[1]), int(found[2])) if found else None


def _said(argv: List[str]) -> Optional[Tuple[int, str]]:
    """How a program ended and what it said; None where it cannot be run or does not end."""
    try:
        done = subprocess.run(
            argv,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_LOOK,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.returncode, done.stdout.decode(errors="replace")


def command(
    builder: Builder, socket: str, spec: Dict[str, Any], secrets: Dict[str, str]
) -> Tuple[List[str], Dict[str, str]]:
    """Its words, and what is added to its environment. `secrets`: id to file."""
    tree, dockerfile = os.path.join(spec["folder"], "tree"), os.path.join(spec["folder"], "Dockerfile")
    environment = {"DOCKER_HOST": f"unix://{socket}"}
    if builder.kind == "podman":
        argv = [builder.program, *([] if builder.own else ["--url", f"unix://{socket}"])]
        argv += ["build", "--format", "docker", "--force-rm", f"--pull={spec.get('pull') or 'never'}"]
        argv += [f"--cgroup-parent=/{spec['group']}"] if spec.get("group") else []
        environment = {}
    elif builder.kind == "buildx":
        argv = [builder.program, "buildx", "build", "--builder", "default", "--load"]
        argv += [f"--progress={'rawjson' if builder.json else 'plain'}"]
        argv += ["--provenance=false"] if builder.attests else []
    else:
        argv = [builder.program, "build", "--progress=plain"]
        environment["DOCKER_BUILDKIT"] = "1"
    argv += ["--file", dockerfile]
    argv += [word for tag in spec["tags"] for word in ("--tag", tag)]
    for flag, key in (("--build-arg", "args"), ("--label", "labels")):
        argv += [word for name, value in spec[key].items() for word in (flag, f"{name}={value}")]
    argv += [word for name, path in secrets.items() for word in ("--secret", f"id={name},src={path}")]
    for flag, key in (("--target", "target"), ("--platform", "platform")):
        argv += [flag, spec[key]] if spec[key] else []
    argv += ["--no-cache"] if spec["no_cache"] else []
    return [*argv, "--", tree] if builder.kind != "podman" else [*argv, tree], environment
