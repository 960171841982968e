"""One line of an agent to one typed section: pure, strict, and safe with any bytes.

A line is `{"s": section, "t": unix time, "d": data}`; `data` is a wire struct of `backend.model`, decoded
with its types and limits checked. What a section means to a host is decided in `backend.picture`.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw, Struct

from backend.model import (
    Container,
    Count,
    Disk,
    Engine,
    GpuProcess,
    GpuReport,
    GpuTopology,
    Hello,
    HostStats,
    ImageReport,
    QueueReport,
    Short,
    TmuxSession,
    Usage,
)

PROTOCOL = 1
"""What `Hello.protocol` must be."""
MAX_BYTES = 16 * 1024 * 1024
"""A longer line is refused unread."""


class WireError(Exception):
    """The line is not what an agent sends. The message says why; it holds host text."""


class Pong(Struct, frozen=True):
    """Section `pong`: the answer to a `ping` command."""

    id: Count


class Fault(Struct, frozen=True):
    """Section `fault`: a probe of the agent failed; the others go on."""

    where: Short
    message: Short


class Reply(Struct, frozen=True):
    """Section `reply`: the answer to a `queue` command, one of the two."""

    id: Count
    ok: Any = None
    error: dict[Short, Short] | None = None
    """`kind`, `message` and `hint`."""


class PaneChange(Struct, frozen=True):
    """Section `pane`: what changed in a watched pane since its last line, or all of it."""

    socket: Short
    pane: Short
    """tmux's `%N`."""
    number: Count = 0
    """Counts its lines up."""
    base: Count | None = None
    """Number of the line that this one changes; None: this is all of it."""
    gone: bool = False
    """There is no such pane, or its server does not answer."""
    width: Count = 0
    height: Count = 0
    cursor: tuple[Count, Count] | None = None
    """Column and row; None while it is hidden."""
    lines: dict[int, Annotated[str, Meta(max_length=65536)]] = {}
    """Row to its text with SGR sequences, as tmux captures it: hostile."""


Data = (
    Hello
    | HostStats
    | Engine
    | GpuReport
    | GpuTopology
    | Pong
    | Fault
    | PaneChange
    | QueueReport
    | ImageReport
    | Reply
    | tuple[Disk, ...]
    | tuple[GpuProcess, ...]
    | tuple[Container, ...]
    | tuple[Usage, ...]
    | tuple[TmuxSession, ...]
)


class Section(Struct, frozen=True):
    """A decoded line."""

    name: str
    """`hello`, `host`, `disk`, ...; decides the type of `data`."""
    time: float
    """Unix time on the host when it was read."""
    data: Data | None
    """None: a section this berth does not know, from a newer agent."""


class _Line(Struct):
    s: Short
    t: float
    d: Raw = Raw(b"null")


_TYPES: dict[str, Any] = {
    "hello": Hello,
    "host": HostStats,
    "disk": tuple[Disk, ...],
    "engine": Engine,
    "gpus": GpuReport,
    "topology": GpuTopology,
    "processes": tuple[GpuProcess, ...],
    "containers": tuple[Container, ...],
    "usage": tuple[Usage, ...],
    "tmux": tuple[TmuxSession, ...],
    "pong": Pong,
    "fault": Fault,
    "pane": PaneChange,
    "jobs": QueueReport,
    "images": ImageReport,
    "reply": Reply,
}
_LINE = msgspec.json.Decoder(_Line)
_DECODERS = {name: msgspec.json.Decoder(kind) for name, kind in _TYPES.items()}


def decode(line: bytes) -> Section:
    """One line to a section; `WireError` for anything an agent would not send."""
    if len(line) > MAX_BYTES:
        raise WireError(f"a line of {len(line)} bytes")
    try:
        outer = _LINE.decode(line)
        decoder = _DECODERS.get(outer.s)
        data = decoder.decode(outer.d) if decoder is not None else None
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError) as error:
        raise WireError(str(error)[:200]) from None
    return Section(outer.s, outer.t, data)
