"""What every list view is: a table in a frame that says what is shown, and what is taught where nothing is.

A view is one file: its columns, what makes one row the same row, what a row looks like, and where its rows
come from. Everything else is here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import msgspec
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from backend.model import ContainerRow, FleetState
from backend.text import printable
from tui.canvas import Look
from tui.columns import Column
from tui.filter import Field, FilterError, Test, compile_filter
from tui.table import FleetTable, column_text
from tui.views import LISTED
from tui.views.frame import Shown, titles
from tui.views.sources import SettingChanged, Sources

if TYPE_CHECKING:
    from backend.actions import Action


def _words_of(kind: type) -> Callable[[Any], Any]:
    """A row's fields that are not mere numbers: while they are the same, so is its text."""
    if not issubclass(kind, msgspec.Struct):
        return id
    names = [f.name for f in msgspec.structs.fields(kind) if not _is_number(f.type)]
    return attrgetter(*names)


def _is_number(kind: Any) -> bool:
    return set(get_args(kind) or (kind,)) <= {int, float, type(None)}


_NO_LOGS = "there is no container"


class ListView(Vertical):
    """A list of one kind of things, over all hosts or some of them."""

    NAME: ClassVar[str] = ""
    """In settings.yaml, as widget id, and in `:NAME`; with the next three as listed in `tui.views`."""
    TITLE: ClassVar[str] = ""
    NUMBER: ClassVar[int] = 0
    ALIASES: ClassVar[tuple[str, ...]] = ()
    NOTE_AFTER: ClassVar[str] = ""
    """Key of the column after which `look().note` is written."""
    EMPTY: ClassVar[tuple[str, str]] = ("", "")
    """What this view shows, and what fills it."""
    ROW: ClassVar[type | None] = None
    """Type of its rows: whose actions its keys are."""
    KEY: ClassVar[attrgetter[Any]] = attrgetter("host", "name")
    """What makes it the same row after every value has changed. Asked ten thousand times per refresh."""
    RANKED_BY: ClassVar[attrgetter[Any] | None] = None
    """All that `rank` looks at, where there may be many rows."""
    BINDINGS: ClassVar[list[BindingType]] = []

    def __init_subclass__(cls, **options: Any) -> None:
        for listed in LISTED:
            if listed.kind == cls.__name__:
                cls.NAME, cls.NUMBER, cls.TITLE, cls.ALIASES = (
                    listed.name,
                    listed.number,
                    listed.title,
                    listed.aliases,
                )
        super().__init_subclass__(**options)

    def __init__(self, sources: Sources) -> None:
        super().__init__(id=self.NAME, classes="view")
        self.sources = sources
        self.filter_text = ""
        """The filter that is in force; empty shows all."""
        self.hosts: frozenset[str] | None = None
        """Only rows of these hosts; None is all."""
        self.hosts_label = ""
        """What was asked for: `@h1` or `@tag`."""
        self.all_columns = tuple(self.make_columns())
        self.table: FleetTable = FleetTable(
            self.chosen_columns(),
            key=type(self).KEY,
            rank=self.rank,
            ranked_by=type(self).RANKED_BY,
            look=self.look,
            note_after=self.NOTE_AFTER,
            narrow=self.make_narrow(),
            id=f"{self.NAME}-table",
        )
        self._empty = Static(id=f"{self.NAME}-empty", classes="empty", markup=False)
        self._note = Static(id=f"{self.NAME}-note", classes="note", markup=False)
        self._told: Shown | None = None
        self._fields = self._make_fields()
        self._words: Callable[[Any], Any] | None = None
        self._searched: dict[Hashable, tuple[Any, str, Any]] = {}

    # ------------------------------------------------------------------------ what a view fills in

    def make_columns(self) -> Sequence[Column[Any]]:
        """All columns, in their default order."""
        raise NotImplementedError

    def make_narrow(self) -> Sequence[Column[Any]]:
        """The few columns of a tmux side pane."""
        return ()

    def make_rows(self) -> Sequence[Any]:
        """The current rows, of all hosts."""
        raise NotImplementedError

    def preparing(self, state: FleetState) -> Iterator[None]:
        """Work out in steps what takes long about the rows of a state that is shown next."""
        yield from ()

    def rank(self, row: Any) -> int:
        """Order of importance in the view's own order; 0 first."""
        return 0

    def look(self, row: Any) -> Look:
        """How a whole row looks."""
        return Look("dim") if row.stale else Look()

    def host_of(self, row: Any) -> str:
        """Name of the host a row belongs to."""
        name: str = row.host
        return name

    def open_row(self, row: Any) -> bool:
        """Enter on a row; False: show its details."""
        return False

    def containers_filter(self, row: Any) -> str:
        """What finds the containers of a row among those of its host."""
        return ""

    def empty(self) -> tuple[str, str]:
        """What this view shows, and what fills it, while nothing is there."""
        return self.EMPTY

    def targets(self) -> list[Any]:
        """What an action is done to: the marked rows, else the row under the cursor."""
        return self.table.targets()

    def with_targets(self, action: Action, then: Callable[[list[Any]], None]) -> None:
        """Find out what an action is done to, which may take a question, and go on with it."""
        then(self.targets())

    def given(self, action: Action) -> Mapping[str, Any]:
        """What the form of an action is filled with, by the names of its options."""
        return {}

    def why_not(self, action: str) -> str:
        """Why a key of the view's own does nothing now, briefly; empty: there is nothing to say."""
        return f"logs: {_NO_LOGS}" if action == "logs" else ""

    def shape(self) -> Any:
        """What decides which keys do something now; the footer is made again when it changes."""
        return (self.NAME, self.table.row is None, self.has_containers())

    def take_keys(self, bindings: Iterable[Binding]) -> None:
        """Bind the keys of what can be done to its rows; they come after the first frame."""
        for binding in bindings:
            for each in Binding.make_bindings([binding]):
                self._bindings.key_to_bindings.setdefault(each.key, []).append(each)

    def has_containers(self) -> bool:
        """Whether what `targets` gives has containers, where the view has a key for their logs."""
        return False

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Logs are offered where there is a container."""
        return self.has_containers() if action == "logs" else True

    def show_logs(self, of: Callable[[ContainerRow], bool]) -> None:
        """Show the logs of these containers, of all that are known."""
        from tui.desk import Wanted

        rows = [row for row in self.sources.builder.containers(self.sources.state) if of(row)]
        if rows:
            self.post_message(Wanted("logs", rows))
        else:
            self.app.notify(f"logs: {_NO_LOGS}", markup=False, timeout=4)

    def extra_fields(self) -> dict[str, Field]:
        """What else a filter can ask of a row, beside its columns."""
        return {}

    # -------------------------------------------------------------------------------- what is shown

    def compose(self) -> ComposeResult:
        """The table, what is said in its place, and what narrows it where there is no frame to say so."""
        yield self.table
        yield self._empty
        yield self._note

    def on_mount(self) -> None:
        """Show what is known, in the order that was chosen last."""
        self.table.can_focus = True
        self._apply_sort(self.sources.sort.get(self.NAME, ""))
        self.show_rows()

    def on_descendant_focus(self) -> None:
        """The frame shows that keys come here."""
        self.remove_class("-away")

    def on_descendant_blur(self) -> None:
        """The frame shows that keys go elsewhere; nobody sees that of a view that was left."""
        self.set_class(self.display, "-away")

    def show_rows(self) -> None:
        """Take the rows of the current state."""
        rows = self.make_rows()
        if self.hosts is not None:
            hosts = self.hosts
            rows = [row for row in rows if self.host_of(row) in hosts]
        self.table.set_rows(rows)
        self._frame()

    def chosen_columns(self) -> list[Column[Any]]:
        """The columns of the settings, or the default ones. Names that are none are passed over."""
        by_key = {column.key: column for column in self.all_columns}
        chosen = [by_key[key] for key in self.sources.columns.get(self.NAME, ()) if key in by_key]
        return chosen or [column for column in self.all_columns if not column.optional]

    def column(self, name: str) -> Column[Any] | None:
        """The column of that key or heading."""
        name = name.lower()
        return next((c for c in self.all_columns if name in (c.key, c.title.lower())), None)

    def choose_columns(self, names: Sequence[str]) -> None:
        """Show these columns from now on; none: the default ones."""
        default = [column.key for column in self.all_columns if not column.optional]
        self._remember("columns", tuple(names) if names and list(names) != default else None)
        self.table.set_columns(self.chosen_columns())

    def _remember(self, setting: Literal["columns", "sort"], value: Any) -> None:
        """Keep a choice; None: back to the default."""
        current: dict[str, Any] = getattr(self.sources, setting)
        if current.get(self.NAME) != value:
            current[self.NAME] = value
            if value is None:
                del current[self.NAME]
            self.app.post_message(SettingChanged(setting, dict(current)))

    def _apply_sort(self, spec: str) -> None:
        column = self.column(spec.removeprefix("-")) if spec else None
        if column is not None:
            self.table.sort_by(column, spec.startswith("-"))

    # ------------------------------------------------------------------------------------- narrowing

    def compile(self, text: str) -> Test | None:
        """The test of a filter; `FilterError` if it cannot be understood."""
        return compile_filter(text, self._fields, self.search_text)

    def set_filter(self, text: str) -> None:
        """Show only rows that pass. `FilterError` leaves everything as it is."""
        test = self.compile(text)
        self.filter_text = text.strip()
        self.table.set_filter(test)
        self._frame()

    def set_hosts(self, hosts: frozenset[str] | None, label: str = "") -> None:
        """Show only rows of these hosts."""
        self.hosts, self.hosts_label = hosts, label
        self.show_rows()
        self.table.tell(FleetTable.Changed(self.table))

    def search_text(self, row: Any) -> str:
        """All text columns of a row in lower case; kept for as long as the row is the same object."""
        key = type(self).KEY(row)
        known = self._searched.get(key)
        if known is not None and known[0] is row:
            return known[1]
        if self._words is None:
            self._words = _words_of(type(row))
        told = self._words(row)
        if known is not None and known[2] == told:
            self._searched[key] = (row, known[1], told)
            return known[1]
        if len(self._searched) > 4 * self.table.total + 1000:
            self._searched.clear()
        text = "\n".join([c.text(row) for c in self.all_columns if c.text is not None]).lower()
        self._searched[key] = (row, text, told)
        return text

    def forget_values(self) -> None:
        """What a column tells from elsewhere than its rows is another now."""
        self._searched.clear()
        self.table.forget_values()

    async def warm_search(self) -> None:
        """Read the text of all rows before the filter needs it, in steps that no key has to wait for."""
        for place, row in enumerate(self.make_rows()):
            self.search_text(row)
            if place % 200 == 199:
                await asyncio.sleep(0)

    def _make_fields(self) -> dict[str, Field]:
        fields = {
            column.key.replace("-", "_"): Field(lambda row, c=column: column_text(c, row), column.sort)  # type: ignore[misc]
            for column in self.all_columns
        }
        return {**self.extra_fields(), **fields}

    # -------------------------------------------------------------------------------------- the frame

    def _frame(self) -> None:
        """Say in the frame what is shown, and teach where nothing is."""
        table = self.table
        shown = Shown(
            self.TITLE, len(table.rows), table.total, self.hosts_label, self.filter_text, len(table.marks)
        )
        if shown != self._told:  # each title repaints the frame
            self._told = shown
            self.border_title, self.border_subtitle, note = titles(shown)
            self._note.update(note)
            self.set_class(bool(note), "-narrowed")
        self.set_class(not shown.rows, "-empty")
        if not shown.rows:
            self._empty.update(self._teach(shown.total))

    def _teach(self, total: int) -> Content:
        if total or self.hosts_label:
            what = self.filter_text or self.hosts_label
            return Content.assemble(
                (f"Nothing here for {printable(what, 60)}\n\n", "bold"),
                ("esc shows everything again", "$text-muted"),
            )
        shows, fills = self.empty()
        return Content.assemble((shows + "\n\n", "bold"), (fills, "$text-muted"))

    def on_fleet_table_changed(self, event: FleetTable.Changed) -> None:
        """The frame says how many rows and marks there are; the order is kept for next time."""
        self._frame()
        if event.sorted:
            sign = "-" if self.table.sort_reverse else ""
            self._remember("sort", sign + self.table.sort_key if self.table.sort_key else None)


__all__ = ["Field", "FilterError", "ListView", "Look", "SettingChanged", "Sources"]
