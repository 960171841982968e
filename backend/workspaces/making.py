"""The context of a workspace: its image, its run-data at /data, its ports, who its shells are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from backend.config import Config, Context
from backend.contexts import files
from backend.errors import ActionFailed, UsageError
from backend.recipes.hooks import DATA
from backend.recipes.model import Kind, Recipe
from backend.workspaces import services
from backend.workspaces.services import SERVICES_LABEL, WORKSPACE_LABEL

if TYPE_CHECKING:
    from backend.link import Link

BOOT = "berth-workspace"
"""Name of the first process of a workspace's container, which runs its pre-run hook."""
_LISTENS = "0A"
_WAIT = 15.0


class Asked(Struct, frozen=True, kw_only=True):
    """What is said of a workspace when it is run."""

    data: str = ""
    """Folder of the host."""
    gpus: str = ""
    """`all`, `none`, how many, or which."""
    context: str = ""
    """Name of its context."""


def workspace(recipe: Recipe) -> Recipe:
    """The recipe, if it is one of a workspace that can be built. Raises `UsageError`, `ActionFailed`."""
    if recipe.kind is not Kind.WORKSPACE:
        raise UsageError(f"{recipe.name} is no workspace: {recipe.folder} has no container/.")
    if not recipe.images:
        why = str(recipe.problems[0]) if recipe.problems else "its base is not known."
        raise ActionFailed(f"{recipe.name} has no image: {why}")
    return recipe


def existing(config: Config, recipe: str, host: str, said: str = "") -> Context | None:
    """The context of a workspace on a host, if there is one."""
    for each in config.contexts:
        is_its = each.options.labels.get(WORKSPACE_LABEL) == recipe
        if is_its and each.host == host and said in ("", each.name):
            return each
    return None


def name_for(config: Config, recipe: Recipe, host: str, said: str) -> str:
    """What a new context is called. Raises `UsageError` where that is taken."""
    taken = {each.name for each in config.contexts}
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", recipe.name).strip("-._") or "workspace"
    plain = f"{plain}-workspace" if len(plain) == 1 else plain[:60]
    wanted = [said] if said else [plain, f"{plain}-{host}"]
    for each in wanted:
        if each not in taken:
            return each
    raise UsageError(
        f"a context {wanted[-1]} exists already, and is not that of {recipe.name} on {host}.",
        hint="Say --context NAME.",
    )


def gpus(said: str, found: int) -> str | int | list[str] | None:
    """What a context says of GPUs: all of them unless something else is asked."""
    if said in ("none", "0"):
        return None
    if not said:
        return "all" if found else None
    if said == "all":
        return said
    if "," in said or said.startswith(("GPU-", "amd-")):
        return [part.strip() for part in said.split(",") if part.strip()]
    if not said.isdecimal():
        raise UsageError(f"--gpus {said!r:.60}: say all, none, how many, or which (0,1).")
    return int(said)


async def write(
    config: Config, recipe: Recipe, link: Link, asked: Asked, *, data: str, owner: str, count: int
) -> Context:
    """Make the context. `data`: full path on the host; `owner`: UID:GID there; `count`: its GPUs."""
    name = name_for(config, recipe, link.name, asked.context)
    inner = list(dict.fromkeys([*_tcp(recipe), *(each.port for each in recipe.config.services.values())]))
    inner = inner or list(dict.fromkeys(each.port for each in services.usual().values()))
    outer = await free_ports(config, link, inner)
    labels = {WORKSPACE_LABEL: recipe.name, SERVICES_LABEL: services.label(recipe.config.services)}
    values: dict[str, Any] = {
        "host": link.name,
        "image": recipe.images[0],
        "user": owner,
        "gpus": gpus(asked.gpus, count),
        "workdir": DATA,
        "mounts": [f"{data}:{DATA}"],
        "ports": [f"127.0.0.1:{outside}:{inside}" for outside, inside in zip(outer, inner, strict=True)],
        "command": ["/bin/sh", "-c", services.script("boot"), BOOT],
        "options": {"labels": {key: value for key, value in labels.items() if value}},
    }
    return files.new(config, name, files.render(values))


def _tcp(recipe: Recipe) -> list[int]:
    return [int(each) for each in recipe.config.ports if each.isdecimal()]


async def free_ports(config: Config, link: Link, wanted: list[int]) -> list[int]:
    """Ports of the host's loopback, the wanted ones where nobody has them, else the next ones."""
    found = await link.run(["cat", "/proc/net/tcp", "/proc/net/tcp6"], timeout=_WAIT)
    taken = listening(found.stdout.decode(errors="replace"))
    for each in config.contexts:
        if each.host == link.name:
            taken |= {int(port.rpartition("/")[0].split(":")[-2]) for port in each.ports}
    chosen: list[int] = []
    for port in wanted:
        while port in taken:
            port = port + 1 if port < 65535 else 1024
        taken.add(port)
        chosen.append(port)
    return chosen


def listening(table: str) -> set[int]:
    """The ports that somebody listens on, of /proc/net/tcp."""
    ports = set()
    for line in table.splitlines():
        parts = line.split()
        if len(parts) > 3 and parts[3] == _LISTENS:
            number = parts[1].rpartition(":")[2]
            if re.fullmatch("[0-9A-Fa-f]{4}", number):
                ports.add(int(number, 16))
    return ports
