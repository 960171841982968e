"""Where berth keeps its files on this machine. Each can be moved by an environment variable."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

APP = "berth"


def config_dir(chosen: Path | None = None) -> Path:
    """Where the configuration is: `chosen`, else `$BERTH_CONFIG_DIR`, else the platform's place."""
    if chosen is not None:
        return absolute(chosen)
    if named := os.environ.get("BERTH_CONFIG_DIR"):
        return absolute(Path(named))
    import platformdirs

    return platformdirs.user_config_path(APP, appauthor=False)


def state_dir() -> Path:
    """What berth remembers (activity, last context): `$BERTH_STATE_DIR`, else the platform's place."""
    if named := os.environ.get("BERTH_STATE_DIR"):
        return absolute(Path(named))
    import platformdirs

    return platformdirs.user_state_path(APP, appauthor=False)


def cache_dir() -> Path:
    """What can be made again at any time: `$BERTH_CACHE_DIR`, else the platform's place."""
    if named := os.environ.get("BERTH_CACHE_DIR"):
        return absolute(Path(named))
    import platformdirs

    return platformdirs.user_cache_path(APP, appauthor=False)


def absolute(path: Path, base: Path | None = None) -> Path:
    """`path` with `~` expanded, and made absolute from `base` (default: the current folder)."""
    # Not resolve(): a link in the path is the user's choice and stays.
    return Path(os.path.normpath((base or Path.cwd()) / expanded(path)))


def expanded(path: str | Path) -> Path:
    """A path of this machine as people write it, with `~` expanded.

    A `~name` nobody here is called, or a `~` without a home, is left as it is written.
    """
    path = Path(path)
    with contextlib.suppress(RuntimeError):
        return path.expanduser()
    return path
