"""Which folders of a context can be one link to where they come from, instead of a copy or many links."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backend.recipes.context import Entry


def leads_away(entry: Entry) -> bool:
    """Whether it is a link that may not be told from one that stands for a file."""
    if not entry.source or not Path(entry.source).is_symlink():
        return False
    leads = Path(entry.source).readlink()
    return leads.is_absolute() or ".." in leads.parts


def whole_folders(entries: Sequence[Entry]) -> set[str]:
    """Targets of folders of which everything is part of the context, as it is and nothing else."""
    folders = {entry.target: entry.source for entry in entries if entry.source and _is_folder(entry.source)}
    below: dict[str, set[str]] = {target: set() for target in folders}
    partial: set[str] = set()
    for entry in entries:
        above, _, name = entry.target.rpartition("/")
        natural = entry.source == f"{folders.get(above)}/{name}" and entry.mode is None and not entry.text
        if natural:
            below[above].add(name)
        else:
            partial.update(_above(entry.target))
    for target, source in folders.items():
        if below[target] != _names(source):
            partial.update((target, *_above(target)))
    return set(folders) - partial


def _is_folder(source: str) -> bool:
    return Path(source).is_dir() and not Path(source).is_symlink()


def _above(target: str) -> Iterable[str]:
    """All folders that it lies in."""
    while target := target.rpartition("/")[0]:
        yield target


def _names(folder: str) -> set[str]:
    try:
        return set(os.listdir(folder))  # noqa: PTH208  # names are what is wanted
    except OSError:
        return {""}  # never the same
