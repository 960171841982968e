"""Changing the text of a file: one value of it, or all in the person's own editor."""

from __future__ import annotations

import asyncio
import os
import shlex
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from backend.errors import ActionFailed, ConfigError

if TYPE_CHECKING:
    from backend.actions.context import ActionContext


def with_value(text: str, key: str, value: object) -> str:
    """YAML with one top-level key replaced, added at the end, or removed (None). The rest stays as written.

    Raises `ConfigError` where the text is not one block of keys.
    """
    import yaml

    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        said = " ".join(str(error).split())[:200]
        raise ConfigError(f"the file is no YAML: {said}.", hint="Use: berth context edit") from None
    fresh = "" if value is None else yaml.safe_dump({key: value}, sort_keys=False, allow_unicode=True)
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    if not isinstance(root, yaml.MappingNode) or root.flow_style:
        raise ConfigError("the file is not written as one key a line.", hint="Use: berth context edit")
    for name, node in root.value:
        if name.value == key:
            first = name.start_mark.line
            last = max(first + 1, node.end_mark.line + (1 if node.end_mark.column else 0))
            while last > first + 1 and (lines[last - 1][0] == "#" or not lines[last - 1].strip()):
                last -= 1  # a block ends where the next key begins: what is said above that is about that
            return "".join([*lines[:first], fresh, *lines[last:]])
    return "".join([*lines, fresh])


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
