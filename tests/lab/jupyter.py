"""JupyterLab and Python's kernel in a container, as people have them there: fetched once, then cached."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.lab import parts
from tests.lab.host import Host
from tests.lab.machine import cache, machine_lock

PLACE = "/opt/site"
_PACKAGES = ("jupyterlab", "ipykernel")
_PROGRAMS = {"lab": "jupyterlab", "server": "jupyter_server"}
_SCRIPT = """\
#!/bin/sh
export PYTHONPATH={place} JUPYTERLAB_DIR={place}/share/jupyter/lab
exec python3 -m {module} "$@"
"""


def site() -> Path:
    """A tar of a folder `site`, for this Python's version, which is that of the lab's Debian.

    Skips the test where it cannot be fetched.
    """
    target = cache() / f"jupyterlab-{sys.version_info[0]}.{sys.version_info[1]}.tar"
    with machine_lock("jupyterlab"):
        if not target.exists():
            with tempfile.TemporaryDirectory(dir=cache()) as folder:
                argv = [
                    sys.executable,
                    "-m",
                    "pip",
                    "install",
                    "-q",
                    "--target",
                    f"{folder}/site",
                    *_PACKAGES,
                ]
                done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300)
                if done.returncode:
                    parts.lack(f"JupyterLab cannot be fetched: {done.stderr[-200:]}")
                part = target.with_suffix(".part")
                subprocess.run(["tar", "-cf", part, "-C", folder, "site"], check=True)
                part.replace(target)
    return target


def install(host: Host, container: str, *programs: str) -> None:
    """Put it into a running container with Python; of its programs only these: `lab`, `server`."""
    host.docker("cp", "-", f"{container}:{Path(PLACE).parent}", data=site().read_bytes())
    for program in programs:
        text = _SCRIPT.format(place=PLACE, module=_PROGRAMS[program])
        file = f"/usr/local/bin/jupyter-{program}"
        host.docker("exec", "-i", container, "sh", "-c", f"cat >{file}; chmod 755 {file}", data=text.encode())
