"""What the command line, the palette and the choosers do to the desk."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from textual.app import SystemCommand
from textual.binding import Binding
from textual.content import Content

from backend.errors import UsageError
from backend.text import printable
from tui.command_line import Command, Vocabulary, complete, parse
from tui.keys import is_shown
from tui.pages import PAGES, make
from tui.table import column_text
from tui.views import LISTED, all_views, view_class

if TYPE_CHECKING:
    from backend.actions import Action
    from tui.app import BerthApp
    from tui.desk import Desk


def vocabulary(desk: Desk) -> Vocabulary:
    """The words that mean something now."""
    views = {word: view.name for view in LISTED for word in (view.name, *view.aliases)}
    tags = dict.fromkeys(tag for host in desk.config.hosts for tag in host.tags)
    return Vocabulary(
        views=views,
        hosts=[name for name in desk.sources.state.hosts if name.isprintable()],
        tags=[tag for tag in tags if tag.isprintable()],
        themes=sorted(desk.app.available_themes),
        columns=[column.key for column in desk.view.all_columns],
        pages=list(PAGES),
    )


def completions(desk: Desk, line: str) -> list[str]:
    """What a line can become."""
    return complete(line, vocabulary(desk))


async def perform(desk: Desk, line: str) -> None:
    """Do what a line asks for. `UsageError` if it cannot be understood: then nothing was done."""
    command = parse(line, vocabulary(desk))
    if command.verb == "view":
        await _view(desk, command)
    elif command.verb == "each":
        _each(desk, command.argument)  # says what is wrong before anything changes
        desk.close_prompt()
    else:
        desk.close_prompt()
        await _verb(desk, command)


async def _view(desk: Desk, command: Command) -> None:
    kind = view_class(command.argument) if command.argument else None
    view = desk.view if kind is None else desk.find_view(kind) or kind(desk.sources)
    if command.filter is not None:
        view.compile(command.filter)  # says what is wrong before anything changes
    desk.close_prompt()
    view = await desk.show_view(view.NAME)
    hosts = hosts_of(desk, command.host) if command.host else None
    if kind is not None or command.host is not None:
        view.set_hosts(hosts, f"@{command.host}" if hosts is not None else "")
    if kind is not None or command.filter is not None:
        view.set_filter(command.filter or "")


def hosts_of(desk: Desk, name: str) -> frozenset[str]:
    """The host of that name, else those with that tag."""
    if name in desk.sources.state.hosts:
        return frozenset({name})
    return frozenset(host.name for host in desk.config.hosts if name in host.tags)


async def _verb(desk: Desk, command: Command) -> None:
    if command.verb == "page":
        desk.app.push_screen(make(PAGES[command.argument]))
    elif command.verb == "sort":
        name = command.argument
        desk.table.sort_by(desk.view.column(name.lstrip("-")) if name else None, name.startswith("-"))
    elif command.verb == "columns":
        if command.words:
            desk.set_columns(command.words)
        else:
            choose_columns(desk)
    elif command.verb == "theme":
        if command.argument:
            desk.app.theme = command.argument
        else:
            desk.app.action_change_theme()
    elif command.verb == "help":
        show_help(desk)
    elif command.verb == "quit":
        await desk.app.action_quit()


def _each(desk: Desk, text: str) -> None:
    if not desk.can_act:
        raise UsageError("not connected yet.")
    from tui.everywhere.open import open_everywhere

    open_everywhere(cast("BerthApp", desk.app), text=text)


def palette(desk: Desk) -> Iterator[SystemCommand]:
    """The same as entries of the command palette."""
    for view in all_views():
        yield SystemCommand(
            f"{view.TITLE} ({view.NUMBER})", view.EMPTY[0], partial(desk.show_view, view.NAME)
        )
    for title, what, action in (
        ("Filter (/)", "Show only some rows", desk.action_filter),
        ("Order (o)", "Order by a column", desk.action_sort),
        ("Columns (|)", "Choose which columns are shown", desk.action_columns),
        ("Details (d)", "Show details beside the list, or not", desk.action_toggle_detail),
        ("Copy (c)", "Copy one column of the row, or of the marked rows", desk.action_copy),
        ("Copy rows (C)", "Copy whole rows, columns separated by tabs", desk.action_copy_rows),
        ("Help (?)", "All keys and commands", desk.action_help),
    ):
        yield SystemCommand(title, what, action)
    for each in desk.actions():
        yield SystemCommand(
            each.title.capitalize() + (f" ({key})" if (key := key_of(desk, each)) else ""),
            each.summary,
            partial(desk.action_do, each.name),
        )


def choose_action(desk: Desk) -> None:
    """A list of what can be done to the row, or to the marked rows."""
    from tui.doing import menu
    from tui.menu import Menu

    rows = desk.view.targets()
    entries = menu(desk.actions(), rows, partial(key_of, desk))
    if not entries:
        desk.notify("Nothing can be done here.", markup=False, timeout=4)
        return
    marked = len(rows) > 1 and desk.table.marks
    of = f"{len(rows)} marked rows" if marked else _name(rows[0]) if rows else desk.view.TITLE

    def chosen(name: str | None) -> None:
        if name is not None:
            desk.action_do(name)

    desk.app.push_screen(Menu(of, entries), chosen)


def key_of(desk: Desk, action: Action) -> str:
    """How an action's key is written, also where settings gave it another one; empty: it has none."""
    keys: str = getattr(desk.app, "_keymap", {}).get(action.name, action.key)
    first = keys.partition(",")[0]
    if not first or not is_shown(first):
        return ""
    return desk.app.get_key_display(Binding(first, "", ""))


