"""Values to cells: the only place that gives host text a style.

Every function is pure and cheap (it runs for each visible row of each frame) and gives a `Cell`: spans of
(text, style name), one line, printable. `tui.fitting` makes a cell as wide as its column. Styles say how
something *is* (`bad`, `free`, `bar-high`), never which colour it has; and nothing is told by colour alone:
bars have a length, states have words, problems carry a `!`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from math import isnan

from backend import text as words
from backend.model import HostState
from backend.text import UNKNOWN, printable
from tui.columns import Cell
from tui.fitting import EMPTY, bare, fit, text_of, width_of, wrap

__all__ = [
    "DASH", "EMPTY", "WORK", "age", "bar", "bare", "duration", "fill_level", "fit", "free", "gpu_strip",
    "host_state", "join", "marker", "needs_help", "number", "owners", "percent", "percent_bar", "plain",
    "ports", "power", "rate", "size", "spark", "state", "temperature", "text_of", "usage", "width_of", "wrap",
]  # fmt: skip

DASH: Cell = ((UNKNOWN, "dim"),)
"""The cell of None."""

_FULL, _REST = "▇", "▁"
_STEPS = "▁▂▃▄▅▆▇█"
_NUMBERS = 13
"""Cells that `212.4/999.9 G` takes at most."""

_CONTAINER_STYLES = {
    "running": "good",
    "paused": "warn",
    "restarting": "warn",
    "removing": "warn",
    "dead": "bad",
}
_HOST_STATES = {
    HostState.UP: ("up", "good"),
    HostState.CONNECTING: ("connecting", "warn"),
    HostState.DOWN: ("down", "bad"),
    HostState.AUTH: ("login refused", "bad"),
    HostState.HOST_KEY: ("host key", "bad"),
    HostState.SKIPPED: ("skipped", "dim"),
}


# ------------------------------------------------------------------------------------------ putting together


def plain(text: str | None, style: str = "") -> Cell:
    """Any text, also a host's: one printable line. None and empty text are a dim dash."""
    return ((printable(text), style),) if text else DASH


def join(*cells: Cell, gap: str = "  ") -> Cell:
    """Cells one after another with `gap` between those that are not empty."""
    spans: list[tuple[str, str]] = []
    for cell in cells:
        if cell:
            if spans and gap:
                spans.append((gap, ""))
            spans.extend(cell)
    return tuple(spans)


# -------------------------------------------------------------------------------------------- bars and sparks


WORK = "bar-mid"
"""The style of bars that show work: being busy is what machines are for, so it is never a warning."""


def fill_level(percent: float) -> str:
    """The style of a bar that shows how full something is; a warning where it is nearly full."""
    return "bar-high" if percent >= 95 else "bar-low"


def bar(percent: float | None, width: int = 8, style: str = WORK) -> Cell:
    """`▇▇▇▁▁▁▁▁`: anything above zero shows at least one full step."""
    if width <= 0:
        return EMPTY
    if percent is None or isnan(percent):
        return ((UNKNOWN.ljust(width), "dim"),)
    percent = min(100.0, max(0.0, percent))
    filled = round(percent / 100 * width)
    return _bar(max(1, filled) if percent >= 0.5 else 0, width, style)


@lru_cache(maxsize=1024)
def _bar(filled: int, width: int, style: str) -> Cell:
    spans = ((_FULL * filled, style), (_REST * (width - filled), "bar-rest"))
    return tuple(span for span in spans if span[0])


def percent(value: float | None) -> Cell:
    """` 38 %`, five cells."""
    if value is None or isnan(value):
        return ((UNKNOWN.rjust(5), "dim"),)
    return ((words.percent(value).rjust(5), ""),)


def percent_bar(value: float | None, width: int = 14) -> Cell:
    """A bar with its number after it, `width` cells together; only the number where there is no room."""
    room = width - 6
    if room < 3:
        return percent(value)
    if value is None or isnan(value):
        return ((UNKNOWN.ljust(width), "dim"),)
    return (*bar(value, room), (" " + words.percent(value).rjust(5), ""))


def usage(used: int | None, total: int | None, width: int = 22) -> Cell:
    """A bar of used/total and both numbers, `width` cells together; only the numbers where there is no room.

    Without a total there is nothing to compare with: the number alone.
    """
    if used is None:
        return ((UNKNOWN.ljust(width), "dim"),)
    numbers = (words.sizes(used, total).rjust(_NUMBERS), "")
    room = width - _NUMBERS - 1
    if room < 3:
        return (numbers,)
    if not total:
        return ((" " * (room + 1), ""), numbers)
    share = 100 * used / total
    return (*bar(share, room, fill_level(share)), (" " + numbers[0], ""))


def spark(values: Sequence[float | None], width: int = 8, top: float = 100.0) -> Cell:
    """The last `width` values as `▁▂▅▇`, newest on the right; a gap (None, NaN) is a space."""
    if width <= 0:
        return EMPTY
    tail = values[-width:]
    glyphs = "".join(_step(value, top) or " " for value in tail)
    return ((glyphs.rjust(width), WORK),)


def gpu_strip(utils: Iterable[float | None]) -> Cell:
    """One glyph for each GPU, as high as it is busy; `?` where it cannot be read."""
    spans: list[tuple[str, str]] = []
    for value in utils:
        glyph = _step(value, 100.0)
        style = "dim" if not glyph or value is None else "bar-rest" if value < 0.5 else WORK
        if spans and spans[-1][1] == style:
            spans[-1] = (spans[-1][0] + (glyph or "?"), style)
        else:
            spans.append((glyph or "?", style))
    return tuple(spans) or DASH


