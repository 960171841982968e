"""`berth`: the dashboard, or with a verb the command line. The screen is loaded only for the dashboard."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backend.config import Config


def main() -> int:
    """The exit code of this command line."""
    gc.disable()  # what is loaded at the start is no garbage
    from backend.cli import main as run

    gc.enable()
    try:
        return run(sys.argv[1:], dashboard=_dashboard)
    finally:
        gc.freeze()  # or the interpreter would look for garbage on its way out, again and again


def _dashboard(config: Config, read_only: bool) -> int:
    gc.disable()  # until the screen is there: nothing of what is imported and made for it is garbage
    from tui.opening import run

    return run(config, read_only=read_only)


if __name__ == "__main__":
    sys.exit(main())
