"""Folders of hosts that are mounted here: how they are, and their end."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any, ClassVar

from textual.binding import Binding, BindingType

from backend.mounts import records
from backend.mounts.model import STALE
from backend.mounts.show import complaints
from tui.listpage import ListPage
from tui.mounts import columns
from tui.table import FleetTable

_EMPTY = "nothing is mounted: m on a host or context mounts a folder of it"


class MountScreen(ListPage):
    """All mounts of berth's, whoever made them."""

    BINDING_GROUP_TITLE = "Mounts"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("u", "unmount", "unmount", id="mounts-unmount"),
        Binding("S", "stale", "unmount all stale", id="mounts-stale"),
    ]

    def make_table(self) -> FleetTable:
        """One line per mount."""
        return FleetTable(
            columns.columns(),
            key=attrgetter("id"),
            look=columns.look,
            narrow=columns.narrow(),
            id="mounts-table",
        )

    async def find(self) -> tuple[Sequence[Any], str, bool]:
        """Ask every mount how it is."""
        found = await records.rows()
        wrong = complaints(found)
        return found, wrong[0] if wrong else f"{len(found)} mounted" if found else _EMPTY, bool(wrong)

    def text_of(self, row: Any) -> str:
        """Its folder."""
        return str(row.folder)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys are offered where they do something."""
        if action == "unmount":
            return bool(self.shown)
        if action == "stale":
            return any(row.state in STALE for row in self.shown)
        return super().check_action(action, parameters)

    def action_unmount(self) -> None:
        """End the marked ones, or the one under the cursor."""
        if rows := self.table.targets():
            self.table.clear_marks()
            self.begin("umount", {"what": tuple(row.id for row in rows)})

    def action_stale(self) -> None:
        """End all that do not answer."""
        self.begin("umount", {"stale": True})
