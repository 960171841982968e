"""The user's own commands (`commands` in settings.yaml) as actions, declared like all others.

`declare` puts them into `ACTIONS`: from there they get their key, their place in palette, menu and help, and
`berth do NAME`.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.actions.registry import ACTIONS, Action, Option, Param
from backend.errors import ConfigError, UsageError
from backend.model import ContainerRow, ContextRow, GpuRow, HostRow, HostState, ImageRow, JobRow, SessionRow

if TYPE_CHECKING:
    from backend.config import Settings
    from backend.config.schema import OwnCommand, OwnParam

GROUP = "Your commands"
VERB = "do"
_FRONT = "do-"
KINDS: dict[str, type | None] = {
    "host": HostRow,
    "container": ContainerRow,
    "context": ContextRow,
    "gpu": GpuRow,
    "job": JobRow,
    "image": ImageRow,
    "session": SessionRow,
    "everywhere": None,
}
_TARGETS = {
    "host": "{0.name}",
    "container": "{0.name} on {0.host}",
    "context": "{0.name}",
    "gpu": "GPU {0.index} of {0.host}",
    "job": "job {0.id} on {0.host}",
    "image": "{0.name} on {0.host}",
    "session": "the session {0.name} on {0.host}",
    "everywhere": "all hosts",
}
_HOSTS = (
    Param("host", str, (), Option("only these hosts", several=True, host=True), many=True),
    Param("tag", str, (), Option("only hosts with this tag", several=True), many=True),
    Param("only", str, "", Option("only hosts whose name fits this pattern: 'h100-*'")),
)
"""What a command for all hosts can be narrowed by."""

OWN: dict[str, OwnCommand] = {}
"""The commands that are declared now, by the names of their actions."""


def declare(settings: Settings, *, printing: bool = False) -> None:
    """Have these commands among the actions, in place of those that were there before.

    `printing`: for a command line, where output is what was asked for, also of those in the background.
    """
    for name in OWN:
        ACTIONS.pop(name, None)
    OWN.clear()
    for name, own in settings.commands.items():
        action = _action(name, own, printing=printing)
        ACTIONS[action.name] = action
        OWN[action.name] = own


def prepare(argv: Sequence[str]) -> None:
    """Declare the commands of the configuration that a command line names. Raises `ConfigError`, and
    `UsageError` where there is none."""
    from backend.config.paths import config_dir
    from backend.config.settings import FILE, read_settings

    directory: Path | None = None
    for at, word in enumerate(argv):
        if word == "--config" and at + 1 < len(argv):
            directory = Path(argv[at + 1])
        elif word.startswith("--config="):
            directory = Path(word.partition("=")[2])
    path = config_dir(directory) / FILE
    declare(read_settings(path), printing=True)
    if not OWN:
        raise UsageError("there are no commands of your own.", hint=f"Write `commands:` into {path}.")


def shown(command: str | tuple[str, ...]) -> str:
    """A command as somebody would type it."""
    import shlex

    return command if isinstance(command, str) else shlex.join(command)


def offer() -> None:
    """Declare the commands of the usual configuration, for help and completion; nothing where it is wrong."""
    from backend.config.paths import config_dir
    from backend.config.settings import FILE, read_settings

    if not OWN:
        with contextlib.suppress(ConfigError):
            declare(read_settings(config_dir() / FILE), printing=True)


def _action(name: str, own: OwnCommand, *, printing: bool) -> Action:
    text = shown(own.command)
    plain = text.replace("{", "{{").replace("}", "}}")
    params = tuple(_param(each, param) for each, param in own.params.items())
    page = own.show == "page"
    return Action(
        name=_FRONT + name,
        on=KINDS[own.on],
        verb=(VERB, name),
        title=name.replace("-", " "),
        summary=own.description or f"Run {text}.",
        details=f"It runs {_where(own)}: {text}",
        call=_call(name, own),
        params=(*_HOSTS, *params) if own.on == "everywhere" else params,
        key=own.key,
        applies=_applies(own),
        danger=f"Run {name} on {_TARGETS[own.on]}? It is: {plain}" if own.danger else "",
        changes=not own.reads,
        bulk=own.show != "terminal",
        prints=page or (printing and own.show == "background"),
        page=page,
        terminal=own.show == "terminal" and own.runs != "laptop",
        group=GROUP,
    )


def _where(own: OwnCommand) -> str:
    return {"laptop": "on this machine", "host": "on the host", "container": "in the container"}[own.runs]


def _param(name: str, own: OwnParam) -> Param:
    kind = int if own.type == "int" else str
    default: Any = inspect.Parameter.empty if own.default is None else kind(own.default)
    about = own.description or {"path": "a path", "int": "a whole number"}.get(own.type, name)
    option = Option(about, secret=own.type == "secret", ask=True)
    return Param(name, kind, default, option, own.choices)


def _applies(own: OwnCommand) -> Callable[[Any], bool]:
    inside = own.runs == "container"

    def applies(row: Any) -> bool:
        if isinstance(row, HostRow):
            return row.state is not HostState.SKIPPED or own.runs == "laptop"
        if isinstance(row, ContainerRow):
            return not inside or row.state == "running"
        if isinstance(row, ContextRow):
            return not inside or row.state in ("running", "unknown")
        if isinstance(row, JobRow):
            return not inside or bool(row.container)
        return not isinstance(row, ImageRow) or bool(row.host)

    return applies


def _call(name: str, own: OwnCommand) -> Callable[..., Any]:
    async def call(ctx: Any, target: Any, **options: Any) -> Any:
        from backend.everywhere import own as doing

        return await doing.run(ctx, name, own, target, options)

    return call
