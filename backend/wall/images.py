"""What panes show, put together from the changes that agents send. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from backend.text import printable
from backend.wire import PaneChange

ROWS = 500
"""Rows of a pane that are kept."""
SIZE = 4 * 2**20
"""Characters of a pane that are kept, colours among them; a screen full of colours has half a million."""


class PaneKey(NamedTuple):
    """One pane of the fleet."""

    host: str
    socket: str
    pane: str
    """tmux's `%N`."""


@dataclass
class Image:
    """What a pane shows. The text is as tmux captured it: hostile, with SGR sequences."""

    number: int = 0
    width: int = 0
    height: int = 0
    cursor: tuple[int, int] | None = None
    """Column and row; None while it is hidden."""
    gone: bool = False
    """There is no such pane any more; the rest is what it showed last."""
    lines: dict[int, str] = field(default_factory=dict)
    """Row to its text; rows that are not there are empty. Colours go on from one row to the next."""

    @property
    def plain(self) -> list[str]:
        """The rows up to the last that is not empty, without colours, safe to show."""
        last = max(self.lines, default=-1)
        return [printable(self.lines.get(row, ""), 4096) for row in range(last + 1)]


class Album:
    """The images of all panes that somebody looks at."""

    def __init__(self) -> None:
        self._images: dict[PaneKey, Image] = {}
        self._torn: set[PaneKey] = set()

    def __getitem__(self, key: PaneKey) -> Image | None:
        return self._images.get(key)

    def needs_whole(self, key: PaneKey) -> bool:
        """Whether a change came that did not fit, or nothing at all."""
        return key in self._torn or key not in self._images

    def take(self, host: str, change: PaneChange) -> PaneKey | None:
        """Put a change in; the pane that looks different now, None where it did not fit."""
        key = PaneKey(host, change.socket, change.pane)
        image = self._images.get(key)
        if change.gone:
            if image is not None and image.gone:
                return None
            self._images[key] = image = image or Image()
            image.gone, image.number = True, change.number
            return key
        if change.base is None:
            image = self._images[key] = Image()
            self._torn.discard(key)
        elif image is None or image.number != change.base or image.gone:
            self._torn.add(key)
            return None
        image.number = change.number
        image.width, image.height, image.cursor = change.width, change.height, change.cursor
        for row, text in change.lines.items():
            if text and 0 <= row < ROWS:
                image.lines[row] = text
            else:
                image.lines.pop(row, None)
        if sum(map(len, image.lines.values())) > SIZE:
            image.lines.clear()  # no terminal is that large
            self._torn.add(key)
        return key

    def forget(self, keep: set[PaneKey]) -> None:
        """Drop the images of all other panes."""
        self._images = {key: image for key, image in self._images.items() if key in keep}
        self._torn &= keep
