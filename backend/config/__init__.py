"""Configuration: YAML files to typed, checked structs, with errors that name file, line and key."""

from backend.config.load import load
from backend.config.paths import cache_dir, config_dir, state_dir
from backend.config.schema import LOCAL, Config, Context, HostConfig, RuntimeOptions, Settings

__all__ = [
    "LOCAL",
    "Config",
    "Context",
    "HostConfig",
    "RuntimeOptions",
    "Settings",
    "cache_dir",
    "config_dir",
    "load",
    "state_dir",
]
