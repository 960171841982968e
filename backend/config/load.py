"""The whole configuration directory to one `Config`."""

from __future__ import annotations

from pathlib import Path

from backend.config.paths import config_dir
from backend.config.schema import LOCAL, Config, HostConfig


def load(directory: Path | None = None) -> Config:
    """Read the configuration; without any file, this machine alone with all defaults."""
    where = config_dir(directory)
    return Config(directory=where, hosts=(HostConfig(name=LOCAL, host=LOCAL, local=True),))
