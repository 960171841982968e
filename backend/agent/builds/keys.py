"""Private keys in an image of a node: found by find_keys.py of the toolkit, which was sent with the job."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from typing import Any, Dict, List

from ..outputs.source import FailedError
from .service import Engine

PROGRAM = "find_keys.py"
_SAID = 400


def find(folder: str, engine: Engine, image: str) -> List[Dict[str, Any]]:
    """All finds, as find_keys.py tells them. Raises FailedError where it did not come to the end."""
    option = "-H" if engine.kind == "docker" else "--url"
    ask = [engine.kind, option, f"unix://{engine.socket}"]
    finds: List[Dict[str, Any]] = []
    done = False
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, os.path.join(folder, PROGRAM), "save", image, *ask],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
        )
        try:
            assert process.stdout is not None
            for line in process.stdout:
                told = json.loads(line)
                if "found" in told:
                    finds.append(told["found"])
                done = done or "done" in told
        except ValueError:
            done = False
            process.kill()  # nobody reads on, and it would wait for that
        finally:
            if sys.exc_info()[0] is not None:
                process.kill()
            code = process.wait()
        if code or not done:
            said.seek(0)
            why = said.read()[-_SAID:].decode("utf-8", "replace").strip() or f"exit {code}"
            raise FailedError(f"{image} could not be searched for keys ({why}); --no-check writes it anyway")
    return finds
