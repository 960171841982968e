"""The whole configuration directory to one `Config`."""

from __future__ import annotations

import os
from pathlib import Path

from backend.config.contexts import read_contexts
from backend.config.hosts import read_hosts
from backend.config.paths import config_dir
from backend.config.schema import Config
from backend.config.settings import FILE as SETTINGS
from backend.config.settings import read_settings
from backend.config.sync import FILE as SYNC
from backend.config.sync import read_sync
from backend.errors import ConfigError

HOSTS = "hosts.yaml"
CONTEXTS = "contexts"


def load(directory: Path | None = None) -> Config:
    """Read the configuration; without any file, this machine alone with all defaults.

    `directory` defaults to `$BERTH_CONFIG_DIR`, else the platform's place. Raises `ConfigError` for the first
    thing that is wrong.
    """
    where = config_dir(directory)
    for name in (HOSTS, SETTINGS, SYNC):
        other = where / name.replace(".yaml", ".yml")
        if os.path.lexists(other):
            raise ConfigError(f"{other}: would be passed over.", hint=f"Rename it to {name}.")
    hosts = read_hosts(where / HOSTS)
    settings = read_settings(where / SETTINGS)
    profiles, keeping = read_sync(where / SYNC, hosts, settings.folders)
    return Config(
        directory=where,
        hosts=hosts,
        contexts=read_contexts(where / CONTEXTS, hosts),
        settings=settings,
        profiles=profiles,
        keeping=keeping,
    )
