"""Where the engine's socket is, and what to say when it cannot be used."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import sys

from .http_unix import connect

PODMAN = "podman"
_START = "Start the engine: sudo systemctl start"


class Finding:
    """A socket that can be tried, or why there is none. `state` is a value of EngineState."""

    __slots__ = ("error", "hint", "path", "state")

    def __init__(self, state: str, path: str = "", error: str = "", hint: str = "") -> None:
        self.state = state
        self.path = path
        self.error = error
        self.hint = hint


def candidates(kind: str, explicit: str = "") -> list[str]:
    """Sockets to try, best first. `kind` is auto, docker or podman."""
    if explicit:
        return [explicit]
    runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    home = os.path.expanduser("~")
    docker, podman = [], []
    configured = os.environ.get("DOCKER_HOST", "")
    if configured.startswith("unix://"):
        docker.append(configured[len("unix://") :])
    docker += ["/run/docker.sock", "/var/run/docker.sock", f"{runtime}/docker.sock"]
    if sys.platform == "darwin":
        docker += [f"{home}/.docker/run/docker.sock", f"{home}/.colima/default/docker.sock"]
    podman += ["/run/podman/podman.sock", f"{runtime}/podman/podman.sock"]
    paths = docker if kind == "docker" else podman if kind == PODMAN else docker + podman
    unique: dict[str, str] = {}
    for path in paths:
        unique.setdefault(os.path.realpath(path), path)
    return list(unique.values())


def find(kind: str, explicit: str = "") -> Finding:
    """The first socket that lets us in; else the most telling failure of all that were tried."""
    denied = down = None
    for path in candidates(kind, explicit):
        try:
            connect(path).close()
        except FileNotFoundError:
            continue
        except PermissionError:
            denied = denied or _denied(path)
        except OSError as error:
            if error.errno == errno.EAGAIN:  # somebody listens but does not accept
                return Finding("connecting", path)
            down = down or _down(path, error)
        else:
            return Finding("connecting", path)
    return denied or down or _missing(kind, explicit)


def gone(path: str) -> Finding:
    """The socket of an engine that ran here a moment ago, tried again."""
    found = find("auto", path)
    if found.state != "missing":
        return found
    service = _service(path)
    return Finding("down", path, f"{path} is gone: the engine was stopped.", f"{_START} {service}")


def _denied(path: str) -> Finding:
    user = _user()
    group = ""
    try:
        group = grp.getgrgid(os.stat(path).st_gid).gr_name
    except (OSError, KeyError):
        pass
    if group and group != "root":
        hint = f"Add {user} to group {group} (sudo usermod -aG {group} {user}) and log in again."
    elif "podman" in path:
        hint = f"Only root may use it; start {user}'s own: systemctl --user enable --now podman.socket"
    else:
        hint = f"Its group must be one that {user} is in: see the engine's --group option."
    return Finding("denied", path, f"{user} may not use {path}.", hint)


def _down(path: str, error: OSError) -> Finding:
    what = "nothing listens on it" if error.errno == errno.ECONNREFUSED else (error.strerror or str(error))
    return Finding("down", path, f"{path}: {what}.", f"{_START} {_service(path)}")


def _missing(kind: str, explicit: str) -> Finding:
    if explicit:
        return Finding("missing", explicit, f"{explicit} does not exist.", "Correct `socket` in hosts.yaml.")
    installed = [name for name in ("dockerd", "docker", "podman") if _on_path(name)]
    if kind != PODMAN and "dockerd" in installed:
        return Finding("down", "", "Docker is installed but does not run.", f"{_START} docker")
    if kind != "docker" and "podman" in installed:
        error = "Podman is installed but has no API socket."
        hint = "Start it: systemctl --user enable --now podman.socket (as root without --user)"
    else:
        error = "No Docker or Podman socket found." if kind == "auto" else f"No {kind} socket found."
        hint = "Install Docker or Podman, set `socket` in hosts.yaml, or `engine: none` if it has none."
    return Finding("missing", "", error, hint)


def _service(path: str) -> str:
    return "podman.socket" if "podman" in path else "docker"


def _on_path(program: str) -> bool:
    folders = [*os.environ.get("PATH", "").split(":"), "/usr/bin", "/usr/sbin", "/usr/local/bin"]
    return any(os.access(os.path.join(folder, program), os.X_OK) for folder in folders if folder)


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
