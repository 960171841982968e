"""What keeps ownership right on hosts: what it has done, and its end."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any, ClassVar

from textual.binding import Binding, BindingType

from backend.ownership.show import asked, everywhere
from tui.listpage import ListPage
from tui.ownership import columns
from tui.table import FleetTable

_EMPTY = "nothing is watched: W on a host keeps the ownership of its shared folders right"


class OwnershipScreen(ListPage):
    """All watches over ownership, on all hosts."""

    EVERY: ClassVar[float] = 10.0
    BINDING_GROUP_TITLE = "Ownership"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+k", "end", "stop", id="ownership-end"),
    ]

    def make_table(self) -> FleetTable:
        """One line per watch."""
        return FleetTable(
            columns.columns(),
            key=attrgetter("host", "id"),
            look=columns.look,
            narrow=columns.narrow(),
            id="ownership-table",
        )

    async def find(self) -> tuple[Sequence[Any], str, bool]:
        """Ask every host."""
        access = self.berth.access
        if access is None:
            return [], "not connected yet", False
        found, wrong = await everywhere(access, asked(self.berth.config, ()))
        words = str(wrong[0]) if wrong else f"{len(found)} watched" if found else _EMPTY
        return found, words, bool(wrong)

    def text_of(self, row: Any) -> str:
        """Its folders."""
        return "\n".join(row.folders)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys are offered where they do something."""
        if action == "end":
            return bool(self.shown) and not self.berth.desk.read_only
        return super().check_action(action, parameters)

    def action_end(self) -> None:
        """End the marked ones, or the one under the cursor; what was set right stays so."""
        rows = self.table.targets()
        self.table.clear_marks()
        for row in rows:
            self.begin("ownership-stop", {"host": row.host, "what": (row.id,)})