def _name(row: Any) -> str:
    from backend.actions.runner import label

    return label(row)


def choose_sort(desk: Desk) -> None:
    """A list of columns to order by."""
    from tui.dialogs import Choose

    view, table = desk.view, desk.table
    arrow = " ▼" if table.sort_reverse else " ▲"
    options = [("", Content("the view's own order"))]
    for column in table.columns:
        options.append((column.key, Content(column.title + (arrow if column.key == table.sort_key else ""))))

    def chosen(key: str | None) -> None:
        column = view.column(key) if key else None
        if column is not None:
            table.toggle_sort(column)
        elif key is not None:
            table.sort_by(None)

    desk.app.push_screen(Choose("Order by", options, selected=table.sort_key), chosen)


def choose_columns(desk: Desk) -> None:
    """A list of columns with ticks."""
    from tui.dialogs import Pick

    view = desk.view
    options = [(column.key, column.title) for column in view.all_columns]
    shown = [column.key for column in view.table.columns]

    def chosen(keys: list[str] | None) -> None:
        if keys is not None:
            desk.set_columns(keys)

    desk.app.push_screen(Pick(f"Columns of {view.TITLE}", options, shown), chosen)


def choose_copy(desk: Desk) -> None:
    """A list of what can be copied of the row, or of the marked rows."""
    from tui.dialogs import Choose

    rows = desk.table.targets()
    if not rows:
        return
    texts: list[tuple[str, str]] = []
    options: list[tuple[str, Content]] = []
    for column in desk.view.all_columns:
        text = "\n".join(column_text(column, row) for row in rows)
        if text.strip() and text != "-":
            first = printable(text.partition("\n")[0], 50)
            options.append(
                (str(len(texts)), Content.assemble((f"{column.title:<10} ", "$text-muted"), first))
            )
            texts.append((column.key, text))

    def chosen(key: Any) -> None:
        if key is not None:
            copy(desk, texts[int(key)][1], len(rows))

    of = "" if len(rows) == 1 else f" of {len(rows)} rows"
    desk.app.push_screen(Choose(f"Copy{of}", options), chosen)


def show_help(desk: Desk) -> None:
    """All keys and commands."""
    from tui.help import FILTERS, MOUSE, HelpScreen, command_section, key_sections, keyless_section

    views = [(" :".join((view.name, *view.aliases)), view.title) for view in LISTED]
    keys = key_sections(desk)
    taken = [each.name for each in desk.actions() if key_of(desk, each)]
    keyless = keyless_section(desk.actions(), taken)
    sections = [*keys, *keyless, ("Filter (/)", FILTERS), command_section(views), ("Mouse", MOUSE)]
    desk.app.push_screen(HelpScreen(sections))


def copy(desk: Desk, text: str, rows: int) -> None:
    """Put text on the clipboard and say so."""
    if text:
        desk.app.copy_to_clipboard(text)
        first = printable(text.partition("\n")[0], 60)
        desk.notify(
            first if rows == 1 else f"{rows} rows: {first} …", title="Copied", markup=False, timeout=3
        )
