"""`make screenshots`: the real dashboard on the lab's demo fleet, as SVG and PNG in screenshots/.

Everything that is seen came over SSH from the lab's hosts. Only the clock of the history runs faster, so that
a minute of watching fills the plots' hour.
"""

from __future__ import annotations

import argparse
import asyncio
import html
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from rich.cells import cell_len
from textual.pilot import Pilot

from backend.config import load
from backend.history import History, uptime
from backend.model import FleetState, HostState
from tests.bench import webshot
from tests.lab import Lab, demo
from tui.app import BerthApp

FOLDER = Path(__file__).parents[2] / "screenshots"
SPEED = 60
"""Seconds of history in a second of watching."""
_FONTS = "'DejaVu Sans Mono', 'Cascadia Mono', Menlo, Consolas, 'Liberation Mono', monospace"
_CELL = 12.2
"""Width of a cell in Textual's pictures."""
_WEB = "web"
"""The one that a browser takes."""
_SPACE = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True)
class Shot:
    """One picture."""

    name: str
    size: tuple[int, int]
    keys: tuple[str, ...]
    """Pressed after the view of the one before was left."""
    shows: str
    """Text that must be on the screen before the picture is taken."""
    theme: str = "berth-dark"
    png: bool = False


SHOTS = (
    Shot("fleet", (150, 38), ("1", "j"), "Load", png=True),
    Shot("down", (150, 38), ("1", "g"), "h100-3"),
    Shot("gpus", (150, 38), ("2",), "GPUs", png=True),
    Shot("containers", (150, 38), ("3",), "Containers", png=True),
    Shot("contexts", (150, 38), ("4",), "Contexts"),
    Shot("jobs", (150, 38), ("5", "j"), "queued", png=True),
    Shot("images", (150, 38), ("6", "t", "g", "j", "j", "j"), "never built", png=True),
    Shot("sessions", (150, 38), ("7",), "Sessions"),
    Shot("filter", (160, 30), ("3", "slash", *"alice", "enter"), "alice"),
    Shot("help", (120, 44), ("1", "question_mark"), "help"),
    Shot("gpu-detail", (120, 40), ("2", "j", "enter"), "Processes"),
    Shot("80x24", (80, 24), ("1",), "h100-1", png=True),
    Shot("40x20", (40, 20), ("1",), "h100-1", png=True),
    Shot("wide", (300, 80), ("2",), "GPUs"),
    Shot("light", (150, 38), ("2",), "GPUs", theme="berth-light", png=True),
    Shot("colour-blind", (150, 38), ("1",), "h100-1", theme="berth-colour-blind"),
)


class FastClock:
    """Runs `SPEED` times as fast as time, until it is slowed down."""

    def __init__(self) -> None:
        self._since, self._told, self._speed = uptime(), 10_000.0, SPEED

    def __call__(self) -> float:
        return self._told + (uptime() - self._since) * self._speed

    def slow_down(self) -> None:
        """Go on as time does."""
        self._told, self._since, self._speed = self(), uptime(), 1


async def take(lab: Lab, folder: Path, seconds: float, only: Sequence[str] = ()) -> list[Path]:
    """Watch the fleet for a while, then take every picture, or only some; their paths."""
    config = load(lab.config_dir)
    app = BerthApp(config)
    clock = FastClock()
    app.sources.history = History(clock=clock)
    ticking = asyncio.create_task(_work(lab))
    try:
        async with app.run_test(size=SHOTS[0].size) as pilot:
            await _until(pilot, lambda: _complete(app.sources.state), "every host's data")
            app.fleet.set_interval(0.5)
            await asyncio.sleep(seconds)
            clock.slow_down()
            wanted = [shot for shot in SHOTS if not only or shot.name in only]
            taken = [path for shot in wanted for path in await _shoot(app, pilot, shot, folder)]
        if not only or _WEB in only:
            taken.append(await webshot.take(lab, folder))
        return taken
    finally:
        ticking.cancel()


async def _work(lab: Lab) -> None:
    """The demo's GPUs at work."""
    step = 0
    while True:
        step += 1
        await asyncio.to_thread(demo.tick, lab, step)
        await asyncio.sleep(0.5)


