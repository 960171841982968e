"""The real dashboard on a recorded fleet: `python -m tests.bench.dashboard SOCKET HOSTS`."""

from __future__ import annotations

import sys
from pathlib import Path

from backend.config import Config, HostConfig


def main(socket: str, hosts: int) -> None:
    """Open it; `q` ends it."""
    from tui.app import BerthApp

    def fleet(config: Config):
        from backend.fleet import Fleet
        from tests.bench.replay import opener

        return Fleet(config, opener=opener(socket))

    names = (f"host-{number:03d}" for number in range(hosts))
    config = Config(
        directory=Path("/nonexistent"), hosts=tuple(HostConfig(name=name, host=name) for name in names)
    )
    BerthApp(config, fleet_factory=fleet).run()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
