"""What a sync would do with each host, file by file; doing it; how it went."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content

from backend.errors import BerthError
from backend.sync.model import Choice, Plan
from backend.text import printable, size
from tui.columns import Column
from tui.page import FilteredPage
from tui.sync import columns
from tui.sync.questions import agree
from tui.sync.state import HostLine, Syncing
from tui.table import FleetTable

if TYPE_CHECKING:
    from backend.sync.engine import Wish

_EVERY = 0.2
"""Seconds between two looks at how far it is."""
Change = Callable[["SyncScreen"], None]


class SyncScreen(FilteredPage):
    """A preview, then a transfer, then its results."""

    FRONT = "sync"
    HINT = "words, kind:new, size:>1M"
    BINDING_GROUP_TITLE = "Sync"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "back", id="sync-back"),
        Binding("s", "start", "start", id="sync-start"),
        Binding("w", "watch", "watch", id="sync-watch"),
        Binding("p", "profile", "profile", id="sync-choose"),
        Binding("D", "delete", "with deletions", id="sync-delete"),
        Binding("r", "again", "look again", id="sync-again"),
        Binding("slash", "filter", "filter", id="sync-filter"),
        Binding("m", "choose('mine')", "keep mine", id="sync-mine"),
        Binding("t", "choose('theirs')", "keep theirs", id="sync-theirs"),
        Binding("u", "choose('skip')", "keep both", id="sync-skip"),
        Binding("ctrl+k", "cancel", "cancel", id="sync-cancel"),
        Binding("tab", "other", "hosts / files", show=False, id="sync-other", priority=True),
    ]

    def __init__(
        self, syncing: Syncing, make: Callable[[str, str, bool | None], Syncing], profiles: Sequence[Any]
    ) -> None:
        """`make` gives another one: by verb, profile, and whether to delete."""
        super().__init__()
        self.syncing = syncing
        self._make = make
        self._profiles = list(profiles)
        self._drawn = -1
        self._host = ""
        self._watched = False

    def compose(self) -> ComposeResult:
        """Hosts, the files of the chosen one, what is looked for, how it stands, and the keys."""
        yield FleetTable(
            columns.hosts(),
            key=attrgetter("host"),
            look=columns.look_host,
            narrow=columns.hosts_narrow(),
            id="sync-hosts",
        )
        yield FleetTable(
            columns.files(),
            key=attrgetter("key"),
            look=columns.look,
            narrow=columns.files_narrow(),
            id="sync-files",
        )
        yield from self.foot()

    @property
    def hosts(self) -> FleetTable:
        """The table of hosts."""
        return self.query_one("#sync-hosts", FleetTable)

    @property
    def files(self) -> FleetTable:
        """The table of changes."""
        return self.query_one("#sync-files", FleetTable)

    @property
    def filtered(self) -> FleetTable:
        """The changes."""
        return self.files

    def searched(self) -> tuple[Sequence[Column[Any]], Callable[[Any], str]]:
        """All columns, and paths."""
        return columns.files(), columns.search

    def on_mount(self) -> None:
        """Look at the hosts at once, or at what is watched already."""
        self.hosts.focus()
        if self.syncing.phase != "watching":
            self.syncing.look()
        self._update()
        self.set_interval(_EVERY, self._update)

    # -------------------------------------------------------------------------------------- showing

    def _update(self) -> None:
        if self.syncing.changed == self._drawn:
            return
        over = self._watched and self.syncing.phase == "done" and not self.syncing.failed
        self._watched = self.syncing.phase == "watching"
        if over:  # what would be done now that nobody does it by itself
            self.syncing.look()
        self._drawn = self.syncing.changed
        self.hosts.set_rows(self.syncing.lines())
        self._show_files()
        self.stand()
        self.refresh_bindings()

    def _show_files(self) -> None:
        row: HostLine | None = self.hosts.row
        self._host = row.host if row is not None else ""
        self.files.set_rows(self.syncing.files(self._host) if self._host else [])

    def stand(self) -> None:
        """What it is, how far it is, what went wrong."""
        syncing = self.syncing
        lines = syncing.lines()
        verb, name = syncing.wish.options.verb, syncing.wish.profile.name
        words = [f"{verb} {name}", syncing.phase]
        done, total = (sum(getattr(each, what) for each in lines) for what in ("done", "total"))
        if syncing.phase == "running" and total:
            words.append(f"{size(done)} of {size(total)} ({done * 100 // total} %)")
        if syncing.phase == "watching":
            words.append("what changes here goes over, also when you leave this page")
        if syncing.phase == "done":
            if syncing.declined:
                words.append("cancelled: the deletions were not confirmed")
            good = sum(each.phase == "done" for each in lines)
            words.append(f"{good} of {len(lines)} hosts done")
            words += [
                f"undo: berth sync undo {each.result.run}"
                for each in lines
                if each.result and each.result.run
            ]
        if syncing.failed:
            words.append(syncing.failed)
        if self.files.total != len(self.files.rows):
            words.append(f"{len(self.files.rows):,} of {self.files.total:,} shown")
        bad = syncing.failed or any(each.phase == "failed" for each in lines)
        went_well = syncing.phase == "done" and not syncing.declined
        style = "$text-error" if bad else "$text-success" if went_well else "$text-muted"
        self.say(" · ".join(words), style)

    def on_fleet_table_moved(self, event: FleetTable.Moved) -> None:
        """Another host: its files."""
        event.stop()
        row = self.hosts.row
        if event.table is self.hosts and row is not None and row.host != self._host:
            self._show_files()
        self.refresh_bindings()

    def on_fleet_table_opened(self, event: FleetTable.Opened) -> None:
        """Enter on a host: to its files."""
        event.stop()
        if event.table is self.hosts:
            self.files.focus()

    # ------------------------------------------------------------------------------------------- doing

    def action_start(self) -> None:
        """Do what is shown; deletions are asked about."""
        task = self.syncing.start(self._agree)
        task.add_done_callback(lambda _: self._ended(self.syncing))
        self._update()

    async def _agree(self, plans: Sequence[Plan], wish: Wish) -> bool:
        doing = self.berth.doing
        return doing is not None and await agree(doing, plans, wish)

    def action_watch(self) -> None:
        """Go on: what changes here goes over, also while another page is shown."""
        from tui.sync.watching import begin

        begin(self.berth, self.syncing)
        self._update()

    def _ended(self, syncing: Syncing) -> None:
        """Say so where the screen was left meanwhile: it says so itself."""
        if self.is_current and self.syncing is syncing:
            return
        lines = syncing.lines()
        good = sum(each.phase == "done" for each in lines)
        bad = [f"{each.host}: {each.error}" for each in lines if each.phase == "failed"]
        off = ["cancelled: the deletions were not confirmed"] if syncing.declined else []
        text = "\n".join([f"{good} of {len(lines)} hosts done", *off, *bad[:3]])
        title = f"{syncing.wish.options.verb} {syncing.wish.profile.name}"
        self.berth.notify(
            printable(text, 600), title=title, severity="error" if bad else "information", markup=False
        )

    def action_cancel(self) -> None:
        """End it; what has arrived stays, nothing is half there."""
        self.syncing.cancel()
        self.notify("Cancelling", markup=False, timeout=3)

    def action_again(self) -> None:
        """Look at both sides again."""
        self.syncing.look()
        self._update()

    def action_delete(self) -> None:
        """With deletions, or without."""
        options = self.syncing.wish.options
        self._replace(options.verb, self.syncing.wish.profile.name, None if options.delete else True)

    def action_profile(self) -> None:
        """Choose what is synced."""
        from tui.dialogs import Choose

        options = []
        for verb, profile in self._profiles:
            about = profile.comment or f"{len(profile.rules)} rules"
            text = Content.assemble(
                (f"{verb:<5}", "$text-accent"),
                f"{printable(profile.name, 40):<20} ",
                (printable(about, 80), "$text-muted"),
            )
            options.append((f"{verb} {profile.name}", text))
        now = f"{self.syncing.wish.options.verb} {self.syncing.wish.profile.name}"

        def chosen(key: Any) -> None:
            if key is not None:
                verb, _, name = key.partition(" ")
                self._replace(verb, name, self.syncing.wish.options.delete)

        self.app.push_screen(Choose("Sync", options, selected=now), chosen)

    def _replace(self, verb: str, profile: str, delete: bool | None) -> None:
        try:
            fresh = self._make(verb, profile, delete)
        except BerthError as error:
            self.berth.report(error)
            return
        self.app.run_worker(self.syncing.close(), group="sync-close", exit_on_error=False)
        fresh.changed = self.syncing.changed + 1
        self.syncing = fresh
        fresh.look()
        self._update()

    def action_choose(self, choice: Choice) -> None:
        """Which of the two stays, for the marked conflicts or the one under the cursor."""
        rows = [row for row in self.files.targets() if row.change.choices]
        for row in rows:
            self.syncing.choices[row.key] = choice
        if rows:
            self.files.clear_marks()
            self.syncing.look()
            self._update()

    # -------------------------------------------------------------------------------------------- keys

    def action_other(self) -> None:
        """From hosts to files and back."""
        (self.files if self.hosts.has_focus else self.hosts).focus()

    def action_leave(self) -> None:
        """Back; first out of the filter. What runs goes on."""
        if self.filtering:
            self.drop_filter()
            return
        if self.syncing.phase == "watching":
            from tui.sync.watching import leave

            leave(self.berth, self.syncing)
        elif self.syncing.phase != "running" or not self.syncing.busy:
            self.app.run_worker(self.syncing.close(), group="sync-close", exit_on_error=False)
        self.dismiss(None)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys are offered where they do something."""
        running = self.syncing.phase in ("running", "watching")
        if action == "start":
            plans = [each.plan for each in self.syncing.lines() if each.plan]
            return self.syncing.phase == "ready" and any(
                plan.of("new", "changed", "deleted") for plan in plans
            )
        if action == "watch":
            return not running and self.syncing.can_watch
        if action == "cancel":
            return self.syncing.busy
        if action in ("profile", "delete", "again"):
            return not running and not (self.syncing.folders and action != "again")
        if action == "choose":
            return not running and any(row.change.choices for row in self.files.targets())
        return True
