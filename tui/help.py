"""`?`: all keys and commands, made from the active bindings and from the command line's own words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from tui.command_line import VERBS
from tui.keys import is_shown
from tui.views import LISTED
from tui.views.base import ListView

if TYPE_CHECKING:
    from backend.actions import Action

Row = tuple[str, str] | tuple[str, str, str]
"""Keys or words, what they do, and the name by which settings give other keys to it."""
Section = tuple[str, Sequence[Row]]
"""A heading and its rows."""
_NAMED_FROM = 84
"""Below this many cells there is no room for names."""

FILTERS = [
    ("train alice", "rows with both words in a text column"),
    ("!exited", "rows without the word"),
    ('"two words"', "a word with spaces or a colon in it"),
    ("state:running  !owner:bob", "a word in (not in) one column"),
    ("cpu:>50  mem:>10G  up:<2h", "numbers, bytes and ages are compared"),
    ("free:yes  idle:>1h", "GPUs: that can be had; that are held without work"),
]
MOUSE = [
    ("click", "row, view, key, or heading (order by it; again: the other way round)"),
    ("double click", "details"),
    ("ctrl+click", "mark"),
]


TEXTUALS = {
    "app.focus_next": "To the next part of the screen",
    "app.focus_previous": "To the part before",
    "screen.copy_text": "Copy what the mouse has selected",
    "command_palette": "Search all commands",
}
"""Bindings that Textual brings along and that are of use here, in our words."""


def key_sections(screen: Screen[Any]) -> list[Section]:
    """The active bindings, the view's own first, keys of one action in one row.

    All of ours have an id. What Textual binds is left out, apart from `TEXTUALS`.
    """
    sections: dict[str, dict[str, tuple[list[str], str, str]]] = {}
    for active in sorted(screen.active_bindings.values(), key=lambda each: not each.binding.id):
        binding = active.binding
        what = binding.description if binding.id else TEXTUALS.get(binding.action, "")
        if not what or not is_shown(binding.key) or binding.key.startswith("super+"):
            continue
        node = active.node
        title = node.TITLE if isinstance(node, ListView) else node.BINDING_GROUP_TITLE or "Everywhere"
        rows = sections.setdefault(title, {})
        keys, *_ = rows.setdefault(binding.action, ([], what, binding.id or ""))
        display = screen.app.get_key_display(binding)
        if display not in keys:
            keys.append(display)
    return [
        (title, [("  ".join(keys), what[:1].upper() + what[1:], name) for keys, what, name in rows.values()])
        for title, rows in sorted(sections.items(), key=lambda section: not _is_view(section[0]))
    ]


def _is_view(title: str) -> bool:
    return any(title == listed.title for listed in LISTED)


def command_section(views: Sequence[tuple[str, str]]) -> Section:
    """The words of the command line. `views`: names and titles."""
    rows = [(f":{names}", f"show {title}; `@host` limits, `/text` filters") for names, title in views]
    return "Commands", [*rows, *((f":{word}", what) for word, (_, what) in VERBS.items() if word != "quit")]


def keyless_section(actions: Iterable[Action], taken: Iterable[str]) -> list[Section]:
    """What can be done to the rows and has no key; `taken` are the names that have one."""
    known = set(taken)
    rows = [
        ("", each.title[:1].upper() + each.title[1:], each.name) for each in actions if each.name not in known
    ]
    return [("Without a key: x finds them, settings can give them one", rows)] if rows else []


class HelpScreen(ModalScreen[None]):
    """All keys and commands on one page."""

    BINDING_GROUP_TITLE = "Help"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,enter", "leave", "close", id="help-close"),
        Binding("j,down", "scroll(1)", "Down", show=False, id="help-down"),
        Binding("k,up", "scroll(-1)", "Up", show=False, id="help-up"),
    ]

    def __init__(self, sections: Sequence[Section]) -> None:
        super().__init__()
        self._sections = list(sections)

    def compose(self) -> ComposeResult:
        """One block per section."""
        with VerticalScroll(classes="dialog help") as dialog:
            dialog.border_title = Content("berth")
            dialog.border_subtitle = Content("esc closes")
            for title, rows in self._sections:
                yield Static(self._block(title, rows), classes="help-section", markup=False)

    def _block(self, title: str, rows: Sequence[Row]) -> Content:
        width = min(28, max((len(row[0]) for row in rows), default=0))
        wide = min(44, max((len(row[1]) for row in rows), default=0))
        named = self.app.size.width >= _NAMED_FROM
        lines = [Content.assemble((title, "bold $text-primary"))]
        for keys, what, *name in rows:
            shown = (f"  {name[0]}" if name and named else "", "$text-muted")
            what = what.ljust(wide) if shown[0] else what
            lines.append(
                Content.assemble(("  " + keys.ljust(width), "$text-accent"), ("  " + what, ""), shown)
            )
        return Content("\n").join(lines)

    def action_leave(self) -> None:
        """Close."""
        self.dismiss(None)

    def action_scroll(self, lines: int) -> None:
        """Scroll."""
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)
