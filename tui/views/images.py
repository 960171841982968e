"""Images (6): those of all hosts in one table, or the stack as a tree with its state on each host."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType
from textual.timer import Timer

from backend.imagelines import NAMELESS, ImageLine, Lines
from backend.imagenames import whole
from backend.model import EngineState, FleetState, HostSnapshot, HostState, ImageRow
from backend.text import printable
from tui import cells
from tui.canvas import Look
from tui.columns import Cell, Column
from tui.desk import Wanted
from tui.filter import Field
from tui.table import FleetTable
from tui.views.base import ListView
from tui.views.imagebook import Book
from tui.views.imagecells import by_host, hosts, name, state, state_text, users
from tui.views.make import figures, words

if TYPE_CHECKING:
    from backend.actions import Action
    from tui.app import BerthApp

REST = 0.4
"""Seconds that the cursor has to rest on an image before its host is asked for its layers."""
_ANY_PLACE = ("image-copy", "image-push")
"""Changes somewhere else: it is the same from whichever host it is done."""


class ImagesView(ListView):
    """All images, each once with the hosts that have it."""

    ROW = ImageRow
    KEY = attrgetter("name", "id")
    EMPTY: ClassVar[tuple[str, str]] = (
        "The images of all hosts: which host has what, how large and how old it is, who uses it.",
        "No host has one yet: p pulls one; in a shell: berth image pull NAME --host HOST",
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("b", "build", "build", id="build-image"),
        Binding("t", "tree", "tree", id="image-tree"),
        Binding("B", "builds", "builds", id="image-builds"),
        Binding("u", "build_and_start", "Build, and start the context", show=False, id="build-and-start"),
        Binding("p", "screen.do('image-pull')", "pull", id="pull-image"),
        Binding("P", "screen.do('images-prune')", "prune", id="prune-images"),
        Binding("w", "run", "Run the workspace", show=False, id="image-run"),
        Binding("N", "screen.do('images-new')", "New recipe", show=False, id="new-recipe"),
        Binding("M", "request", "Open a pull request of the recipe's branch", show=False, id="image-request"),
    ]

    def __init__(self, *args: Any) -> None:
        self._as_tree = False
        self._lines = Lines()
        self._watched: Any = None
        self._resting: Timer | None = None
        super().__init__(*args)
        self._book = Book(self)

    # ------------------------------------------------------------------------------------- columns

    def make_columns(self) -> Sequence[Column[Any]]:
        """All columns."""
        return (
            words("image", "IMAGE", 26, lambda r: r.name, cell=name, grow=4),
            words("id", "ID", 12, lambda r: r.id[:12], cell=_id, priority=6),
            figures("size", "SIZE", 7, _size, lambda r: r.size, priority=2),
            figures("created", "CREATED", 8, _age, lambda r: r.created_at, priority=3),
            words("hosts", "HOSTS", 16, lambda r: " ".join(r.hosts), cell=hosts, grow=3),
            words("state", "STATE", 21, state_text, cell=state, grow=3, priority=1),
            words("used", "USED BY", 14, lambda r: " ".join(r.used_by), cell=users, grow=3, priority=4),
            words("recipe", "RECIPE", 12, lambda r: r.recipe, grow=1, priority=5),
            words("git", "GIT", 16, self._git, grow=2, priority=9, optional=True),
            figures(
                "places", "ON", 4, lambda r: cells.number(len(r.places) or None), lambda r: len(r.places),
                priority=9, optional=True,
            ),
            figures(
                "shared", "SHARED", 7, lambda r: cells.size(_shared(r)), _shared, priority=9, optional=True
            ),
            words("digest", "DIGEST", 20, _digest, priority=9, optional=True),
            words("where", "BY HOST", 20, lambda r: "", cell=by_host, grow=4, priority=9, optional=True),
        )  # fmt: skip

    def make_narrow(self) -> Sequence[Column[Any]]:
        """Which, how large, where."""
        return (
            words("image", "IMAGE", 14, lambda r: r.name, cell=name, grow=3),
            figures("size", "SIZE", 7, _size, lambda r: r.size),
            words(
                "hosts", "HOSTS", 7, lambda r: " ".join(r.hosts), grow=1,
                cell=lambda r: by_host(r) if r.state and r.places else hosts(r),
            ),
        )  # fmt: skip

    def _tree_columns(self) -> list[Column[Any]]:
        known = {column.key: column for column in self.all_columns}
        where = replace(known["where"], priority=0)
        return [known["image"], where, *(known[key] for key in ("state", "size", "created", "used"))]

    # ---------------------------------------------------------------------------------------- rows

    def make_rows(self) -> Sequence[ImageLine]:
        """One line per image; those of some hosts where only some are shown."""
        self._watch()
        self._book.look()
        state = self.sources.state
        rows, book = self._image_rows(state), self.sources.builder.book
        if not self._as_tree:
            return self._lines.of(rows, book)
        told = [host.name for host in state.hosts.values() if host.images is not None]
        return self._lines.tree(rows, book, [each for each in told if self._is_chosen(each)])

    def _image_rows(self, state: FleetState) -> Sequence[ImageRow]:
        builder = self.sources.builder
        rows = builder.images(state)
        if self.hosts is not None:
            return [row for row in rows if row.host in self.hosts]
        if builder.book.recipes and not any(map(_is_asked, state.hosts.values())):
            from backend.imagerows import missing_rows

            return [*rows, *missing_rows(rows, builder.book)]
        return rows

    def preparing(self, state: FleetState) -> Iterator[None]:
        """Ten thousand rows become lines."""
        yield from self._lines.making(self._image_rows(state), self.sources.builder.book)

    def _is_chosen(self, host: str) -> bool:
        return self.hosts is None or host in self.hosts

    def show_rows(self) -> None:
        """Take the rows of the current state. A tree that changed is drawn in its order, also under a cursor
        that moves: branches between other rows would lead nowhere."""
        super().show_rows()
        drawn = self._lines.drawn if self._as_tree else None
        if drawn is not self._drawn:
            self._drawn = drawn
            if drawn is not None:
                self.table.sort_by(None)

    _drawn: Any = None

    def _watch(self) -> None:
        """Hosts tell of their images from the first time on that somebody wants to see them."""
        fleet = self.berth.fleet
        if fleet is not None and fleet is not self._watched:
            self._watched = fleet
            fleet.watch_images()

    @property
    def berth(self) -> BerthApp:
        """The app, as what it is."""
        return self.app  # type: ignore[return-value]

    def on_show(self) -> None:
        """Recipes may have been written since it was shown last."""
        self._book.reread()

    def host_of(self, row: ImageLine) -> str:
        """The first that has it; with a choice of hosts only their images are rows at all."""
        return row.places[0].host if row.places else ""

    def look(self, row: ImageLine) -> Look:
        """What differs between hosts and what is stale carries a mark; what nobody can see now is grey."""
        if row.stale and row.places:
            return Look("dim")
        if row.differs or row.state == "stale":
            return Look("", "warn")
        return Look("dim") if row.name == NAMELESS or not row.places else Look()

    def rank(self, row: ImageLine) -> int:
        """As they come."""
        return 0

    def extra_fields(self) -> dict[str, Field]:
        """`used:no`, `differs:yes`, `label:team=a`, `why:base`."""
        return {
            "differs": Field(lambda r: "yes" if r.differs else "no"),
            "dangling": Field(lambda r: "yes" if r.name == NAMELESS else "no"),
            "unused": Field(lambda r: "no" if r.users else "yes"),
            "label": Field(_labels),
            "why": Field(lambda r: r.reason),
            "git": Field(self._git),
        }

    def containers_filter(self, row: ImageLine) -> str:
        """Those that were made from it."""
        return f"image:{row.name}" if row.name != NAMELESS else ""

    def empty(self) -> tuple[str, str]:
        """That there is none is only said once every host that can be reached has told."""
        waiting = sum(_is_asked(host) for host in self.sources.state.hosts.values())
        if not waiting:
            told = any(host.images is not None for host in self.sources.state.hosts.values())
            return (
                self.EMPTY if told else (self.EMPTY[0], "No engine could be asked. In a shell: berth doctor")
            )
        return self.EMPTY[0], f"... {waiting} host{'s have' if waiting > 1 else ' has'} not told yet."

    # ---------------------------------------------------------------------------------------- keys

    def action_tree(self) -> None:
        """The stack as a tree, or the list again."""
        self._as_tree = not self._as_tree
        table = self.table
        if self._as_tree:
            self._before = table.sort_key, table.sort_reverse
            table.set_columns(self._tree_columns())
        else:
            table.set_columns(self.chosen_columns())
        self.show_rows()
        key, reverse = ("", False) if self._as_tree else self._before
        table.sort_by(self.column(key) if key else None, reverse)  # also what was held back a moment ago

    _before: tuple[str, bool] = ("", False)

    def _remember(self, setting: Any, value: Any) -> None:
        """The tree has an order and columns of its own."""
        if not self._as_tree:
            super()._remember(setting, value)

    def targets(self) -> list[ImageRow]:
        """The image on each host that has it."""
        return [place for line in self.table.targets() for place in line.places]

    def with_targets(self, action: Action, then: Callable[[list[Any]], None]) -> None:
        """An image that several hosts have: ask on which of them, where that makes a difference."""
        rows = self.targets()
        if action.on is not ImageRow or len(self.table.targets()) != 1 or len(rows) < 2:
            then(rows)
        elif not action.changes or action.name in _ANY_PLACE:
            then([next((row for row in rows if not row.stale), rows[0])])
        else:
            self._choose_host(action, rows, then)

    def _choose_host(self, action: Action, rows: list[ImageRow], then: Callable[[list[Any]], None]) -> None:
        from textual.content import Content

        from tui.dialogs import Choose

        options = [(row.host, Content(printable(row.host, 60))) for row in rows]
        if action.bulk:
            options.append(("", Content(f"all {len(rows)} hosts")))

        def chosen(host: str | None) -> None:
            if host is not None:
                then([row for row in rows if host in ("", row.host)])

        self.app.push_screen(
            Choose(f"{action.title.capitalize()} where?", options, selected=rows[0].host), chosen
        )

    def given(self, action: Action) -> Mapping[str, Any]:
        """What a form is filled with: this image, and the hosts that are shown."""
        line: ImageLine | None = self.table.row
        if action.name == "image-pull":
            known = {"image": line.name} if line is not None and line.name != NAMELESS else {}
            there = line.hosts if line is not None else ()
            return {**known, "host": there or tuple(sorted(self.hosts or ()))}
        if action.name == "images-prune":
            return {"host": tuple(sorted(self.hosts or ()))}
        if action.name in ("workspace-run", "workspace-build") and line is not None and line.recipe:
            there = line.hosts or tuple(sorted(self.hosts or ()))
            host = there if action.name == "workspace-build" else "".join(there[:1])
            return {"name": line.recipe, "host": host}
        if action.name == "images-build":
            lines = self.table.targets()
            built = dict.fromkeys(host for each in lines for host in each.hosts)
            recipes = tuple(dict.fromkeys(each.recipe for each in lines if each.recipe))
            return {"names": recipes, "host": tuple(built) or tuple(sorted(self.hosts or ()))}
        return {}

    def action_run(self) -> None:
        """Run the workspace that this image is of."""
        from tui.doing import declared

        line: ImageLine | None = self.table.row
        facts = self._book.facts(line.recipe) if line is not None else None
        if facts is not None and facts.kind == "workspace":
            self.post_message(Wanted("workspace-run", [], self.given(declared()["workspace-run"])))
        else:
            self.notify("It is no workspace: u builds it and starts its context.", markup=False, timeout=4)

    def action_build(self) -> None:
        """Build the recipes of these images, with all they stand on."""
        from tui.doing import declared

        if any(line.recipe for line in self.table.targets()) or not self.table.rows:
            self.post_message(Wanted("images-build", [], self.given(declared()["images-build"])))
        else:
            self.notify("It has no recipe: N makes one.", markup=False, timeout=4)

    def action_builds(self) -> None:
        """Builds of this image's recipe, live and past; of all where it has none."""
        from tui.builds.screen import BuildScreen

        line: ImageLine | None = self.table.row
        self.app.push_screen(BuildScreen(recipe=(line.recipe if line is not None else None) or ""))

    def _git(self, row: ImageLine) -> str:
        """How the working copy of its recipe stands to the base repository."""
        facts = self._book.facts(row.recipe)
        return facts.git if facts is not None else ""

    def action_request(self) -> None:
        """The page where a pull request of the recipe's branch is opened, in the browser."""
        line: ImageLine | None = self.table.row
        facts = self._book.facts(line.recipe) if line is not None else None
        if facts is None or not facts.folder:
            self.notify("It has no recipe here.", markup=False, timeout=4)
        elif self.berth.doing is not None:
            self.berth.doing.begin("link", {"what": "request", "folder": facts.folder, "show": True})

    def action_build_and_start(self) -> None:
        """Build it where a context uses it, and start that context, or make it anew."""
        line: ImageLine | None = self.table.row
        if line is None or not line.recipe:
            self.notify("It has no recipe: nothing can be built.", markup=False, timeout=4)
            return
        contexts = [each for each in self.berth.config.contexts if whole(each.image) == line.name]
        if not contexts:
            self.notify(f"No context uses {printable(line.name, 100)}.", markup=False, timeout=4)
            return
        given = {"names": (line.recipe,), "host": (contexts[0].host,), "up": contexts[0].name}
        self.post_message(Wanted("images-build", [], given))

    # -------------------------------------------------------------------------------------- details

    def on_fleet_table_moved(self, event: FleetTable.Moved) -> None:
        """Ask for the layers of an image that the cursor rests on, where they are to be seen."""
        if self._resting is not None:
            self._resting.stop()
        self._resting = self.set_timer(REST, self._rested)

    def _rested(self) -> None:
        from tui.detail.imagefacts import wanted

        line: ImageLine | None = self.table.row
        access = self.berth.access
        pane = next(iter(self.screen.query("#detail-pane")), None)
        seen = pane is not None and pane.display and pane.size.height > 0
        if line is None or access is None or not seen or not self.display:
            return
        place = next((row for row in line.places if not row.stale), None)
        if place is not None and (fetch := wanted(place, access)) is not None:
            self.run_worker(self._fetch(fetch), group="image facts", exclusive=True, exit_on_error=False)

    async def _fetch(self, fetch: Any) -> None:
        await fetch
        self.berth.desk._show_detail()


def _id(row: ImageLine) -> Cell:
    return cells.plain(row.id[:12], "dim") if row.id else cells.EMPTY


def _size(row: ImageLine) -> Cell:
    return cells.size(row.size) if row.size is not None else cells.EMPTY


def _age(row: ImageLine) -> Cell:
    return cells.age(row.created_at) if row.created_at is not None else cells.EMPTY


def _shared(row: ImageLine) -> int | None:
    return row.places[0].shared_size if row.places else None


def _digest(row: ImageLine) -> str:
    digests = row.places[0].digests if row.places else ()
    return digests[0].partition("@")[2].removeprefix("sha256:")[:20] if digests else ""


def _labels(row: ImageLine) -> str:
    labels = row.places[0].labels if row.places else {}
    return " ".join(f"{key}={value}" for key, value in labels.items())


def _is_asked(host: HostSnapshot) -> bool:
    """Whether its images are still to come."""
    if "images" in host.told or host.error is not None:
        return False
    if host.state is HostState.CONNECTING:
        return True
    engine = host.engine
    return host.state is HostState.UP and (
        engine is None or engine.state in (EngineState.UP, EngineState.CONNECTING)
    )
