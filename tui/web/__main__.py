"""`python -m tui.web --size 120x40 [--config DIR] [--read-only]`: started by `berth serve` alone."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from pathlib import Path

from backend.errors import BerthError, exit_code_for
from backend.text import printable
from tui.web.channel import Channel

DRIVER = "TEXTUAL_DRIVER"


def main() -> int:
    """The exit code of this tab's dashboard."""
    gc.disable()  # as for the dashboard in a terminal: nothing of what is imported is garbage
    options = _options()
    channel = Channel(*options.size)
    try:
        return _run(options)
    except BerthError as error:
        print(f"berth: {printable(str(error))}", file=sys.stderr)
        return exit_code_for(error)
    finally:
        channel.close()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tui.web", description=__doc__, allow_abbrev=False)
    parser.add_argument("--size", type=_size, default=(80, 24))
    parser.add_argument("--config", type=Path)
    parser.add_argument("--read-only", action="store_true")
    return parser.parse_args()


def _size(written: str) -> tuple[int, int]:
    columns, rows = written.split("x")
    return int(columns), int(rows)


def _run(options: argparse.Namespace) -> int:
    import msgspec

    from backend.config import load

    config = load(options.config)
    # There is no tmux around a page, whatever the settings are for terminals.
    settings = msgspec.structs.replace(config.settings, terminal="here")
    config = msgspec.structs.replace(config, settings=settings)
    os.environ[DRIVER] = "tui.web.driver:TabDriver"  # Textual reads it when it is loaded
    from tui.opening import run

    del os.environ[DRIVER]  # not for what is started from here
    return run(config, read_only=options.read_only)


if __name__ == "__main__":
    sys.exit(main())
