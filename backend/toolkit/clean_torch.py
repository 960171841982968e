#!/usr/bin/env python3
"""Build and install the PyTorch checkout in the current folder from scratch, for the GPU that is here.

Finds out whether the container has CUDA or ROCm and which architecture its GPUs are, cleans what earlier
builds left, brings the submodules in line, and installs. --dry-run prints the commands and their variables.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

BYTES_PER_JOB = 4 << 30
"""What one compiler may need at its worst."""


def output(*argv: str) -> str:
    """What a program says; empty where it is not there or fails."""
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60,
            check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""


def kfd_archs(root: str) -> list[str]:
    """The architectures of AMD's GPUs as the kernel knows them: `gfx942`."""
    found = []
    for path in sorted(Path(root).glob("class/kfd/kfd/topology/nodes/*/properties")):
        try:
            version = re.search(r"^gfx_target_version (\d+)$", path.read_text(), re.M)
        except OSError:
            continue
        number = int(version.group(1)) if version else 0
        if number:
            found.append(f"gfx{number // 10000}{number // 100 % 100:x}{number % 100:x}")
    return list(dict.fromkeys(found))


def nvidia_archs() -> list[str]:
    """The compute capabilities of NVIDIA's GPUs: `9.0`."""
    said = output("nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader")
    return list(dict.fromkeys(re.findall(r"^\s*(\d+\.\d+)\s*$", said, re.M)))


def vendor() -> str:
    """`rocm`, `cuda` or `cpu`: what there is to build for."""
    if Path("/opt/rocm").is_dir() or shutil.which("hipcc"):
        return "rocm"
    if shutil.which("nvcc") or Path("/usr/local/cuda/bin/nvcc").exists():
        return "cuda"
    return "cpu"


def jobs() -> int:
    """How many compilers at a time: a CPU and enough memory for each."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            limit = Path(path).read_text().strip()
        except OSError:
            continue
        memory = min(memory, int(limit)) if limit.isdigit() else memory
    return max(1, min(len(os.sched_getaffinity(0)), memory // BYTES_PER_JOB))


def variables(kind: str, archs: list[str], count: int) -> dict[str, str]:
    """What the build is told by its environment."""
    own = {"MAX_JOBS": str(count), "USE_ROCM": str(int(kind == "rocm")), "USE_CUDA": str(int(kind == "cuda"))}
    if kind == "rocm" and archs:
        own["PYTORCH_ROCM_ARCH"] = ";".join(archs)
    if kind == "cuda" and archs:
        own["TORCH_CUDA_ARCH_LIST"] = ";".join(archs)
    return own


def commands(folder: Path, kind: str, clean: bool) -> list[list[str]]:
    """What is run, in this order."""
    python = [sys.executable]
    found = [[*python, "-m", "pip", "uninstall", "-y", "torch"]]
    if clean:
        found.append(
            ["git", "clean", "-d", "-f", "-x", "-q", "build", "torch/lib", "torch/bin", "torch/include"]
        )
    found.append(["git", "submodule", "sync", "--recursive"])
    found.append(["git", "submodule", "update", "--init", "--recursive"])
    if (folder / "requirements.txt").exists():
        found.append([*python, "-m", "pip", "install", "-r", "requirements.txt"])
    if kind == "rocm" and (folder / "tools/amd_build/build_amd.py").exists():
        found.append([*python, "tools/amd_build/build_amd.py"])
    found.append([*python, "-m", "pip", "install", "--no-build-isolation", "-v", "-e", "."])
    return found


def read(argv: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="clean_torch", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dry-run", action="store_true", help="print the commands instead of running them")
    parser.add_argument(
        "--for", dest="kind", choices=("cuda", "rocm", "cpu"), help="instead of what is found"
    )
    parser.add_argument("--arch", action="append", help="9.0 or gfx942, instead of what is found; repeatable")
    parser.add_argument("--jobs", type=int, help="compilers at a time, instead of what memory allows")
    parser.add_argument("--keep-build", action="store_true", help="do not remove what earlier builds left")
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    """Build; the exit code."""
    options = read(argv)
    folder = Path.cwd()
    if not (folder / "torch").is_dir() or not (folder / "setup.py").is_file():
        sys.stderr.write(f"clean_torch: {folder} is no PyTorch checkout; try: cd ~/pytorch\n")
        return 2
    kind = options.kind or vendor()
    sysfs = os.environ.get("BERTH_SYSFS_ROOT") or "/sys"
    archs = options.arch or {"rocm": lambda: kfd_archs(sysfs), "cuda": nvidia_archs}.get(kind, list)()
    own = variables(kind, archs, options.jobs or jobs())
    print(f"for {kind} {' '.join(archs)}".rstrip())
    if kind != "cpu" and not archs:
        print("no GPU is visible: PyTorch's own list of architectures is built, which takes long; see --arch")
    front = " ".join(f"{name}={shlex.quote(value)}" for name, value in own.items())
    for command in commands(folder, kind, clean=not options.keep_build):
        print(f"+ {front} {' '.join(map(shlex.quote, command))}", flush=True)
        if options.dry_run:
            continue
        code = subprocess.call(command, env={**os.environ, **own})
        if code:
            sys.stderr.write(f"clean_torch: {command[0]} ended with {code}\n")
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
