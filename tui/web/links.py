"""Links that berth opens: in the browser that shows the page, not in one of the machine that serves it."""

from __future__ import annotations

import html
import re
import webbrowser
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from backend.config.paths import state_dir

_ONWARD = re.compile(r'http-equiv="refresh" content="0; url=([^"]*)"')
_LARGEST = 10_000
"""Characters of a page that only leads on."""


class PageBrowser(webbrowser.BaseBrowser):
    """What `webbrowser.open` finds in a tab's process."""

    def __init__(self, open_url: Callable[[str], None]) -> None:
        super().__init__("page")
        self._open_url = open_url

    def open(self, url: str, new: int = 0, autoraise: bool = True) -> bool:
        """Have the page open it; False for what it cannot."""
        parts = urlsplit(url)
        if parts.scheme == "file":
            url = _where_to(Path(unquote(parts.path)))
        if urlsplit(url).scheme not in ("http", "https"):
            return False
        self._open_url(url)
        return True


def _where_to(path: Path) -> str:
    """Where a page of ours leads that keeps a token out of a browser's arguments: here there are none."""
    if not path.is_relative_to(state_dir()):
        return ""
    try:
        found = _ONWARD.search(path.read_text()[:_LARGEST])
    except (OSError, ValueError):
        return ""
    return html.unescape(found[1]) if found else ""
