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


def test_certificates_are_left_out_only_where_the_library_can_do_without(tmp_path: Path) -> None:
    def modules(**texts: str) -> str:
        """A library of that name on a path of its own."""
        folder = tmp_path / str(len(list(tmp_path.iterdir()))) / "asyncssh" / "crypto"
        folder.mkdir(parents=True)
        for name in ("x509", "__init__"):
            (folder / f"{name}.py").touch()
        for name, text in texts.items():
            (folder.parent / f"{name}.py").write_text(text)
        return str(folder.parents[1])

    optional = "try:\n    from .crypto import x509\nexcept ImportError:\n    x509 = None\n"
    code = (
        "import sys; from backend.link import loading; loading._library(); import asyncssh\n"
        "assert (asyncssh.keys.x509 is None) == (sys.argv[1] == 'without'), asyncssh.keys.x509\n"
        "import asyncssh.crypto.x509\n"
    )
    for first, found in (("", "without"), ("from .crypto.x509 import __name__ as needed\n", "with")):
        path = modules(__init__=f"from . import keys\n{first}", keys=optional)
        env = {**os.environ, "PYTHONPATH": path}
        subprocess.run([sys.executable, "-c", code, found], check=True, env=env)
