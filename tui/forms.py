"""A form made from an action's options: a field each, filled with its default, checked before it is sent."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.events import Key
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Button, Input, Select, Static

from backend.errors import UsageError
from backend.text import printable
from tui.ticks import Tick

if TYPE_CHECKING:
    from backend.actions.registry import Action, Param


def value_of(param: Param, text: str) -> Any:
    """What somebody typed as the option's value. Raises `UsageError` saying what is wrong.

    Several values are separated by commas; nothing is the default.
    """
    text = text.strip()
    if not text:
        if param.required:
            raise UsageError(f"{param.name.replace('_', ' ')} is needed.")
        return param.default
    if param.many:
        return tuple(_one(param, part.strip()) for part in text.split(",") if part.strip())
    return _one(param, text)


def _one(param: Param, text: str) -> Any:
    if param.kind is str:
        return text
    try:
        return param.kind(text)
    except ValueError:
        kind = {int: "a whole number", float: "a number"}.get(param.kind, "valid")
        raise UsageError(f"{param.name.replace('_', ' ')}: {printable(text, 40)!r} is not {kind}.") from None


def shown(value: Any) -> str:
    """A default as it stands in its field."""
    if value is None or value is inspect.Parameter.empty:
        return ""
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _help(param: Param) -> str:
    return param.option.help + (", several by commas" if param.many else "")


def _turn(param: Param) -> tuple[bool, bool]:
    return not param.required, not param.option.ask


class Form(ModalScreen[dict[str, Any] | None]):
    """The options of an action. Answers their values by name, or None."""

    BINDING_GROUP_TITLE = "Forms"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "cancel", id="form-cancel"),
        Binding("ctrl+s", "send", "do it", id="form-send", priority=True),
    ]

    def __init__(self, title: str, action: Action, given: Mapping[str, Any] | None = None) -> None:
        """`given`: what fields are filled with instead of their defaults."""
        super().__init__()
        self._given = given or {}
        self._heading = title
        self._action = action
        self._params = list(action.params)
        self._refused: Widget | None = None
        """The field that is wrong, for as long as what is wrong with it stays said."""

    def compose(self) -> ComposeResult:
        """One line per option: those that are needed first, then those that are asked for."""
        ticks = "space ticks · " if any(param.kind is bool for param in self._params) else ""
        with Vertical(classes="dialog form") as dialog:
            dialog.border_title = Content(printable(self._heading, 100))
            dialog.border_subtitle = Content(f"enter next · {ticks}ctrl+s do it · esc cancel")
            with VerticalScroll(classes="dialog-body", can_focus=False):
                yield Static(Content(self._action.summary), classes="form-summary")
                for param in sorted(self._params, key=_turn):
                    yield from self._field(param)
            with Vertical(classes="dialog-foot"):
                yield Static("", id="form-error", markup=False)
                with Horizontal(classes="dialog-buttons"):
                    yield Button("Cancel", id="no")
                    yield Button(Content(self._action.title.capitalize()), id="yes", variant="primary")

    def _field(self, param: Param) -> ComposeResult:
        name = param.name.replace("_", " ")
        with Horizontal(classes="form-row"):
            if param.kind is bool:
                yield Tick(
                    Content(f"{name}: {param.option.help}"),
                    bool(self._given.get(param.name, param.default)),
                    compact=True,
                    id=f"f-{param.name}",
                )
                return
            yield Static(Content(name + (" *" if param.required else "")), classes="form-label")
            if param.choices:
                blank = param.optional or param.required
                yield Select(
                    [(choice, choice) for choice in param.choices],
                    allow_blank=blank,
                    compact=True,
                    id=f"f-{param.name}",
                    **({"value": chosen} if (chosen := self._given.get(param.name)) else {})
                    or ({} if blank else {"value": param.default}),
                )
            else:
                yield Input(
                    shown(self._given.get(param.name, param.default)),
                    placeholder=_help(param),
                    password=param.option.secret,
                    compact=True,
                    id=f"f-{param.name}",
                )

    def on_mount(self) -> None:
        """Start in the first field."""
        for field in self.query(Input):
            field.focus()
            return

    def on_descendant_focus(self) -> None:
        """Say what the field means. What is wrong with it stays said."""
        if self._refused is None or self._refused is not self.focused:
            self._explain()

    def on_resize(self) -> None:
        """Fields have another width now. What is wrong stays said."""
        if self.query_one("#form-error", Static).has_class("-help"):
            self.call_after_refresh(self._explain)

    def on_input_changed(self, event: Input.Changed) -> None:
        """What stood in the empty field is gone, or back."""
        event.stop()
        self._explain()

    def _explain(self) -> None:
        """The help of the field below, unless the field itself shows it: empty, and wide enough."""
        self._refused = None
        field = self.focused
        name = (field.id or "").removeprefix("f-") if field is not None else ""
        param = next((param for param in self._params if param.name == name), None)
        if param is None or param.kind is bool:
            return
        text = _help(param)
        inside = isinstance(field, Input) and not field.value and cell_len(text) < field.content_size.width
        self._say("" if inside else text)

    def _say(self, text: str, *, wrong: bool = False) -> None:
        said = self.query_one("#form-error", Static)
        said.set_class(not wrong, "-help")
        said.update(Content(text))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter: the next field; in the last one it is sent."""
        event.stop()
        fields = list(self.query(Input))
        if event.input is fields[-1]:
            self.action_send()
        else:
            self.focus_next()

    def on_key(self, event: Key) -> None:
        """Enter on a tick: the next field; after the last one the button that does it."""
        if event.key != "enter" or not isinstance(self.focused, Tick):
            return
        event.stop()
        if self.focused is list(self.query(".form-row > *").results(Widget))[-1]:
            self.query_one("#yes").focus()
        else:
            self.focus_next()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Do it, or not."""
        event.stop()
        if event.button.id == "yes":
            self.action_send()
        else:
            self.dismiss(None)

    def action_leave(self) -> None:
        """Nothing is done."""
        self.dismiss(None)

    def action_send(self) -> None:
        """Check all fields, as they stand; go to what is wrong and say so, or answer."""
        values = {}
        for param in sorted(self._params, key=_turn):
            try:
                values[param.name] = self._value(param)
            except UsageError as error:
                self._refused = self.query_one(f"#f-{param.name}")
                self._refused.focus()
                self._say(error.message, wrong=True)
                return
        self.dismiss({param.name: values[param.name] for param in self._params})

    def _value(self, param: Param) -> Any:
        if param.kind is bool:
            return self.query_one(f"#f-{param.name}", Tick).value
        if param.choices:
            chosen = self.query_one(f"#f-{param.name}", Select).value
            if isinstance(chosen, str):
                return chosen
            return value_of(param, "")
        return value_of(param, self.query_one(f"#f-{param.name}", Input).value)
