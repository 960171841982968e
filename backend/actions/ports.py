"""Ports of containers, opened on the machine one sits at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from backend.actions.registry import Option, action
from backend.errors import ActionFailed, UsageError
from backend.model import ContainerRow

if TYPE_CHECKING:
    from backend.actions.context import ActionContext

WEB = {80, 443, 3000, 5000, 6006, 7860, 8000, 8080, 8265, 8501, 8888, 9999}
"""Ports that usually speak HTTP: their address is shown as a link."""


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

    A published port is reached where the host published it, any other one at the container's own address.
    It is bound to 127.0.0.1 here.
    """
    engine = await ctx.engine(row.host)
    address, outside, inside = where(await engine.inspect(row.id), port, row.name)
    link = await ctx.link(row.host)
    async with link.forward_port(address, outside, local) as here:
        scheme = "http://" if inside in WEB else ""
        ctx.notes["address"] = f"127.0.0.1:{here}"
        ctx.report(
            f"{scheme}127.0.0.1:{here} is port {inside} of {row.name} on {row.host}; cancel to close it"
        )
        lost = await link.closed
    if lost is not None:
        raise ActionFailed(
            f"the link to {row.host} was lost: {lost}", hint="Open it again when the host is back."
        )
    return f"closed 127.0.0.1:{here}"


def where(found: dict[str, Any], port: int | None, name: str) -> tuple[str, int, int]:
    """Address and port on the host that lead to a container's port, and that port.

    `found` is the engine's inspect. Raises `UsageError` where it has to be said which one.
    """
    network = found.get("NetworkSettings") or {}
    published = {
        int(key.partition("/")[0]): bindings[0]
        for key, bindings in (network.get("Ports") or {}).items()
        if bindings and key.endswith("/tcp")
    }
    exposed = {int(key.partition("/")[0]) for key in (found.get("Config") or {}).get("ExposedPorts") or {}}
    if port is None:
        choices = sorted(published or exposed)
        if len(choices) != 1:
            known = ", ".join(map(str, choices)) or "none"
            raise UsageError(f"which port of {name}?", hint=f"It has: {known}.")
        port = choices[0]
    if not 0 < port < 65536:
        raise UsageError(f"{port} is no port.", hint="Ports are 1 to 65535.")
    if binding := published.get(port):
        address = binding.get("HostIp") or "127.0.0.1"
        return ("127.0.0.1" if address in ("0.0.0.0", "::") else address), int(binding["HostPort"]), port  # noqa: S104
    if (found.get("HostConfig") or {}).get("NetworkMode") == "host":
        return "127.0.0.1", port, port
    networks = (network.get("Networks") or {}).values()
    address = network.get("IPAddress") or next((n["IPAddress"] for n in networks if n.get("IPAddress")), "")
    if not address:
        raise ActionFailed(f"{name} has no network address, and port {port} is not published.")
    return address, port, port
