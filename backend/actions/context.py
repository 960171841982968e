"""What an action is given to work with, and what it gives back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from backend.errors import NotConfirmed

if TYPE_CHECKING:
    from backend.config import Config
    from backend.engine import EngineClient
    from backend.link import Link
    from backend.model import FleetState


@dataclass(frozen=True)
class Terminal:
    """An action's answer that says: give the user's terminal to this, then come back.

    The front end runs it: the command line in its own terminal, the dashboard by suspending itself or in a
    new tmux window.
    """

    host: str
    argv: Sequence[str]
    """What runs on the host, on a pty."""
    title: str
    """What it is, for a window's name and for messages."""
    before: Sequence[str] = ()
    """Lines shown first: who else is inside, which keys detach."""
    lost: str = ""
    """What to do if the link is lost meanwhile: how to get back."""
    verb: Sequence[str] = ()
    """The `berth` command line that does the same, for a new tmux window."""
    after: Callable[[Access], Awaitable[str]] | None = None
    """What is to be said once the terminal is back: how its job ended, or how to get back to it."""
    visit: str = ""
    """What its session is marked with: after a lost link, entering again goes back to that session."""


Outcome = str | Terminal | None
"""One line that says what was done, or a terminal to hand over; None where there is nothing to say."""


class Access(Protocol):
    """How an action reaches hosts. The dashboard lends its open connections, the command line makes them."""

    async def link(self, host: str) -> Link:
        """The open connection of a host. Raises `HostError` where there is none to be had."""

    async def engine(self, host: str) -> EngineClient:
        """The host's engine over that connection. Raises `EngineError` or `HostError`."""

    @property
    def state(self) -> FleetState | None:
        """What is known of all hosts, in the dashboard; None on the command line."""


class Voice(Protocol):
    """How an action speaks and asks while it runs."""

    def report(self, line: str) -> None:
        """One line of output. Host text in it is made printable by the front end."""

    def progress(self, done: int, total: int | None) -> None:
        """How far it is, in a unit of its own (bytes, steps); None: nobody knows the total."""

    async def confirm(self, question: str) -> bool:
        """Ask in the middle of it; False is the answer that does nothing."""

    def lend_terminal(self) -> AbstractAsyncContextManager[None]:
        """The person's terminal for a program of theirs (an editor). Raises `ActionFailed` without one."""


@dataclass
class ActionContext:
    """Everything an action may use. Made once per run of an action on one target."""

    config: Config
    access: Access
    voice: Voice
    assume_yes: bool = False
    """`--yes`: every question is answered with yes."""
    notes: dict[str, str] = field(default_factory=dict)
    """What the activity log keeps beside the output (a new container's id, a file's path)."""

    secrets: set[str] = field(default_factory=set)
    """Texts (a service's token) that the person sees and the activity log does not keep."""

    data: Any = None
    """What `--json` prints of it instead of its lines; see `give`."""
    beside: bool = False
    """Its lines are printed too."""

    def give(self, data: Any, *, beside: bool = False) -> None:
        """What was found out as data: `--json` prints it as `data`, in place of the lines of output or
        `beside` them."""
        self.data, self.beside = data, beside

    async def link(self, host: str) -> Link:
        """The open connection of a host."""
        return await self.access.link(host)

    async def engine(self, host: str) -> EngineClient:
        """The host's engine."""
        return await self.access.engine(host)

    def report(self, line: str) -> None:
        """One line of output."""
        self.voice.report(line)

    def progress(self, done: int, total: int | None = None) -> None:
        """How far it is."""
        self.voice.progress(done, total)

    async def confirm(self, question: str) -> bool:
        """Ask; `--yes` answers."""
        return self.assume_yes or await self.voice.confirm(question)

    async def agree(self, question: str, otherwise: str, *, hint: str = "It was not confirmed.") -> None:
        """Ask, and go on only after a yes. Raises `NotConfirmed`, which says `otherwise`."""
        if not await self.confirm(question):
            raise NotConfirmed(otherwise, hint=hint)
