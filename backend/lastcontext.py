"""Which context was used last: what verbs mean when none is named."""

from __future__ import annotations

from backend.config.paths import state_dir

FILE = "last-context"


def last_context() -> str | None:
    """Its name; None where none was used, or it cannot be read."""
    try:
        return (state_dir() / FILE).read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError):
        return None
