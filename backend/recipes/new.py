"""`berth images new`: working recipes to begin with. What is there already is never written over."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Literal

from msgspec import Struct

from backend.errors import ActionFailed, UsageError
from backend.recipes import naming
from backend.recipes.model import Graph, Kind

Template = Literal["ssh", "mamba", "torch", "workspace", "rp", "cluster"]
PORT = "32778"
_EXECUTABLE = ("serve-ssh", "entrypoint.sh", "pre-install", "post-install", "pre-run")
_BELOW = {"ssh": "images", "mamba": "images", "torch": "images", "cluster": "projects"}
_PLAIN_BASE = "ubuntu:22.04"
_ROCM_BASE = "rocm/pytorch:rocm7.2.1_ubuntu24.04_py3.12_pytorch_release_2.9.1"
"""AMD's own, as all its tags are called: ROCm, distribution, Python, PyTorch."""
_DRIVERS = (
    ((580, 65), "13.0"),
    ((570, 26), "12.8"),
    ((560, 28), "12.6"),
    ((550, 54), "12.4"),
    ((535, 54), "12.2"),
    ((530, 30), "12.1"),
    ((520, 61), "11.8"),
    ((450, 80), "11.8"),
)
"""NVIDIA's Linux driver from this version on, and the newest CUDA that it runs (CUDA's release notes; the
last one by minor version compatibility)."""
_CUDA_IMAGES = {
    "13.0": "nvidia/cuda:13.0.1-devel-ubuntu22.04",
    "12.8": "nvidia/cuda:12.8.1-devel-ubuntu22.04",
    "12.6": "nvidia/cuda:12.6.3-devel-ubuntu22.04",
    "12.4": "nvidia/cuda:12.4.1-devel-ubuntu22.04",
    "12.2": "nvidia/cuda:12.2.2-devel-ubuntu22.04",
    "12.1": "nvidia/cuda:12.1.1-devel-ubuntu22.04",
    "11.8": "nvidia/cuda:11.8.0-devel-ubuntu22.04",
}


class Gpus(Struct, frozen=True):
    """What GPUs a machine has, as far as an image has to know."""

    vendor: Literal["", "nvidia", "amd"] = ""
    driver: str = ""
    """Of NVIDIA."""

    @property
    def cuda(self) -> str:
        """The newest CUDA that the driver runs; empty without one, or where it is too old for any."""
        numbers = [int(part) for part in self.driver.split(".")[:2] if part.isdecimal()]
        return next((cuda for least, cuda in _DRIVERS if tuple(numbers) >= least), "") if numbers else ""


def create(
    template: Template, name: str, root: Path, graph: Graph, *, base: str = "", gpus: Gpus | None = None
) -> tuple[Path, list[str]]:
    """Write the recipe below `root`; its folder, and what to know. Raises `UsageError`, `ActionFailed`."""
    check(name, template)
    if template == "rp":
        return _rp(root / name)
    folder = place(template, name, root)
    if folder.exists() and (template != "workspace" or (folder / "container").exists()):
        raise UsageError(f"{folder} exists already.", hint="Choose another name, or edit what is there.")
    values, notes = _values(template, graph, root, base, gpus)
    source = "rocm" if template == "torch" and values.pop("ROCM", "") else template
    _write(source, folder if template != "workspace" else folder / "container", values)
    return folder, notes


def place(template: Template, name: str, root: Path) -> Path:
    """The folder that the recipe gets."""
    if template == "workspace":
        return next(
            (root / each / name for each in ("run-data/src", "src") if (root / each).is_dir()), root / name
        )
    below = _BELOW[template]
    return root / name if root.name == below else root / below / name


