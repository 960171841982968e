"""Questions: yes or no (standing on No), one of a list, some of a list, and a host key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, OptionList, Static
from textual.widgets.option_list import Option
from textual.widgets.selection_list import Selection

from backend.model import HostSnapshot
from backend.text import printable
from tui.ticks import Ticks


class Confirm(ModalScreen[bool]):
    """A question about something that cannot be undone: names host and target, stands on No."""

    BINDING_GROUP_TITLE = "Questions"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,n", "answer(False)", "no", id="dialog-no"),
        Binding("y", "answer(True)", "yes", id="dialog-yes"),
        Binding("left,right,up,down", "other", "the other answer", show=False, id="dialog-other"),
        Binding("pagedown,j", "scroll(1)", "more of the question", show=False, id="dialog-more"),
        Binding("pageup,k", "scroll(-1)", "back in the question", show=False, id="dialog-less"),
    ]

    def __init__(
        self,
        title: str,
        body: Sequence[str | Content],
        *,
        yes: str = "Yes",
        no: str = "No",
        by_letter: bool = True,
    ) -> None:
        """`by_letter`: whether `y` is enough for a yes."""
        super().__init__()
        self._heading, self._body, self._yes, self._no = title, list(body), yes, no
        self._by_letter = by_letter

    def compose(self) -> ComposeResult:
        """The question; No comes first."""
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = Content(printable(self._heading, 100))
            dialog.border_subtitle = Content(
                "y yes · n no" if self._by_letter else "tab other · enter choose · n no"
            )
            with VerticalScroll(classes="dialog-body", can_focus=False):
                for part in self._body:
                    yield Static(
                        part if isinstance(part, Content) else Content(printable(part)), markup=False
                    )
            with Vertical(classes="dialog-foot"), Horizontal(classes="dialog-buttons"):
                yield Button(Content(self._no), id="no")
                yield Button(Content(self._yes), id="yes", variant="error")

    def on_mount(self) -> None:
        """Stand on No."""
        self.query_one("#no", Button).focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """The answer."""
        event.stop()
        self.dismiss(event.button.id == "yes")

    def action_answer(self, answer: bool) -> None:
        """Answer by key."""
        if answer and not self._by_letter:
            return
        self.dismiss(answer)

    def action_scroll(self, way: int) -> None:
        """Show the rest of a long question."""
        body = self.query_one(".dialog-body", VerticalScroll)
        body.scroll_relative(y=way * max(1, body.size.height - 1), animate=False)

    def action_other(self) -> None:
        """Step to the other button."""
        self.focus_next()


def host_key_question(host: HostSnapshot) -> Confirm:
    """Whether to trust a host whose key was never seen."""
    problem = host.error
    fingerprint = problem.fingerprint if problem else ""
    return Confirm(
        f"Trust {printable(host.name, 60)}?",
        [
            f"{printable(host.name, 60)} ({printable(host.address, 100)}) has a key not seen before.",
            "",
            Content.assemble(("Fingerprint  ", "$text-muted"), (printable(fingerprint, 200), "bold")),
            "",
            "Compare it with what the host's administrator says, or on the host itself with:",
            Content.assemble(("  ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub", "$text-accent")),
        ],
        yes="Trust this key",
        no="No, do not connect",
        by_letter=False,
    )


class _List(ModalScreen[Any]):
    """What both list dialogs share."""

    BINDING_GROUP_TITLE = "Lists to choose from"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "cancel", id="dialog-cancel"),
        Binding("j", "list('cursor_down')", "Next", show=False, id="dialog-down"),
        Binding("k", "list('cursor_up')", "Previous", show=False, id="dialog-up"),
    ]

    def action_leave(self) -> None:
        """Choose nothing."""
        self.dismiss(None)

    async def action_list(self, action: str) -> None:
        """Hand a key on to the list."""
        await self.query_one(OptionList).run_action(action)


class Choose(_List):
    """One of several. Answers its key, or None."""

    def __init__(self, title: str, options: Sequence[tuple[str, Content]], *, selected: str = "") -> None:
        super().__init__()
        self._heading, self._options, self._selected = title, list(options), selected

    def compose(self) -> ComposeResult:
        """The list, on what is chosen now."""
        with Vertical(classes="dialog dialog-list") as dialog:
            dialog.border_title = Content(self._heading)
            dialog.border_subtitle = Content("enter choose · esc cancel")
            yield OptionList(*[Option(text, id=f"o{place}") for place, (_, text) in enumerate(self._options)])

    def on_mount(self) -> None:
        """Stand on what is chosen now."""
        keys = [key for key, _ in self._options]
        if self._selected in keys:
            self.query_one(OptionList).highlighted = keys.index(self._selected)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """The answer."""
        event.stop()
        self.dismiss(self._options[event.option_index][0])


class Pick(_List):
    """Some of several, in their order. Answers their keys, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "accept", "accept", id="dialog-accept", priority=True),
    ]

    def __init__(self, title: str, options: Sequence[tuple[str, str]], chosen: Sequence[str]) -> None:
        super().__init__()
        self._heading, self._options, self._chosen = title, list(options), set(chosen)

    def compose(self) -> ComposeResult:
        """The list with its ticks."""
        with Vertical(classes="dialog dialog-list") as dialog:
            dialog.border_title = Content(self._heading)
            dialog.border_subtitle = Content("space toggle · enter accept · esc cancel")
            yield Ticks[str](
                *[Selection(Content(text), key, key in self._chosen) for key, text in self._options]
            )

    def action_accept(self) -> None:
        """The answer."""
        chosen = set(self.query_one(Ticks).selected)
        self.dismiss([key for key, _ in self._options if key in chosen])
