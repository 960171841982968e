"""The sockets of a host's engine, found by nothing but `sh`."""

from __future__ import annotations

from msgspec import Struct

from backend.config import HostConfig
from backend.link import Link
from backend.text import printable

_FIND = r"""
runtime=${XDG_RUNTIME_DIR:-/run/user/$(id -u)}
docker="/run/docker.sock /var/run/docker.sock"
case ${DOCKER_HOST-} in unix:///*) docker="${DOCKER_HOST#unix://} $docker" ;; esac
podman="/run/podman/podman.sock"
case $1 in
docker) set -- "$2" $docker "$runtime/docker.sock" "$HOME/.docker/run/docker.sock" ;;
podman) set -- "$2" $podman "$runtime/podman/podman.sock" ;;
only) set -- "$2" ;;
*) set -- "$2" $docker "$runtime/docker.sock" "$HOME/.docker/run/docker.sock" \
    $podman "$runtime/podman/podman.sock" ;;
esac
for socket; do
    if [ ! -S "$socket" ]; then continue
    elif [ -r "$socket" ] && [ -w "$socket" ]; then echo "use $socket"
    else echo "denied $socket"
    fi
done
echo "user $(id -un 2>/dev/null)"
"""
"""For `sh -c`: sockets in the agent's order. `$1`: the engine's kind, or `only` for `$2` alone."""
_TIMEOUT = 15.0


class Sockets(Struct, frozen=True, kw_only=True):
    """Paths on the host, best first."""

    use: tuple[str, ...] = ()
    """Those that we may use."""
    denied: tuple[str, ...] = ()
    user: str = ""
    """Who we are there; empty if the host does not know."""


async def find_sockets(link: Link, host: HostConfig) -> Sockets:
    """Look for them, or only at the configured one. Raises `HostError`, and `TimeoutError`."""
    kind = "only" if host.socket else host.engine
    found = await link.run(["sh", "-c", _FIND, "sh", kind, host.socket or ""], timeout=_TIMEOUT)
    use: list[str] = []
    denied: list[str] = []
    user = ""
    for line in found.stdout.decode(errors="replace").splitlines():
        word, _, rest = line.partition(" ")
        if word == "user":
            user = printable(rest, 64)
        elif word in ("use", "denied") and rest.startswith("/"):
            (use if word == "use" else denied).append(rest)
    return Sockets(use=tuple(dict.fromkeys(use)), denied=tuple(dict.fromkeys(denied)), user=user)
