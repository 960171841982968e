"""What all views share: where rows come from, and the choices that are remembered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from textual.message import Message

from backend.history import History
from backend.model import FleetState
from backend.rows import RowBuilder


@dataclass
class Sources:
    """What rows are made from; one for the whole app."""

    builder: RowBuilder
    history: History
    state: FleetState
    columns: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """View name to the chosen columns."""
    sort: dict[str, str] = field(default_factory=dict)
    """View name to the column it is sorted by; `-column` is descending."""


class SettingChanged(Message):
    """A choice was made that berth should remember: a key of settings.yaml and its whole new value."""

    def __init__(self, setting: str, value: dict[str, Any]) -> None:
        super().__init__()
        self.setting, self.value = setting, value
