"""Taking lines away: to the clipboard, to a file."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from textual.app import App

from backend.errors import BerthError
from backend.logs.follower import Target
from backend.logs.lines import LogLine
from backend.text import printable
from tui.clipboard import LIMIT


def copy(app: App[Any], lines: Sequence[LogLine]) -> None:
    """Put lines on the clipboard, without colours, and say how many."""
    if not lines:
        return
    text = "\n".join(line.plain for line in lines)
    app.copy_to_clipboard(text)
    said = "1 line" if len(lines) == 1 else f"{len(lines):,} lines"
    if len(text.encode()) > LIMIT:
        said += f"; terminals take the first {LIMIT // 1000} KB. ctrl+s saves all."
    app.notify(said, title="Copied", markup=False, timeout=3)


async def save(app: App[Any], lines: Sequence[LogLine], targets: Sequence[Target], where: str) -> None:
    """Write lines to a file, and say where it is, or why it is not."""
    from backend.config.paths import absolute
    from backend.logs import save as saving

    path = absolute(Path(where)) if where else saving.new_path(targets)
    try:
        await asyncio.to_thread(saving.save, lines, targets, path)
    except BerthError as error:
        app.notify(printable(str(error)), title=error.title, severity="error", markup=False, timeout=10)
    else:
        said = f"{len(lines):,} line{'' if len(lines) == 1 else 's'} to {printable(str(path), 200)}"
        app.notify(said, title="Saved", markup=False, timeout=8)
        if app.is_web:  # whoever sits before a page may have no other way to that file
            app.deliver_binary(path, open_method="download", mime_type="text/plain")
