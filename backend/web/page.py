"""What a browser gets: pages of ours, textual-serve's script and font, and headers that keep the rest out.

textual-serve's own page asks the web for a font; this one asks nobody, and the browser is told not to.
"""

from __future__ import annotations

import html
from importlib.resources import files
from pathlib import Path

SECURITY = {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self' 'unsafe-inline'",  # xterm.js styles its cells in the page
            "connect-src 'self'",
            "font-src 'self'",
            "img-src 'self' data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    ),
    "Cross-Origin-Opener-Policy": "same-origin",  # what a link opens cannot reach back
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "clipboard-read=(), camera=(), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
"""On every answer. `clipboard-read`: a program in a container could ask the page's terminal for it."""

FONT_SIZES = range(6, 41)
"""Pixels that `?fontsize=` may ask for."""
FONT_SIZE = 15

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>berth</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/static/css/xterm.css">
<link rel="stylesheet" href="/ours/berth.css">
<script src="/static/js/textual.js"></script>
<script src="/ours/berth.js" defer></script>
</head>
<body>
<div id="terminal" class="textual-terminal" data-session-websocket-url="{websocket}"
 data-font-size="{size}"></div>
<p class="starting">berth starts ...</p>
<p class="closed">This dashboard has ended. <a id="again" href="/">Open it again</a></p>
</body>
</html>
"""
_WORDS = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>berth</title>
<link rel="icon" href="data:,">
{more}<style>body {{ font: 16px/1.5 monospace; margin: 4em; max-width: 44em; }}</style>
</head>
<body>{lines}</body>
</html>
"""


def dashboard(host: str, *, secure: bool, font_size: str) -> str:
    """The page of the dashboard. `host`: as the browser knows us, checked before."""
    size = int(font_size) if font_size.isdecimal() and len(font_size) < 4 else FONT_SIZE
    return _PAGE.format(
        websocket=html.escape(f"{'wss' if secure else 'ws'}://{host}/ws", quote=True),
        size=size if size in FONT_SIZES else FONT_SIZE,
    )


def entrance() -> str:
    """After the token was right: on to the dashboard, by a step of this page's own.

    A redirect would not do: after a link from another page browsers keep a Strict cookie back on it. A step
    that a page takes at once is put in the place of its address, token and all, in the history.
    """
    return onward("/")


def onward(url: str) -> str:
    """A page that leads to another one at once."""
    there = html.escape(url, quote=True)
    return _words(
        f'<p><a href="{there}">To the dashboard</a></p>',
        more=f'<meta http-equiv="refresh" content="0; url={there}">\n',
    )


def refusal(*lines: str) -> str:
    """Why not, and what to do."""
    return _words("".join(f"<p>{html.escape(line)}</p>" for line in lines))


def _words(lines: str, more: str = "") -> str:
    return _WORDS.format(lines=lines, more=more)


def ours() -> Path:
    """Folder of our own style and script."""
    return Path(str(files("backend.web"))) / "static"


def theirs() -> Path:
    """Folder of textual-serve's script (xterm.js), style and font."""
    return Path(str(files("textual_serve"))) / "static"
