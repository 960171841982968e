"""A configuration directory that a test fills."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from backend.config import Config, load
from backend.errors import ConfigError


class Folder:
    """Writes files, reads the configuration, and gives the error's text where there is one."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, text: str | bytes) -> Path:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file

    def hosts(self, text: str | bytes) -> Config:
        self.write("hosts.yaml", text)
        return load(self.path)

    def context(self, text: str, name: str = "train") -> Config:
        self.write(f"contexts/{name}.yaml", text)
        return load(self.path)

    def settings(self, text: str | bytes) -> Config:
        self.write("settings.yaml", text)
        return load(self.path)

    def error(self, read: Callable[[], object]) -> str:
        """The error's message and hint, with the folder's own path cut off."""
        with pytest.raises(ConfigError) as caught:
            read()
        assert caught.value.exit_code == 2
        return str(caught.value).replace(f"{self.path}/", "")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)
