"""A host without python3: its engine is still read, by our own agent over a forwarded socket."""

from __future__ import annotations

import sys

from msgspec.structs import replace

from backend.config import HostConfig
from backend.enginesockets import find_sockets
from backend.errors import AgentFailed
from backend.link import Link
from backend.link.local import LocalLink
from backend.model import Container, Engine, ImageReport
from backend.shipping import Agent
from backend.wire import Pong, Section

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
    """Path of the engine's socket on a host. Raises `AgentFailed` where there is none that we may use."""
    try:
        use = () if host.engine == "none" else (await find_sockets(link, host)).use
    except TimeoutError:
        raise AgentFailed(f"{host.name} did not answer in time.") from None
    if not use:
        raise AgentFailed(
            f"{host.name} has no python3, and no engine socket that we may use.",
            hint="Install python3 there: sudo apt install python3.",
        )
    return use[0]


def of_engine(section: Section, socket: str) -> Section | None:
    """What a section read here says about the host, or None: only the engine's own words do.

    Owners and GPUs of containers are looked up on the machine the agent runs on, which is not the host.
    """
    data = section.data
    if isinstance(data, Pong | ImageReport):
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
