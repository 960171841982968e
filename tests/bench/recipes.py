"""What it takes to know all recipes: 1,000 of them, found, read and linked into one graph."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from backend.config.schema import Config, ImageSettings, Settings
from backend.recipes.discover import read
from tests.bench.table import Figure

COUNT = 1000
CHAIN = 10
"""Layers of each stack."""
_BASE = "nvidia/cuda:11.8.0-devel-ubuntu22.04"
_STEPS = "".join(
    f"RUN apt-get update && \\\n    apt-get install -y --no-install-recommends part-{n}\nENV PART_{n}=yes\n"
    for n in range(6)
)


def write(folder: Path) -> None:
    """Stacks of ten layers, each with a berth.yaml that names its base."""
    for number in range(COUNT):
        layer = folder / "images" / f"layer{number:04d}"
        layer.mkdir(parents=True)
        base = f"layer{number - 1:04d}" if number % CHAIN else _BASE
        (layer / "Dockerfile").write_text(f"ARG baseimage\nFROM ${{baseimage}}\n{_STEPS}COPY . /src\n")
        (layer / "berth.yaml").write_text(f"base: {base}\nports: [32778]\nargs: {{python: '3.12'}}\n")


def figures(*, quick: bool) -> list[Figure]:
    """The graph of 1,000 recipes, files in the cache of the system; the best of some runs."""
    with tempfile.TemporaryDirectory(prefix="berth-bench-recipes-") as name:
        folder = Path(name)
        write(folder)
        settings = Settings(images=ImageSettings(roots=(name,), maintainer="bench"))
        config = Config(directory=folder, settings=settings)
        graph = read(config)
        if len(graph.recipes) != COUNT or graph.problems or len(graph.order(["layer0009"])) != CHAIN:
            raise RuntimeError(f"{len(graph.recipes)} recipes, {len(graph.problems)} problems")
        times, cpu = [], []
        for _ in range(5 if quick else 15):
            begin, used = time.perf_counter(), time.process_time()
            read(config)
            times.append(time.perf_counter() - begin)
            cpu.append(time.process_time() - used)
    return [
        Figure(f"graph of {COUNT:,} recipes", min(times) * 1000, "ms", 300),
        Figure(
            f"graph of {COUNT:,} recipes: CPU", min(cpu) * 1000, "ms", note="what it is on an idle machine"
        ),
    ]
