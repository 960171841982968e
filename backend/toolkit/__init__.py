"""Scripts that berth runs on hosts and in containers. Each stands alone; Python ones run by 3.8 or later."""

from __future__ import annotations

from importlib.resources import files


def source(name: str) -> str:
    """The text of a script of this folder."""
    return (files("backend.toolkit") / name).read_text(encoding="utf-8")
