"""What a container has for training: Python, torch, triton, CUDA or ROCm, GPUs, variables that matter.

    showenvs.py

One `name: value` per line; what is not there is left out. Nothing is imported into the interpreter that runs
this but by a child process, so that a broken torch is a line and not a crash.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys

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


def say(name: str, value: str) -> None:
    """One line, if there is something to say."""
    if value:
        print(name + ": " + value, flush=True)


def main() -> int:
    """Say all of it; the exit code."""
    say("python", sys.version.split()[0] + "  " + sys.executable)
    print(first_line(sys.executable, "-c", PROBE), flush=True)
    nvcc = re.search(r"release ([^,]+)", first_line("nvcc", "--version"))
    say("nvcc", nvcc.group(1) if nvcc else "")
    say(
        "nvidia driver",
        first_line("nvidia-smi", "--query-gpu=driver_version,name,compute_cap", "--format=csv,noheader"),
    )
    say("hip", first_line("hipconfig", "--version"))
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
    sys.exit(main())