async def _shoot(app: BerthApp, pilot: Pilot[Any], shot: Shot, folder: Path) -> list[Path]:
    app.theme = shot.theme
    await pilot.resize_terminal(*shot.size)
    await pilot.pause(0.3)
    await pilot.press(*shot.keys)
    await _until(pilot, lambda: re.search(shot.shows, _text(app)) is not None, shot.shows)
    await pilot.pause(1.0)
    picture = local_fonts(app.export_screenshot(title=f"berth  {shot.size[0]}x{shot.size[1]}"))
    await pilot.press("escape", "escape", "escape")
    path = folder / f"{shot.name}.svg"
    path.write_text(picture)
    return [path, png(path)] if shot.png else [path]


def _complete(state: FleetState) -> bool:
    hosts = state.hosts.values()
    return bool(state.hosts) and all(
        host.state not in (HostState.CONNECTING,)
        if host.state is not HostState.UP
        else host.usage and host.stats
        for host in hosts
    )


def _text(app: BerthApp) -> str:
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


async def _until(pilot: Pilot[Any], condition: Callable[[], Any], what: str) -> None:
    try:
        async with asyncio.timeout(60):
            while not condition():
                await pilot.pause(0.1)
    except TimeoutError:
        raise SystemExit(f"waited in vain for {what}; the screen:\n{_text(pilot.app)}") from None


def local_fonts(svg: str) -> str:
    """Without Textual's links to fonts on the web: a picture that is opened calls nobody."""
    svg = svg.replace("&#160;", _SPACE)
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r"@font-face\s*\{[^}]*\}", "", svg)
    svg = re.sub(r"font-family:\s*[^;]+;", f"font-family: {_FONTS};", svg)
    svg = re.sub(
        r'(<text [^>]*?)x="([\d.]+)"([^>]*?)textLength="[\d.]+"([^>]*)>([^<]*)</text>', _unpadded, svg
    )
    assert "http" not in svg.replace("http://www.w3.org/", ""), "the picture refers to the web"
    return svg


def _unpadded(text: re.Match[str]) -> str:
    """A span without the spaces around it, which some viewers drop and then draw the rest in their place."""
    start, x, length, rest, said = text.groups()
    lead = len(said) - len(said.lstrip(_SPACE))
    bare = said.strip(_SPACE)
    if not bare:
        return ""
    cells = cell_len(html.unescape(bare))
    return f'{start}x="{float(x) + lead * _CELL:g}"{length}textLength="{cells * _CELL:g}"{rest}>{bare}</text>'


def png(path: Path) -> Path:
    """The picture for those who cannot show SVG."""
    target = path.with_suffix(".png")
    width, height = (
        float(size) for size in re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', path.read_text()).groups()
    )
    with tempfile.TemporaryDirectory(prefix="berth-chromium-") as profile:
        argv = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        argv += [f"--user-data-dir={profile}", "--default-background-color=00000000"]
        argv += [f"--window-size={ceil(width)},{ceil(height)}", f"--screenshot={target}", path.as_uri()]
        subprocess.run(argv, check=True, capture_output=True, timeout=60)
    return target


def main() -> int:
    """Take them."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.screenshots", description=__doc__)
    parser.add_argument("--lab", type=Path, help="a demo lab that is up; default: one for the time")
    parser.add_argument("--seconds", type=float, default=75.0, help="how long to watch before (75)")
    parser.add_argument(
        "--only", nargs="+", choices=[*(shot.name for shot in SHOTS), _WEB], help="only these"
    )
    options = parser.parse_args()
    if shutil.which("chromium") is None:
        print("screenshots: chromium is missing (Debian: apt install chromium)", file=sys.stderr)
        return 1
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="berth-shots-") as folder:
        lab = Lab.attach(options.lab) if options.lab else demo.up(Path(folder) / "lab")
        try:
            for path in asyncio.run(take(lab, FOLDER, options.seconds, options.only or ())):
                print(path.relative_to(FOLDER.parent))
        finally:
            if not options.lab:
                lab.down()
    return 0


if __name__ == "__main__":
    sys.exit(main())
