"""Recipes of the demo: a stack of images, most of them built, one changed since, one never built."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.lab.lab import Lab

BASE = "nvidia/cuda:12.6.3-devel-ubuntu22.04"
"""A name for what stands in for it: nothing is pulled."""
_STACK = {
    "ssh": (BASE, "RUN echo sshd > /sshd\n"),
    "mamba": ("ssh", "RUN mkdir -p /opt/conda && echo python 3.12 > /opt/conda/python\n"),
    "torch": ("mamba", "RUN echo torch 2.9 > /opt/conda/torch\n"),
    "vision": ("torch", "RUN echo torchvision > /opt/conda/vision\nEXPOSE 8888\n"),
    "eval": ("torch", "RUN echo lm-eval > /opt/conda/eval\n"),
    "data": ("mamba", "RUN echo pyarrow > /opt/conda/arrow\n"),
}
_BUILT = (("h100-1", ("vision", "data")), ("a100", ("torch", "data")))
_CHANGED = "torch"


def furnish(lab: Lab, berth: Callable[..., str]) -> None:
    """Write the recipes, build most of them, and change one. `berth`: a command line of the lab's."""
    root = lab.directory / "recipes"
    for name, (base, steps) in _STACK.items():
        folder = root / "images" / name
        folder.mkdir(parents=True)
        (folder / "Dockerfile").write_text(f"ARG baseimage\nFROM ${{baseimage}}\n{steps}")
        (folder / "berth.yaml").write_text(f"base: {base}\n")
    (lab.config_dir / "settings.yaml").write_text(settings(root))
    for host, names in _BUILT:
        lab.host(host).docker("tag", "busybox:latest", BASE)
        berth("images", "build", *names, "--host", host, "--root", str(root), "--maintainer", "vision")
    with (root / "images" / _CHANGED / "Dockerfile").open("a") as file:
        file.write("RUN echo flash-attn >> /opt/conda/torch\n")


def settings(root: Path) -> str:
    """The part of settings.yaml that names them."""
    return f"images:\n  roots: [{root}]\n  maintainer: vision\n"
