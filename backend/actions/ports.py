"""Ports of containers, opened on the machine one sits at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from backend.actions.registry import Option, action
from backend.errors import ActionFailed, UsageError
from backend.model import ContainerRow

if TYPE_CHECKING:
    from backend.actions.context import ActionContext
    from backend.tunnels.tunnel import Tunnel


@action(
    on=ContainerRow,
    verb="open",
    title="open port",
    key="P",
    applies=lambda row: row.state == "running",
    changes=False,
    bulk=False,
    group="Container",
)
async def open_port(
    ctx: ActionContext,
    row: ContainerRow,
    *,
    port: Annotated[
        int | None, Option("port of the container; default: its only one", positional=True, ask=True)
    ] = None,
    local: Annotated[int, Option("port of this machine; 0: a free one", ask=True)] = 0,
) -> str:
    """Reach a port of the container from this machine, through its own host, until cancelled.

    A published port is reached where the host published it, any other one at the container's own address, or
    inside of it. It is bound to 127.0.0.1 here, and survives a lost connection. See `berth tunnel` for more.
    """
    from backend.tunnels import asking

    engine = await ctx.engine(row.host)
    inside = where_inside(await engine.inspect(row.id), port, row.name)
    target = asking.of_container(ctx.config, row.host, row.name)

    def told(tunnel: Tunnel) -> None:
        here = tunnel.row("").address
        ctx.notes["address"] = here
        scheme = "http://" if inside in asking.WEB else ""
        ctx.report(f"{scheme}{here} is port {inside} of {row.name} on {row.host}; cancel to close it")

    keeper = asking.keeper(ctx, target, asking.Wish(port=inside, local=local))
    await keeper.keep(local=local, exact=bool(local), told=told)
    return f"closed port {inside} of {row.name} on {row.host}"


def where_inside(found: dict[str, Any], port: int | None, name: str) -> int:
    """The port of a container that is meant. `found` is the engine's inspect.

    Raises `UsageError` where it has to be said which one.
    """
    published, exposed = _published(found), _exposed(found)
    if port is None:
        choices = sorted(published or exposed)
        if len(choices) != 1:
            known = ", ".join(map(str, choices)) or "none"
            raise UsageError(f"which port of {name}?", hint=f"It has: {known}.")
        port = choices[0]
    if not 0 < port < 65536:
        raise UsageError(f"{port} is no port.", hint="Ports are 1 to 65535.")
    return port


def known(found: dict[str, Any]) -> list[int]:
    """The TCP ports of a container that are published, then those that its image exposes."""
    return list(dict.fromkeys([*sorted(_published(found)), *sorted(_exposed(found))]))


def _published(found: dict[str, Any]) -> dict[int, dict[str, str]]:
    ports = (found.get("NetworkSettings") or {}).get("Ports") or {}
    return {
        int(key.partition("/")[0]): bindings[0]
        for key, bindings in ports.items()
        if bindings and key.endswith("/tcp")
    }


def _exposed(found: dict[str, Any]) -> set[int]:
    return {
        int(key.partition("/")[0])
        for key in (found.get("Config") or {}).get("ExposedPorts") or {}
        if not key.endswith(("/udp", "/sctp"))
    }


def where(found: dict[str, Any], port: int | None, name: str) -> tuple[str, int, int]:
    """Address and port on the host that lead to a container's port, and that port.

    `found` is the engine's inspect. Raises `UsageError` where it has to be said which one.
    """
    port = where_inside(found, port, name)
    network = found.get("NetworkSettings") or {}
    if binding := _published(found).get(port):
        address = binding.get("HostIp") or "127.0.0.1"
        return ("127.0.0.1" if address in ("0.0.0.0", "::") else address), int(binding["HostPort"]), port  # noqa: S104
    if (found.get("HostConfig") or {}).get("NetworkMode") == "host":
        return "127.0.0.1", port, port
    networks = (network.get("Networks") or {}).values()
    address = network.get("IPAddress") or next((n["IPAddress"] for n in networks if n.get("IPAddress")), "")
    if not address:
        raise ActionFailed(f"{name} has no network address, and port {port} is not published.")
    return address, port, port