def _step(value: float | None, top: float) -> str:
    if value is None or isnan(value) or top <= 0:
        return ""
    return _STEPS[min(len(_STEPS) - 1, max(0, int(value / top * len(_STEPS))))]


# --------------------------------------------------------------------------------------------------- states


def marker(bad: bool, warn: bool = False) -> Cell:
    """`! ` in front of what needs somebody, two spaces in front of the rest."""
    return (("! ", "bad" if bad else "warn"),) if bad or warn else (("  ", ""),)


def host_state(state: HostState, warnings: bool = False) -> Cell:
    """Where the connection stands, in words; `up !` while something on the host is not well."""
    word, style = _HOST_STATES[state]
    if warnings and state is HostState.UP:
        return ((word + " !", "warn"),)
    return ((word, style),)


def needs_help(state: HostState) -> bool:
    """Whether a host in this state needs somebody: it is neither fine, nor left out, nor on its way."""
    return state in (HostState.DOWN, HostState.AUTH, HostState.HOST_KEY)


def state(name: str, health: str | None = None, exit_code: int | None = None) -> Cell:
    """A container's state in Docker's words; what went wrong is said after it."""
    style = _CONTAINER_STYLES.get(name, "dim")
    if name == "running" and health:
        if health == "unhealthy":
            return (("running !", "bad"), (" unhealthy", "bad"))
        return ((name, style), (" " + printable(health, 20), "warn" if health == "starting" else "dim"))
    if name == "exited" and exit_code:
        return ((name, "dim"), (f" {exit_code}", "warn"))
    return ((printable(name, 40) or UNKNOWN, style),)


def free(count: int | None, total: int | None) -> Cell:
    """`2/8` GPUs free: stands out as soon as there is one."""
    if count is None or total is None:
        return DASH
    if not total:
        return (("none", "dim"),)
    return ((f"{count}/{total}", "free" if count else "dim"),)


# -------------------------------------------------------------------------------------------------- numbers


def number(value: float | None, digits: int = 0, width: int = 0, unit: str = "") -> Cell:
    """A number with a fixed count of decimals, right-aligned to `width`."""
    if value is None or isnan(value):
        return ((UNKNOWN.rjust(width), "dim"),)
    return ((f"{value:.{digits}f}{unit}".rjust(width), ""),)


def size(count: int | None) -> Cell:
    """`71.2 G`, seven cells."""
    return ((words.size(count).rjust(7), "" if count is not None else "dim"),)


def rate(per_second: int | None) -> Cell:
    """`1.4 M/s`, eight cells."""
    if per_second is None:
        return ((UNKNOWN.rjust(8), "dim"),)
    return (((words.size(per_second) + "/s").rjust(8), ""),)


def temperature(celsius: float | None) -> Cell:
    """`67°`, with a `!` from 90 degrees."""
    if celsius is None:
        return ((UNKNOWN.rjust(5), "dim"),)
    style = "bad" if celsius >= 90 else "warn" if celsius >= 83 else ""
    return ((f"{celsius:.0f}°{'!' if celsius >= 90 else ''}".rjust(5), style),)


def power(watts: float | None, limit: float | None = None) -> Cell:
    """`612/700 W`, eleven cells."""
    if watts is None:
        return ((UNKNOWN.rjust(11), "dim"),)
    numbers = f"{watts:.0f} W" if limit is None else f"{watts:.0f}/{limit:.0f} W"
    return ((numbers.rjust(11), ""),)


def duration(seconds: float | None, style: str = "") -> Cell:
    """`3 h`, `1 m 40 s`, eight cells."""
    if seconds is None:
        return ((UNKNOWN.rjust(8), "dim"),)
    return ((words.duration(seconds).rjust(8), style),)


def age(since: datetime | None, now: datetime | None = None, style: str = "") -> Cell:
    """How long ago something was, eight cells."""
    return ((words.age(since, now).rjust(8), style if since else "dim"),)


# -------------------------------------------------------------------------------------------------- lists


def ports(entries: Iterable[str]) -> Cell:
    """Ports from `docker ps` notation, short: `8888` is this machine only, `*:80→8080` open to the network.

    The IPv4 and IPv6 half of one publication is shown once; what is exposed but not published is dim.
    """
    published: list[str] = []
    exposed: list[str] = []
    for entry in entries:
        outside, arrow, inside = entry.partition("->")
        if not arrow:
            exposed.append(entry.removesuffix("/tcp"))
            continue
        inside = inside.removesuffix("/tcp")
        address, _, public = outside.rpartition(":")
        prefix = "" if address in ("127.0.0.1", "::1", "[::1]") else "*:"
        if address not in ("", "0.0.0.0", "::", "[::]") and prefix:  # noqa: S104
            prefix = address + ":"
        short = prefix + public + ("" if public == inside else "→" + inside)
        if short not in published:
            published.append(short)
    if not published and not exposed:
        return DASH
    return join(
        ((printable(" ".join(published)), ""),) if published else EMPTY,
        ((printable(" ".join(exposed)), "dim"),) if exposed else EMPTY,
        gap=" ",
    )


def owners(names: Iterable[str]) -> Cell:
    """Users, joined by commas; a dim dash for nobody."""
    return plain(", ".join(name for name in names if name))
