"""What an action is. Declared once; key, verb, menu, help, confirmation and read-only follow from it.

    @action(on=ContainerRow, key="s", applies=is_running, danger="Stop {0.name} on {0.host}?")
    async def stop(ctx: ActionContext, container: ContainerRow, *, timeout: Seconds = 10) -> str:
        '''Stop the container (SIGTERM, then SIGKILL after 10 s).'''

The keyword-only parameters are its options: flags on the command line, fields of a form in the dashboard.
Their type is one of `str`, `int`, `float`, `bool`, `Literal[...]`, `tuple[str, ...]` or one of those with
`| None`, wrapped in `Annotated[..., Option("what it means")]`.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

if TYPE_CHECKING:
    from backend.actions.context import Outcome


@dataclass(frozen=True)
class Option:
    """What an annotated parameter of an action means to people."""

    help: str
    flag: str | None = None
    """Its flag where that is not the parameter's name: `--signal`."""
    short: str | None = None
    """One letter for the command line: `-u`."""
    positional: bool = False
    """On the command line it stands after the target instead of behind a flag."""
    secret: bool = False
    """Never shown, logged, kept in history or given on a command line."""
    ask: bool = False
    """The dashboard asks for it before the action starts, even though it has a default."""
    host: bool = False
    """It names a host that the action changes: one that is read-only refuses."""
    masked: bool = False
    """NAME=VALUE words whose values may be secrets: the activity log keeps the names."""
    many: bool = False
    """On the command line: all that is left, after `--` where it looks like options."""
    several: bool = False
    """One flag takes several words."""
    place: str = ""
    """What is written for it in help where that is not its name, `RECIPE`: completion knows what may stand
    there by it, see `backend.names`."""


@dataclass(frozen=True)
class Param:
    """One option of an action, derived from its signature."""

    name: str
    kind: type
    """str, int, float or bool; of the items where `many`."""
    default: Any
    """`inspect.Parameter.empty` where it has to be given."""
    option: Option
    choices: tuple[str, ...] = ()
    optional: bool = False
    """None is allowed: "not said"."""
    many: bool = False
    """A tuple of `kind`."""

    @property
    def required(self) -> bool:
        """Whether there is no default."""
        return self.default is inspect.Parameter.empty


@dataclass(frozen=True)
class Action:
    """One thing that can be done to one kind of target."""

    name: str
    """Unique; what settings.yaml's `keys` names it by."""
    on: type | None
    """Row type it acts on; None: the fleet as a whole."""
    verb: tuple[str, ...]
    """Words on the command line, `("context", "rm")`; empty: none."""
    title: str
    """One to three words for footer and menus."""
    summary: str
    """First line of the docstring."""
    details: str
    """The rest of the docstring."""
    call: Callable[..., Awaitable[Outcome]]
    params: tuple[Param, ...] = ()
    key: str = ""
    applies: Callable[[Any], bool] = lambda row: True
    danger: str = ""
    """Question asked first, a format string over the target: names host and target. Empty: not asked."""
    changes: bool = True
    """False for what only looks: stays available when read-only."""
    bulk: bool = True
    """Whether it may run on several marked rows at once."""
    footer: bool = False
    """Whether it is common enough to stand in the footer."""
    prints: bool = False
    """What it reports is what was asked for (inspect, exec): on the command line it goes to stdout."""
    page: bool = False
    """The dashboard shows what it reports while it runs, on a page of its own."""
    terminal: bool = False
    """It takes the terminal over and so runs on one target, in the foreground."""
    unasked: str = ""
    """`module:function`, `async (access, target) -> bool`: whether the command line need not ask, where one
    target was named, and not by a pattern. The dashboard always asks."""
    streams: str = ""
    """`module:function` that the command line runs once for all targets, and that writes standard output by
    itself: `async (access, rows, *, json, **options) -> exit code`. The dashboard has a screen for it."""
    unnamed: str = ""
    """What the command line means where no target is named, for its help; empty: one has to be. What
    `streams` names gets no targets then."""
    group: str = ""
    """Heading in menus and help."""

    def question(self, target: Any) -> str:
        """What is asked before it runs on `target`; host text in it is made printable by whoever shows it."""
        return self.danger.format(target) if self.danger else ""


ACTIONS: dict[str, Action] = {}
"""All declared actions by name, in the order of declaration. `backend.actions.load()` fills it."""


def action(
    *,
    on: type | None,
    name: str = "",
    verb: str | None = None,
    key: str = "",
    title: str = "",
    applies: Callable[[Any], bool] = lambda row: True,
    danger: str = "",
    unasked: str = "",
    changes: bool = True,
    bulk: bool = True,
    footer: bool = False,
    prints: bool = False,
    page: bool = False,
    terminal: bool = False,
    streams: str = "",
    unnamed: str = "",
    group: str = "",
) -> Callable[[Callable[..., Awaitable[Outcome]]], Callable[..., Awaitable[Outcome]]]:
    """Declare a coroutine function `(ctx, target, *, options)` as an action.

    `name` defaults to the function's name with `-` for `_`, `verb` to the name as one word (`""` for none;
    several words make a sub-command), `title` to the name's words.
    """

    def declare(call: Callable[..., Awaitable[Outcome]]) -> Callable[..., Awaitable[Outcome]]:
        own = name or call.__name__.replace("_", "-")
        summary, _, details = (inspect.getdoc(call) or "").partition("\n")
        if own in ACTIONS:
            raise ValueError(f"two actions are called {own}")
        if not summary:
            raise ValueError(f"action {own} has no docstring: people would not know what it does")
        ACTIONS[own] = Action(
            name=own,
            on=on,
            verb=tuple((own if verb is None else verb).split()),
            title=title or own.replace("-", " "),
            summary=summary,
            details=details.strip(),
            call=call,
            params=_params(call),
            key=key,
            applies=applies,
            danger=danger,
            unasked=unasked,
            changes=changes,
            bulk=bulk and not terminal,
            footer=footer,
            prints=prints,
            page=page,
            terminal=terminal,
            streams=streams,
            unnamed=unnamed,
            group=group,
        )
        return call

    return declare


def _params(call: Callable[..., Any]) -> tuple[Param, ...]:
    asked = [
        parameter
        for parameter in inspect.signature(call).parameters.values()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    ]
    # Only these are evaluated: the other annotations may name what is imported for type checking alone.
    holder = types.SimpleNamespace(__annotations__={each.name: each.annotation for each in asked})
    hints = typing.get_type_hints(holder, globalns=call.__globals__, include_extras=True)
    return tuple(_param(each.name, hints[each.name], each.default) for each in asked)


def _param(name: str, hint: Any, default: Any) -> Param:
    if get_origin(hint) is not Annotated:
        raise TypeError(f"option {name} has to be Annotated[..., Option(...)]")
    kind, *extras = get_args(hint)
    option = next(extra for extra in extras if isinstance(extra, Option))
    optional = False
    if get_origin(kind) in (Union, types.UnionType):
        members = [member for member in get_args(kind) if member is not type(None)]
        optional = len(members) < len(get_args(kind))
        (kind,) = members
    many = get_origin(kind) is tuple
    if many:
        kind = get_args(kind)[0]
    choices: tuple[str, ...] = ()
    if get_origin(kind) is Literal:
        choices, kind = tuple(map(str, get_args(kind))), str
    if kind not in (str, int, float, bool):
        raise TypeError(f"option {name} is a {kind}, which no form and no flag can hold")
    return Param(name, kind, default, option, choices, optional, many)