def check(name: str, template: Template) -> None:
    """A folder of this name has to give an image a name."""
    if template != "cluster" and ":" in name:
        raise UsageError(f"{name!r:.100} holds a tag.", hint="Tags are said in berth.yaml: `tags:`.")
    whole = name if template == "cluster" else f"{name}:latest"
    if problem := naming.problem(whole) if "/" not in name and "@" not in name else "holds a slash or an @.":
        raise UsageError(
            f"{name!r:.100} {problem}", hint=f"Possible is: {naming.proposed(name).rpartition('/')[2]}"
        )


def _values(
    template: Template, graph: Graph, root: Path, base: str, gpus: Gpus | None
) -> tuple[dict[str, str], list[str]]:
    """What stands for the template's `@NAME@`."""
    notes: list[str] = []
    found = gpus or Gpus()
    plain = _CUDA_IMAGES.get(found.cuda, _PLAIN_BASE)
    values = {"PORT": PORT, "PYTHON": "3.12", "KEYS": _keys(), "CUDA": found.cuda or "cpu"}
    if template == "ssh":
        values["BASE"] = base or plain
        notes.append("Its berth.yaml says who may log in, and names the file with their public keys")
    elif template == "mamba":
        values["BASE"] = base or _of(graph, "ssh") or plain
    elif template == "torch":
        if found.vendor == "amd":
            values |= {"BASE": base or _ROCM_BASE, "ROCM": "yes"}
            notes.append("Its base brings PyTorch for AMD's GPUs")
            return values, notes
        values["BASE"] = base or _of(graph, "mamba") or "mamba"
        if not base and not _of(graph, "mamba"):
            notes.append("It stands on a recipe called mamba: berth images new mamba mamba")
        if found.cuda:
            notes.append(f"It takes CUDA {found.cuda}, which driver {found.driver} runs")
        else:
            notes.append(
                "It takes no GPU" + ("" if gpus else "; --host HOST chooses by the driver of that host")
            )
    elif template == "cluster":
        values["BASE"] = base or _cluster_base(graph, root) or _PLAIN_BASE
    else:
        values["BASE"] = base or _PLAIN_BASE
    return values, notes


def _keys() -> str:
    """A file of this person with public keys."""
    names = ("authorized_keys", "id_ed25519.pub", "id_ecdsa.pub", "id_rsa.pub")
    home = Path("~/.ssh").expanduser()
    return f"~/.ssh/{next((name for name in names if (home / name).is_file()), names[0])}"


def _of(graph: Graph, name: str) -> str:
    """The name, if a stack member has it."""
    recipe = graph.recipes.get(name)
    return name if recipe is not None and recipe.kind is Kind.STACK else ""


def _cluster_base(graph: Graph, root: Path) -> str:
    """The recipe beside `projects` that the projects of a cluster stand on."""
    above = root.parent if root.name == "projects" else root
    beside = [each.name for each in graph.recipes.values() if each.folder.parent == above and each.file]
    return next((name for name in beside if name.endswith("_base")), beside[0] if len(beside) == 1 else "")


def _write(source: str, folder: Path, values: Mapping[str, str]) -> None:
    """The template's files, all of them or none."""
    part = folder.with_name(f".{folder.name}.new")
    try:
        part.mkdir(parents=True)
        for each in (files("backend.recipes") / "templates" / source).iterdir():
            text = each.read_text(encoding="utf-8")
            for key, value in values.items():
                text = text.replace(f"@{key}@", value)
            path = part / each.name
            path.write_text(text, encoding="utf-8")
            path.chmod(0o755 if each.name in _EXECUTABLE else 0o644)
        part.rename(folder)
    except OSError as error:
        raise ActionFailed(f"{folder} cannot be written: {error.strerror}.") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _rp(folder: Path) -> tuple[Path, list[str]]:
    from backend.projects import rp

    try:
        folder.mkdir(parents=True, exist_ok=True)
        rp.init(folder)
    except OSError as error:
        raise ActionFailed(f"{folder} cannot be written: {error.strerror}.") from None
    return folder, ["Say in docker/Dockerfile what is in its image, then: berth run -- demo.sh"]
