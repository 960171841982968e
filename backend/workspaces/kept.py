"""Tokens of services on this side, in files that only their owner can read."""

from __future__ import annotations

import html
import re
from pathlib import Path

from backend import atomic
from backend.config import Context, state_dir
from backend.errors import ActionFailed


def token(context: Context, name: str) -> str:
    """What was kept of a service; empty where nothing was."""
    try:
        return _path(context, name).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def keep(context: Context, name: str, text: str) -> None:
    """Keep the token of a service that is about to start."""
    _write(_path(context, name), text + "\n")


def page(context: Context, name: str, url: str) -> str:
    """Address of a local page that leads to `url`: all can see a browser's arguments, and not the file."""
    place = _path(context, name).with_suffix(".html")
    there = html.escape(url, quote=True)
    _write(
        place,
        f'<!doctype html><meta http-equiv="refresh" content="0; url={there}"><a href="{there}">go</a>\n',
    )
    return place.as_uri()


def _path(context: Context, name: str) -> Path:
    plain = re.sub(r"[^A-Za-z0-9_.-]", "_", f"{context.host}-{context.name}")
    return state_dir() / "services" / f"{plain}-{name}.token"


def _write(path: Path, text: str) -> None:
    try:
        atomic.write(path, text, durable=False)
    except OSError as error:
        raise ActionFailed(f"{path} cannot be written: {error.strerror or error}.") from None
