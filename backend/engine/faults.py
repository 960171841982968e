"""Whatever a call can raise -> the errors of `backend.errors`. The one place where that is decided."""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator

import urllib3.exceptions
from docker.errors import DockerException
from requests import RequestException

from backend.engine.lane import AbortedError, AnswerError
from backend.errors import ActionFailed, BerthError, EngineError, NoSuchTarget
from backend.text import printable

FOREIGN = (
    AnswerError,
    AbortedError,
    DockerException,
    RequestException,
    urllib3.exceptions.HTTPError,
    OSError,
    ValueError,
    EOFError,
    AttributeError,
    struct.error,
)
"""What the SDK and the layers below it raise, some of it only for answers no engine should give."""


class LostError(EngineError):
    """The socket was closed before anything came: who can tell why should be asked."""


def translate(error: BaseException, host: str, doing: str) -> BerthError:
    """The error to show. `doing`: what was tried, `stop web`."""
    if isinstance(error, BerthError):
        return error
    for cause in _causes(error):
        if isinstance(cause, AnswerError):
            return _answered(cause, host)
        if isinstance(cause, TimeoutError | urllib3.exceptions.TimeoutError):
            return hung(host, doing)
        if isinstance(cause, OSError) and (known := _os_error(cause, host)):
            return known
        if isinstance(cause, EOFError | urllib3.exceptions.ProtocolError):
            return lost(host, doing)
    return EngineError(
        f"{host}: the engine's answer to {doing} makes no sense ({type(error).__name__}).",
        hint=f"Is that socket really Docker's or Podman's? Try: berth doctor {host}",
    )


def hung(host: str, doing: str, seconds: float | None = None) -> EngineError:
    """It took too long."""
    within = f" within {seconds:.0f} s" if seconds else " in time"
    return EngineError(
        f"{host}: the engine did not answer{within} ({doing}).",
        hint="It may be busy or hung: look at its log there, or restart it: sudo systemctl restart docker",
    )


def lost(host: str, doing: str) -> LostError:
    """The connection ended in the middle."""
    return LostError(
        f"{host}: the connection to the engine ended ({doing}).",
        hint=f"The engine or the link to the host went away: berth doctor {host}",
    )


_HINTS = (
    ("no such image", "Pull it first, or correct its name."),
    ("port is already allocated", "Another container or program has that port: choose another."),
    ("address already in use", "Another program has that port: choose another."),
    ("is already in use by container", "Choose another name, or remove the container that has it."),
    (
        "could not select device driver",
        "The engine cannot give GPUs: install nvidia-container-toolkit there.",
    ),
    ("unknown or invalid runtime name", "That runtime is not configured in this engine."),
    ("no space left on device", "The host's disk is full: free some room there first."),
    ("executable file not found", "The image has no such program."),
    ("is paused", "Let it go on first: berth unpause"),
    ("is not running", "Start it first: berth start"),
    (
        "pull access denied",
        "Its registry has no such image, or wants a login: docker login REGISTRY on this machine.",
    ),
    ("repository does not exist", "Correct its name, or log in: docker login REGISTRY on this machine."),
    ("manifest unknown", "Its registry has that image, but not under that tag: correct the tag."),
    ("not found: manifest", "Its registry has that image, but not under that tag: correct the tag."),
    ("name unknown", "Its registry has no such image: correct its name."),
    ("unauthorized", "Its registry wants a login: docker login REGISTRY on this machine."),
    ("authentication required", "Its registry wants a login: docker login REGISTRY on this machine."),
    ("no such host", "The host does not find that registry: correct its name, or the host's DNS."),
    ("connection refused", "Nothing answers at that registry: correct its name, or try later."),
    ("network is unreachable", "The host does not reach that registry: has it a network?"),
    ("i/o timeout", "The host does not reach that registry: is it behind a proxy or a firewall?"),
    ("context deadline exceeded", "The host does not reach that registry: is it behind a proxy or firewall?"),
    ("client.timeout exceeded", "The host does not reach that registry: is it behind a proxy or a firewall?"),
    (
        "server gave http response to https client",
        "That registry speaks no TLS: the host's engine has to allow it (insecure-registries).",
    ),
    ("unqualified-search", "Podman wants the registry as well: docker.io/library/NAME."),
    ("toomanyrequests", "Its registry allows no more pulls for now: log in, or try later."),
    ("image is being used by running container", "Stop and remove that container first."),
    ("image has dependent child images", "Other images were built from it: remove those first."),
    ("image is in use by", "Remove that container first, or say --force."),
)
"""What to do about well-known complaints, by a part of them in lower case."""


def hint(said: str) -> str:
    """What to do about what an engine says; empty where that is not known."""
    lower = said.lower()
    return next((hint for part, hint in _HINTS if part in lower), "")


def _answered(error: AnswerError, host: str) -> BerthError:
    said = printable(error.message, 600)
    if error.status == 404:
        return NoSuchTarget(f"{host}: {said}", hint=hint(said))
    return EngineError(f"{host}: {said}", hint=hint(said))


def _os_error(error: OSError, host: str) -> BerthError | None:
    if error.errno is not None and error.filename:  # a file of this machine: sockets have no name here
        return ActionFailed(f"{error.filename}: {error.strerror or error}.")
    match error.errno:
        case errno.EACCES | errno.EPERM:
            return EngineError(
                f"{host}: we may not use the engine's socket.",
                hint="Join the group that owns it (sudo usermod -aG docker $USER) and log in again.",
            )
        case errno.ENOENT:
            return EngineError(
                f"{host}: the engine's socket is not there.",
                hint="Start the engine (sudo systemctl start docker), or correct `socket` in hosts.yaml.",
            )
        case errno.ECONNREFUSED:
            return EngineError(
                f"{host}: nothing listens on the engine's socket.",
                hint="Start the engine: sudo systemctl start docker",
            )
        case errno.ECONNRESET | errno.EPIPE | errno.ESHUTDOWN | errno.ENOTCONN | errno.EBADF:
            return lost(host, "read")
        case errno.ENOSPC | errno.EDQUOT:
            return ActionFailed("no room left on this machine's disk.", hint="Free some, then try again.")
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it was made of, the innermost first."""
    found: list[BaseException] = []
    waiting = [error]
    while waiting and len(found) < 20:
        each = waiting.pop()
        if any(each is known for known in found):
            continue
        found.append(each)
        inside = (each.__cause__, each.__context__, getattr(each, "reason", None), *each.args)
        waiting.extend(one for one in inside if isinstance(one, BaseException))
    return reversed(found)
