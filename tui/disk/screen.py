"""The disks of a host: how full, what the engine holds, a tree to walk; and what can be had back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from pathlib import PurePosixPath
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Static

from backend.model import HostState
from backend.text import printable
from tui.columns import Column
from tui.disk import columns, doing
from tui.disk.said import first_holding, itself, state_of
from tui.disk.state import DiskLine, Looking, TreeLine
from tui.page import FilteredPage
from tui.table import FleetTable

_EVERY = 0.2
"""Seconds between two looks at whether anything changed."""
_ORDERS = ("", "name", "files", "owner", "newest")
"""Columns of the tree in the order of the key `o`; the first is by size."""


class DiskScreen(FilteredPage):
    """One host's disks."""

    FRONT = "disk"
    HINT = "words, size:>1G, owner:alice"
    BINDING_GROUP_TITLE = "Disk"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "back", id="disk-back"),
        Binding("backspace,minus", "up", "up", id="disk-up", priority=True),
        Binding("ctrl+d", "remove", "remove", id="disk-remove-marked"),
        Binding("P", "prune", "prune", id="disk-prune-some"),
        Binding("w", "owners", "whose", id="disk-owners"),
        Binding("n", "tell", "tell users", id="disk-tell"),
        Binding("o", "order", "order", id="disk-order"),
        Binding("plus", "more", "read on", id="disk-more"),
        Binding("r", "again", "read again", id="disk-again"),
        Binding("S", "root", "as root", id="disk-root"),
        Binding("H", "host", "host", id="disk-hosts"),
        Binding("slash", "filter", "filter", id="disk-filter"),
        Binding("ctrl+k", "cancel", "stop reading", id="disk-cancel"),
        Binding("tab", "other", "disks / tree", show=False, id="disk-other", priority=True),
    ]

    def __init__(self, host: str = "") -> None:
        """`host`: empty is that of the row under the cursor, else the first that is up."""
        super().__init__()
        self._host = host
        self.looking: Looking | None = None
        self._drawn = -1
        self._came_from = ""

    def compose(self) -> ComposeResult:
        """File systems and engine, the folder, what is looked for, how it stands, and the keys."""
        yield FleetTable(
            columns.disks(),
            key=attrgetter("key"),
            look=columns.look_disk,
            narrow=columns.disks_narrow(),
            id="disk-disks",
        )
        yield Static("", id="disk-path", markup=False)
        yield FleetTable(
            columns.tree(),
            key=attrgetter("key"),
            look=columns.look,
            narrow=columns.tree_narrow(),
            id="disk-tree",
        )
        yield from self.foot()

    @property
    def disks(self) -> FleetTable:
        """File systems, and what the engine holds."""
        return self.query_one("#disk-disks", FleetTable)

    @property
    def entries(self) -> FleetTable:
        """What is in the folder."""
        return self.query_one("#disk-tree", FleetTable)

    @property
    def filtered(self) -> FleetTable:
        """The folder."""
        return self.entries

    def searched(self) -> tuple[Sequence[Column[Any]], Callable[[Any], str]]:
        """All columns, and names."""
        return columns.tree(), columns.search

    def on_mount(self) -> None:
        """Look at the host at once."""
        self.entries.focus()
        host = self._host or self._usual_host()
        if self.berth.access is None or not host:
            self.notify("No host is connected.", markup=False, timeout=4)
            self.dismiss(None)
            return
        self._open(host)
        self.set_interval(_EVERY, self._update)

    def _usual_host(self) -> str:
        desk = self.berth.desk
        row = desk.table.row
        if row is not None and (name := desk.view.host_of(row)):
            return name
        hosts = self.berth.sources.state.hosts.values()
        return next((each.name for each in hosts if each.state is HostState.UP), "")

    def _open(self, host: str) -> None:
        if self.looking is not None:
            self.app.run_worker(self.looking.close(), group="disk-close", exit_on_error=False)
        access = self.berth.access
        assert access is not None
        self.looking = Looking(self.berth.config, access, host)
        self.looking.start()
        self._drawn = -1
        self._update()

    # -------------------------------------------------------------------------------------- showing

    def _update(self) -> None:
        looking = self.looking
        if looking is None or looking.changed == self._drawn:
            return
        self._drawn = looking.changed
        self.disks.set_rows(looking.top())
        self.entries.set_rows(looking.rows())
        if self._came_from and self.entries.select(self._came_from):
            self._came_from = ""
        self.stand()
        self.refresh_bindings()

    def stand(self) -> None:
        """Which folder it is, and how far its reading came."""
        looking = self.looking
        if looking is None:
            return
        head = [f"{looking.host}:{printable(looking.path, 300)}"]
        if looking.sudo:
            head.append("as root")
        if looking.by_owner:
            head.append("by owner")
        if looking.listing is not None:
            head.append(itself(looking))
        self.query_one("#disk-path", Static).update(Content.styled(" " + "  ".join(head), "$text-accent"))
        said, style = state_of(looking)
        if self.entries.total != len(self.entries.rows):
            said.append(f"{len(self.entries.rows):,} of {self.entries.total:,} shown")
        self.say(" · ".join(said), style)

    def on_fleet_table_moved(self, event: FleetTable.Moved) -> None:
        """Another row: other keys."""
        event.stop()
        self.refresh_bindings()

    def on_fleet_table_opened(self, event: FleetTable.Opened) -> None:
        """Enter: into the folder, or to the file system's."""
        event.stop()
        looking = self.looking
        if looking is None:
            return
        if event.table is self.disks:
            line: DiskLine = event.row
            if line.disk is not None:
                looking.walk(line.disk.mount)
                self.entries.focus()
            elif not doing.refused(self, looking.host):
                doing.prune(self, looking, line.sum.kind if line.sum else "")
            return
        self._into(looking, event.row)

    def _into(self, looking: Looking, row: TreeLine) -> None:
        if row.kind == "owner":
            looking.by_owner = False
            path = row.note.rpartition(" ")[0] and first_holding(looking, row.key)
            if path:
                looking.walk(path)
        elif row.kind in ("folder", "mount"):
            self.drop_filter()
            self.entries.clear_marks()
            looking.walk(looking.whole_path(row))
        elif row.kind == "rest":
            looking.unfolded = True
        looking.changed += 1

    def action_filter(self) -> None:
        """Type which rows to show; what holds nothing can be found too."""
        if self.looking is not None:
            self.looking.unfolded = True
            self.looking.changed += 1
        super().action_filter()

    # ------------------------------------------------------------------------------------------- keys

    def action_up(self) -> None:
        """To the folder above, on the one that was left."""
        looking = self.looking
        if self.field.has_focus:
            return
        if looking is not None and looking.path != "/":
            self.drop_filter()
            self.entries.clear_marks()
            self._came_from = PurePosixPath(looking.path).name
            looking.walk(str(PurePosixPath(looking.path).parent))

    def action_owners(self) -> None:
        """Who holds how much of the folder, or what is in it."""
        if self.looking is not None:
            self.looking.by_owner = not self.looking.by_owner
            self.entries.clear_marks()
            self.looking.walk(self.looking.path)

    def action_order(self) -> None:
        """By size, name, files, owner, newest."""
        now = self.entries.sort_key if self.entries.sort_key in _ORDERS else ""
        name = _ORDERS[(_ORDERS.index(now) + 1) % len(_ORDERS)]
        column = next((each for each in self.entries.columns if each.key == name), None)
        self.entries.sort_by(column, name in ("files", "newest"))

    def action_more(self) -> None:
        """Read on in this folder, for as long again."""
        if self.looking is not None:
            self.looking.walk(self.looking.path, more=True)

    def action_again(self) -> None:
        """Read everything again, and let the engine count."""
        if self.looking is not None:
            self.looking.disks_again()
            self.looking.count()
            self.looking.walk(self.looking.path, fresh=True)

    def action_root(self) -> None:
        """Read as root there, or not any more."""
        if self.looking is not None:
            self.looking.sudo = not self.looking.sudo
            self.looking.walk(self.looking.path)

    def action_cancel(self) -> None:
        """Read no further."""
        if self.looking is not None:
            self.looking.cancel()

    def action_remove(self) -> None:
        """Remove the marked ones, or the one under the cursor; asked about with what goes."""
        if self.looking is not None:
            doing.remove(self, self.looking, self.entries.targets())

    def action_prune(self) -> None:
        """Choose what of the engine's is pruned."""
        if self.looking is not None:
            doing.prune(self, self.looking)

    def action_tell(self) -> None:
        """Tell users what they hold below this folder."""
        if self.looking is not None:
            rows = self.entries.targets() if self.looking.by_owner else []
            doing.notify(self, self.looking, [row.owner for row in rows])

    def action_host(self) -> None:
        """Choose another host."""
        from tui.dialogs import Choose

        hosts = self.berth.sources.state.hosts.values()
        options = [
            (each.name, Content(printable(each.name, 60))) for each in hosts if each.state is HostState.UP
        ]

        def chosen(name: Any) -> None:
            if name is not None:
                self._open(name)

        now = self.looking.host if self.looking is not None else ""
        self.app.push_screen(Choose("Disks of", options, selected=now), chosen)

    def action_other(self) -> None:
        """From the disks to the tree and back."""
        (self.entries if self.disks.has_focus else self.disks).focus()

    def action_leave(self) -> None:
        """Back; first out of marks and the filter. Nothing of ours stays on the host."""
        if self.filtering:
            self.drop_filter()
        elif self.entries.marks:
            self.entries.clear_marks()
        else:
            self.dismiss(None)

    def on_unmount(self) -> None:
        """End what was begun."""
        if self.looking is not None:
            self.app.run_worker(self.looking.close(), group="disk-close", exit_on_error=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys are offered where they do something."""
        looking = self.looking
        if looking is None or not self.is_mounted:
            return action == "leave"
        if action in ("remove", "prune", "tell") and doing.refused(self, looking.host, quiet=True):
            return False
        if action == "remove":
            return not looking.by_owner and any(doing.removable(row) for row in self.entries.targets())
        if action == "up":
            return looking.path != "/"
        if action == "cancel":
            return looking.running
        if action == "more":
            return looking.listing is not None and looking.listing.itself.sampled and not looking.running
        return True
