"""What can be opened of a context or a container: its services, its ports, or another port."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backend.model import ContextRow
from backend.tunnels import asking
from tui.menu import Entry

if TYPE_CHECKING:
    from backend.actions import Action
    from backend.config import Config
    from tui.menu import Menu

OTHER = "other"
_ALL = "all of its file"


def menu(action: Action, row: Any, config: Config) -> Menu:
    """The list for one row. Answers the words of `split`, or `OTHER` for whatever is typed into the form."""
    from tui.menu import Menu

    name = row.name if isinstance(row, ContextRow) else f"{row.host}/{row.name}"
    return Menu(f"Tunnel to {name}", entries(row, config))


def entries(row: Any, config: Config) -> list[Entry]:
    """What can be opened, what its file names first."""
    from backend.workspaces import services

    if isinstance(row, ContextRow):
        target = asking.find(config, row.name)
    else:
        target = asking.of_container(config, row.host, row.name)
    assert target.context is not None
    found = []
    if target.context.tunnels:
        what = ", ".join(target.context.tunnels)
        found.append(_entry(" ".join(target.context.tunnels), _ALL, f"Open {what}", common=True))
    known = services.of(target.context)
    usual = services.usual()
    for name, service in sorted(known.items(), key=lambda each: each[0] in usual):
        starts = "start it where it does not run, and open" if service.command else "open"
        found.append(
            _entry(name, name, f"{starts.capitalize()} port {service.port}", common=name not in usual)
        )
    taken = {service.port for service in known.values() if not service.command}
    for port in _ports(row):
        if port not in taken:
            found.append(_entry(str(port), f"port {port}", "Open it here", common=True))
    return [*found, _entry(OTHER, "another port", "Type ports, LOCAL:PORT, or names of services")]


def _ports(row: Any) -> list[int]:
    """The TCP ports that are published, as containers and contexts show them."""
    found = []
    for text in row.ports:
        inner, _, protocol = text.rpartition("/")
        number = inner.rpartition(">")[2].rpartition(":")[2]
        if protocol == "tcp" and number.isdecimal():
            found.append(int(number))
        elif not inner and text.rpartition(">")[2].isdecimal():
            found.append(int(text.rpartition(">")[2]))
    return list(dict.fromkeys(found))


def _entry(name: str, title: str, summary: str, *, common: bool = False) -> Entry:
    return Entry(name, title, "", summary, danger=False, common=common, own=True)
