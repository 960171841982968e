"""A host without python3: its engine is still read, by our own agent over a forwarded socket."""

from __future__ import annotations

import sys

from msgspec.structs import replace

from backend.config import HostConfig
from backend.errors import AgentFailed
from backend.link import Link
from backend.link.local import LocalLink
from backend.model import Container, Engine
from backend.shipping import Agent
from backend.wire import Pong, Section

_FIND = (
    'for s in "$1" /run/docker.sock /var/run/docker.sock /run/podman/podman.sock'
    ' "/run/user/$(id -u)/docker.sock" "/run/user/$(id -u)/podman/podman.sock";'
    ' do if [ -S "$s" ] && [ -w "$s" ]; then echo "$s"; exit 0; fi; done; exit 3'
)
"""For `sh -c`: the first engine socket that we may use; `$1` is the configured one or empty."""
_TIMEOUT = 15.0
_OWNER_LABELS = ("berth.owner",)


async def start(link: Link, host: HostConfig, interval: float) -> Agent:
    """Read a host's engine from here. Raises `AgentFailed` where there is no socket that we may use."""
    socket = await find_socket(link, host)
    local = await link.forward_socket(socket)
    kind = host.engine if host.engine != "auto" else ("podman" if "podman" in socket else "docker")
    process = await LocalLink(host.name).start(
        [
            *(sys.executable, "-P", "-m", "backend.agent"),
            *("--interval", f"{interval:g}", "--engine", kind, "--socket", local),
        ]
    )

    def accept(section: Section) -> Section | None:
        return of_engine(section, socket)

    return Agent(process, aiter(process), accept)


async def find_socket(link: Link, host: HostConfig) -> str:
    """Path of the engine's socket on a host, found by nothing but `sh`."""
    try:
        found = await link.run(["sh", "-c", _FIND, "sh", host.socket or ""], timeout=_TIMEOUT)
    except TimeoutError:
        raise AgentFailed(f"{host.name} did not answer within {_TIMEOUT:.0f} s.") from None
    path = found.stdout.decode(errors="replace").strip().rpartition("\n")[2]
    if host.engine == "none" or found.returncode or not path.startswith("/"):
        raise AgentFailed(
            f"{host.name} has no python3, and no engine socket that we may use.",
            hint="Install python3 there: sudo apt install python3.",
        )
    return path


def of_engine(section: Section, socket: str) -> Section | None:
    """What a section read here says about the host, or None: only the engine's own words do.

    Owners and GPUs of containers are looked up on the machine the agent runs on, which is not the host.
    """
    data = section.data
    if isinstance(data, Pong):
        return section
    if isinstance(data, Engine):
        return Section(section.name, section.time, replace(data, socket=socket))
    if section.name == "containers" and isinstance(data, tuple):
        plain = tuple(
            replace(
                each,
                gpus=(),
                owner=next((each.labels[label] for label in _OWNER_LABELS if label in each.labels), None),
            )
            for each in data
            if isinstance(each, Container)
        )
        return Section(section.name, section.time, plain)
    return None
