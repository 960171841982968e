"""`python -m backend.agent`, and the program in the zipapp."""

from __future__ import annotations

import sys


def start() -> None:
    """The agent of a dashboard, or with `queue` as first word the queue; each loads its own part."""
    if sys.argv[1:2] == ["queue"]:
        from .queue.entry import main as queue

        raise SystemExit(queue(sys.argv[2:]))
    from .main import main

    main()


if __name__ == "__main__":
    start()
