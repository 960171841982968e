"""The real program, as a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path


def berth(
    *words: str, env: Mapping[str, str], code: int | None = 0, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `berth` with these words to its end; it has to end with that `code`, unless that is None."""
    done = subprocess.run(
        [sys.executable, "-m", "tui", *words],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert code is None or done.returncode == code, (done.stdout, done.stderr)
    return done
