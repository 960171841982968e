"""tmux panes that are looked at from afar: what they show now, and what is worth an alert."""

from backend.wall.alerts import Alarms, Alert, SessionKey, Watch, session_key
from backend.wall.feed import Feed, Source
from backend.wall.images import Album, Image, PaneKey

__all__ = [
    "Alarms",
    "Album",
    "Alert",
    "Feed",
    "Image",
    "PaneKey",
    "SessionKey",
    "Source",
    "Watch",
    "session_key",
]
