"""The part that speaks SSH is imported without starting a compiler."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_no_compiler_is_started_and_find_library_is_as_it_was(tmp_path: Path) -> None:
    told = tmp_path / "told"
    for name in ("gcc", "cc", "ld"):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\necho {name} >>{told}\nexit 1\n")
        program.chmod(0o755)
    code = (
        "import ctypes.util as u, sys; was = u.find_library, u._findLib_gcc\n"
        "from backend.link import loading; found = loading.connect()\n"
        "assert found.asyncssh is sys.modules['asyncssh'] and was == (u.find_library, u._findLib_gcc)\n"
    )
    path = f"{tmp_path}/bin:{os.environ['PATH']}"
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PATH": path})
    assert not told.exists()
