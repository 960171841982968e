"""The real program against hosts of a lab."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import program
from tests.lab import Lab

Berth = Callable[..., subprocess.CompletedProcess]


@pytest.fixture
def berth(lab: Lab, tmp_path: Path) -> Berth:
    """Runs it with a home of its own on this machine."""
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text("[user]\nname = Ann O'Neil\nemail = ann@example.org\n")
    own = {"BERTH_STATE_DIR": str(tmp_path / "state"), "HOME": str(home)}

    def run(*words: str, code: int = 0, config: Path = lab.config_dir) -> subprocess.CompletedProcess:
        return program.berth(*words, env={**os.environ, "BERTH_CONFIG_DIR": str(config), **own}, code=code)

    return run
