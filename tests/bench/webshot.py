"""screenshots/web.png: the dashboard as `berth serve` shows it, taken in a real browser."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from asyncio.subprocess import PIPE
from pathlib import Path

from tests.browser import Browser
from tests.lab import Lab

SIZE = (1360, 780)
"""Pixels of the page."""


async def take(lab: Lab, folder: Path) -> Path:
    """The picture's path."""
    path = folder / "web.png"
    with tempfile.TemporaryDirectory(prefix="berth-web-") as state:
        environment = os.environ | {"BERTH_CONFIG_DIR": str(lab.config_dir), "BERTH_STATE_DIR": state}
        argv = [sys.executable, "-m", "tui", "serve", "--port", "0"]
        serve = await asyncio.create_subprocess_exec(*argv, env=environment, stdout=PIPE)
        try:
            assert serve.stdout is not None
            url = (await serve.stdout.readline()).decode().strip()
            async with Browser() as browser:
                page = await browser.open(url, SIZE)
                await page.until("hosts ")
                await page.key("3")
                await page.until("─ Containers ")
                await page.key("j")
                await asyncio.sleep(10)  # something to plot
                await page.picture(path)
        finally:
            serve.terminate()
            await serve.wait()
    return path
