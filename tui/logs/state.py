"""What a log screen knows: which part is read, what of it is shown, what is looked for. Touches no widget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from backend.logs.buffer import LogBuffer
from backend.logs.follower import Status, Target, Wants
from backend.logs.lines import LogLine
from backend.logs.pattern import Pattern
from backend.logs.show import names
from backend.text import printable
from tui.logs.words import PRESETS, Part

_STREAMS: dict[bool | None, tuple[bool | None, str]] = {
    None: (True, ""),
    True: (False, "stderr, "),
    False: (None, "stdout, "),
}
"""What comes after a choice of streams, and how that choice is said."""


@dataclass(frozen=True)
class Picture:
    """What the header is made from."""

    names: tuple[str, ...] = ()
    states: tuple[Status, ...] = ()
    hidden: frozenset[int] = frozenset()
    """Containers whose lines are not shown."""
    part: str = ""
    """Which part of the log: `last 500`, `5m`."""
    shown: int = 0
    kept: int = 0
    dropped: int = 0
    """Lines that fell out of the buffer."""
    following: bool = True
    unseen: int = 0
    """Lines below the screen."""
    only: str = ""
    """The filter."""
    sought: str = ""
    found: int = 0
    here: int | None = None
    """Which of the found lines the cursor is on, from 0."""
    marked: int = 0


@dataclass
class LogState:
    """The lines of some containers, and what was chosen about them."""

    targets: tuple[Target, ...]
    buffer: LogBuffer = field(default_factory=LogBuffer)
    part: Part = PRESETS[0]
    hidden: frozenset[int] = frozenset()
    """Containers whose lines are not shown."""
    stream: bool | None = None
    """True: only stderr; False: only stdout."""
    only: Pattern | None = None
    found: Pattern | None = None

    def __post_init__(self) -> None:
        self.names = tuple(names(self.targets))
        self.states = [Status()] * len(self.targets)

    def begin(self, part: Part) -> Wants:
        """Forget what was read, to read another part. Raises `UsageError`: then nothing is forgotten."""
        wants = part.wants()
        self.part = part
        self.buffer.clear()
        self.states = [Status()] * len(self.targets)
        return wants

    def search(self, wanted: Pattern | None) -> None:
        """Look for lines, now and from now on."""
        self.found = wanted
        self.buffer.seek(None if wanted is None else lambda line: wanted(line.plain))

    @property
    def is_narrowed(self) -> bool:
        """Whether some lines are not shown."""
        return self.only is not None or bool(self.hidden) or self.stream is not None

    def narrow(self) -> None:
        """Show only what is wanted of the containers and streams that are not hidden."""
        only, hidden, stream = self.only, self.hidden, self.stream

        def wanted(line: LogLine) -> bool:
            return (
                line.source not in hidden
                and (stream is None or line.error is stream)
                and (only is None or only(line.plain))
            )

        self.buffer.filter(wanted if self.is_narrowed else None)

    def widen(self) -> None:
        """Show all lines again."""
        self.only, self.hidden, self.stream = None, frozenset(), None
        self.narrow()

    def next_stream(self) -> None:
        """Both streams, only stderr, only stdout."""
        self.stream = _STREAMS[self.stream][0]
        self.narrow()

    def lines(self, numbers: Sequence[int]) -> list[LogLine]:
        """Those of these lines that are still kept."""
        return [self.buffer[number] for number in numbers if self.buffer.first <= number < self.buffer.end]

    def why_empty(self) -> str:
        """What is said where no line is shown."""
        if self.buffer.kept:
            return "No line is shown.\nesc shows all again"
        states = {status.state for status in self.states}
        if "opening" in states:
            return "Reading ..."
        lost = [status.error for status in self.states if status.error is not None]
        if lost and not states & {"following", "ended"}:
            return printable(lost[0].message, 200) + "\n" + printable(lost[0].hint, 200)
        if self.part.kind == "since":
            return f"Nothing was written {self.part.title}.\n0 shows the last lines"
        return "Nothing was written yet." if "following" in states else "Nothing was written."

    def picture(self, *, following: bool, unseen: int, cursor: int | None, marked: int) -> Picture:
        """All that the header says; the page's side of it is given."""
        return Picture(
            names=self.names,
            states=tuple(self.states),
            hidden=self.hidden,
            part=_STREAMS[self.stream][1] + self.part.title,
            shown=len(self.buffer),
            kept=self.buffer.kept,
            dropped=self.buffer.dropped,
            following=following,
            unseen=unseen,
            only=self.only.text if self.only else "",
            sought=self.found.text if self.found else "",
            found=self.buffer.hits,
            here=None if cursor is None else self.buffer.hit_place(cursor),
            marked=marked,
        )
