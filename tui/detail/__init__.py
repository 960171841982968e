"""Everything about one host, GPU, container, context or session, with its past: the detail pane.

One file per kind of target turns a row into a `Page` (`host.py`, `gpu.py`, `container.py`, `context.py`,
`session.py`); `pane.py` lists them and keeps what is on the screen up to date.
"""

from tui.detail.pane import DetailPane, Target

__all__ = ["DetailPane", "Target"]
