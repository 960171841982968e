#!/usr/bin/env python3
"""What a container has for training: Python, torch, triton, CUDA or ROCm, GPUs, variables that matter.

    showenvs [--dry-run]

One `name: value` per line; what is not there is left out. Nothing is imported into the interpreter that runs
this but by a child process, so that a broken torch is a line and not a crash. --dry-run only says what would
be asked.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

PROBE = """
import importlib, sys
for name in ("torch", "triton", "jax", "tensorflow", "numpy", "transformers", "flash_attn"):
    try:
        module = importlib.import_module(name)
    except ImportError:
        continue
    except Exception as error:
        print(name + ": broken: " + str(error).splitlines()[0][:200])
        continue
    where = str(getattr(module, "__file__", ""))
    print(name + ": " + str(getattr(module, "__version__", "?")) + "  " + where)
    if name == "torch":
        print("torch cuda: " + str(module.version.cuda))
        print("torch hip: " + str(getattr(module.version, "hip", None)))
        print("torch gpus: " + str(module.cuda.device_count()))
        for i in range(module.cuda.device_count()):
            print("torch gpu " + str(i) + ": " + module.cuda.get_device_name(i))
        try:
            print("torch archs: " + " ".join(module.cuda.get_arch_list()))
        except Exception:
            pass
"""
VARIABLES = re.compile(
    r"^(CUDA_|ROCM_|HIP_|HSA_|NCCL_|RCCL_|TORCH_|PYTORCH_|TRITON_|HF_|OMP_NUM|NVIDIA_|AMD_|LD_LIBRARY_PATH$"
    r"|PYTHONPATH$|PATH$|VIRTUAL_ENV$|CONDA_|BERTH_)"
)
SECRET = re.compile(r"TOKEN|SECRET|PASSWORD|CREDENTIAL|_KEY", re.I)


def first_line(*argv: str) -> str:
    """What a program says of itself; empty where it is not there."""
    try:
        done = subprocess.run(
            argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace").strip()


def kfd_archs() -> list[str]:
    """The architectures of AMD's GPUs as the kernel knows them: `gfx942`; one word per GPU."""
    found = []
    root = os.environ.get("BERTH_SYSFS_ROOT") or "/sys"
    for path in sorted(Path(root).glob("class/kfd/kfd/topology/nodes/*/properties")):
        try:
            version = re.search(r"^gfx_target_version ([1-9]\d*)$", path.read_text(), re.M)
        except OSError:
            continue
        if version:
            number = int(version.group(1))
            found.append(f"gfx{number // 10000}{number // 100 % 100:x}{number % 100:x}")
    return found


def say(name: str, value: str) -> None:
    """One line, if there is something to say."""
    if value:
        print(name + ": " + value, flush=True)


def main(argv: list[str]) -> int:
    """Say all of it; the exit code."""
    if "-h" in argv or "--help" in argv:
        print((__doc__ or "").strip())
        return 0
    if argv == ["--dry-run"]:
        print(f"would ask {sys.executable} for its modules, nvcc, nvidia-smi, hipconfig, and read variables")
        return 0
    if argv:
        sys.stderr.write(f"showenvs: unknown option {argv[0]}\n")
        return 2
    say("python", sys.version.split()[0] + "  " + sys.executable)
    print(first_line(sys.executable, "-c", PROBE), flush=True)
    nvcc = re.search(r"release ([^,]+)", first_line("nvcc", "--version"))
    say("nvcc", nvcc.group(1) if nvcc else "")
    say(
        "nvidia driver",
        first_line("nvidia-smi", "--query-gpu=driver_version,name,compute_cap", "--format=csv,noheader"),
    )
    say("hip", first_line("hipconfig", "--version"))
    say("gpu architectures", " ".join(kfd_archs()))
    for path in ("/opt/rocm/.info/version", "/usr/local/cuda/version.json"):
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                say(path, " ".join(file.read(400).split())[:200])
        except OSError:
            continue
    for name in sorted(os.environ):
        if VARIABLES.match(name):
            say(name, "(set)" if SECRET.search(name) else os.environ[name])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
