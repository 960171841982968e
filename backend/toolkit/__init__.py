"""Scripts that berth runs on hosts and in containers. Each stands alone; Python ones run by 3.8 or later."""

from __future__ import annotations

from importlib.resources import files

TOOLS = {
    "contenv": "contenv.sh",
    "showenvs": "showenvs.py",
    "setpytorch": "setpytorch.sh",
    "get_torch_main": "get_torch_main.sh",
    "get_torch_me": "get_torch_me.sh",
    "clean_torch": "clean_torch.py",
    "install_triton": "install_triton.sh",
    "install_numpy1": "install_numpy1.sh",
    "remprivate": "remprivate.sh",
}
"""What people call a script in a container, and its file here: `berth install` puts them there."""


def source(name: str) -> str:
    """The text of a script of this folder."""
    return (files("backend.toolkit") / name).read_text(encoding="utf-8")
