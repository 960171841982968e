"""A text in the person's own editor."""

from __future__ import annotations

import asyncio
import os
import shlex
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from backend.errors import ActionFailed

if TYPE_CHECKING:
    from backend.actions.context import ActionContext


def command() -> list[str]:
    """The editor: $VISUAL, else $EDITOR, else vi. It may hold options, as for git."""
    return shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")


async def edit(ctx: ActionContext, text: str, name: str) -> str:
    """`text` as the person leaves it. Raises `ActionFailed` where the editor does not run or fails.

    The front end lends its terminal meanwhile (`ctx.voice.lend_terminal`).
    """
    argv = command()
    with tempfile.TemporaryDirectory(prefix="berth-") as folder:
        file = Path(folder) / name
        file.write_text(text, encoding="utf-8")
        async with ctx.voice.lend_terminal():
            try:
                editor = await asyncio.create_subprocess_exec(*argv, str(file))
            except OSError as error:
                raise ActionFailed(
                    f"the editor {argv[0]} cannot be started: {error.strerror}.", hint="Set $EDITOR."
                ) from None
            try:
                code = await editor.wait()
            except asyncio.CancelledError:
                editor.terminate()
                await editor.wait()
                raise
        if code:
            raise ActionFailed(f"the editor {argv[0]} ended with {code}; nothing was changed.")
        return file.read_text(encoding="utf-8", errors="replace")
