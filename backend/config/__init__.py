"""Configuration: YAML files to typed, checked structs, with errors that name file, line and key."""

from backend.config.load import load
from backend.config.paths import cache_dir, config_dir, state_dir
from backend.config.schema import (
    LOCAL,
    Config,
    Context,
    Folders,
    HostConfig,
    Keeping,
    RuntimeOptions,
    Settings,
    SyncProfile,
    SyncRule,
)
from backend.config.settings import change_settings, save_settings

__all__ = [
    "LOCAL",
    "Config",
    "Context",
    "Folders",
    "HostConfig",
    "Keeping",
    "RuntimeOptions",
    "Settings",
    "SyncProfile",
    "SyncRule",
    "cache_dir",
    "change_settings",
    "config_dir",
    "load",
    "save_settings",
    "state_dir",
]
