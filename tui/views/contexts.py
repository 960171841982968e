"""Contexts (4): what is configured, and whether its container is there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType

from backend.model import ContextRow
from backend.text import printable
from tui import cells
from tui.canvas import Look
from tui.columns import Cell, Column
from tui.filter import quote
from tui.views.base import ListView
from tui.views.make import figures, words

if TYPE_CHECKING:
    from backend.actions import Action

_STATES = {"running": "good", "stopped": "warn", "missing": "dim", "unknown": "dim"}


class ContextsView(ListView):
    """All contexts: a host, an image, a container and how to run it."""

    ROW = ContextRow
    KEY = attrgetter("name")
    EMPTY: ClassVar[tuple[str, str]] = (
        "A context is a host, an image, a container, and how to run it.",
        "There is none yet: n makes one, a file contexts/NAME.yaml in the configuration folder.",
    )

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("l", "logs", "logs", id="context-logs"),
        Binding("b", "workspace('workspace-build')", "Build the workspace", show=False, id="context-build"),
        Binding("W", "workspace('workspace-run')", "Run the workspace", show=False, id="context-run"),
    ]

    def make_columns(self) -> Sequence[Column[Any]]:
        """All columns."""
        return (
            words("name", "NAME", 16, lambda r: r.name, cell=_name, grow=2),
            words("host", "HOST", 12, lambda r: r.host, grow=1),
            words("image", "IMAGE", 22, lambda r: r.image, grow=3, priority=2),
            words("container", "CONTAINER", 16, lambda r: r.container, grow=2, priority=3),
            words("state", "STATE", 9, lambda r: r.state, cell=_state),
            words("gpus", "GPUS", 6, lambda r: r.gpus, grow=1, priority=1),
            words("ports", "PORTS", 14, _ports, grow=1, priority=4),
            words("user", "USER", 10, lambda r: r.user, priority=5),
            words("profile", "PROFILE", 7, lambda r: r.profile, priority=6),
            figures(
                "sessions",
                "TMUX",
                4,
                self._sessions,
                lambda r: r.sessions,
                priority=7,
            ),
        )

    def make_narrow(self) -> Sequence[Column[Any]]:
        """Which, where, and whether it runs."""
        return (
            words("name", "NAME", 12, lambda r: r.name, cell=_name, grow=2),
            words("host", "HOST", 8, lambda r: r.host, grow=1),
            words("state", "STATE", 8, lambda r: r.state, cell=_state),
        )

    def make_rows(self) -> Sequence[ContextRow]:
        """One row per context."""
        return self.sources.builder.contexts(self.sources.state)

    def _sessions(self, row: ContextRow) -> Cell:
        """How many; `...` while its host has not told yet."""
        host = self.sources.state.hosts.get(row.host)
        if not row.sessions and host is not None and "tmux" not in host.told and host.error is None:
            return (("...", "dim"),)
        return cells.number(row.sessions or None)

    def look(self, row: ContextRow) -> Look:
        """The one that was used last stands out by its `*`."""
        return Look()

    def given(self, action: Action) -> Mapping[str, Any]:
        """What a form is filled with: the workspace of the context."""
        row: ContextRow | None = self.table.row
        name = self._workspace(row)
        if row is None or not name or action.name not in ("workspace-run", "workspace-build"):
            return {}
        if action.name == "workspace-build":
            return {"name": name, "host": (row.host,)}
        return {"name": name, "host": row.host, "context": row.name}

    def _workspace(self, row: ContextRow | None) -> str:
        """The workspace that a context is of; empty for others."""
        from backend.workspaces.services import WORKSPACE_LABEL

        config = self.app.config  # type: ignore[attr-defined]
        found = next((each for each in config.contexts if row is not None and each.name == row.name), None)
        return found.options.labels.get(WORKSPACE_LABEL, "") if found is not None else ""

    def action_workspace(self, name: str) -> None:
        """Run the workspace of this context, or build its image."""
        from tui.desk import Wanted
        from tui.doing import declared

        given = self.given(declared()[name])
        if given:
            self.post_message(Wanted(name, [], given))
        else:
            self.notify("This context is of no workspace.", markup=False, timeout=4)

    def containers_filter(self, row: ContextRow) -> str:
        """Its own."""
        return f"name:{quote(row.container)}"

    def take_keys(self, bindings: Iterable[Binding]) -> None:
        """What is new here is a context."""
        super().take_keys((*bindings, Binding("n", "screen.do('context-new')", "new", id="context-new")))

    def has_containers(self) -> bool:
        """Whether one of them was started."""
        return any(row.container_id for row in self.targets())

    def action_logs(self) -> None:
        """The logs of the contexts' containers."""
        ids = {(row.host, row.container_id) for row in self.table.targets()}
        self.show_logs(lambda row: (row.host, row.id) in ids)


def _name(row: ContextRow) -> Cell:
    return ((printable(row.name), "accent" if row.last else ""), *(((" *", "accent"),) if row.last else ()))


def _state(row: ContextRow) -> Cell:
    return ((row.state, _STATES.get(row.state, "")),)


def _ports(row: ContextRow) -> str:
    """`8888`, or `8080→80`, with the address where others can reach it."""
    short = [port.removeprefix("127.0.0.1:").removesuffix("/tcp") for port in row.ports]
    halves = [port.split(":") for port in short]
    return " ".join(h[0] if len(set(h)) == 1 else ":".join(h[:-1]) + "→" + h[-1] for h in halves)
