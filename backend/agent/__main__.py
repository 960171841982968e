"""`python -m backend.agent`, and the program in the zipapp."""

from __future__ import annotations

import sys


def start() -> None:
    """The agent of a dashboard, or by the first word the queue, a build, an output; each loads its part."""
    if sys.argv[1:2] == ["queue"]:
        from .queue.entry import main as queue

        raise SystemExit(queue(sys.argv[2:]))
    if sys.argv[1:2] == ["build"]:
        from .builds.entry import main as build

        raise SystemExit(build(sys.argv[2:]))
    if sys.argv[1:2] == ["output"]:
        from .outputs.entry import main as output

        raise SystemExit(output())
    from .main import main

    main()


if __name__ == "__main__":
    start()
