"""What the demo fleet is made of: hosts, containers, contexts, sessions.

Four hosts: H100s training, serving and evaluating, MI300X with two large runs, A100s under Podman, and one
host that is up on the network but lets nobody in.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from tests.lab.spec import GIB, HostSpec

TORCH = "pytorch/pytorch:2.6.0-cuda12.4"
JUPYTER = "quay.io/jupyter/pytorch-notebook:cuda12"
VLLM = "vllm/vllm-openai:v0.8.5"
ROCM = "rocm/pytorch:rocm6.3"
BOARD = "tensorflow/tensorflow:2.18.0"

HOSTS = (
    HostSpec(
        "h100-1", gpus="nvidia:8", images=(TORCH, JUPYTER, VLLM, BOARD, "busybox:latest"), disk=256 * GIB,
        live_restore=True,
        type="H100 80GB", comment="training, shared", tags=("nvidia", "prod"),
    ),
    HostSpec(
        "mi300", gpus="amd:8", images=(ROCM, VLLM, "busybox:latest"), disk=512 * GIB, live_restore=True,
        type="MI300X", comment="the large runs", tags=("amd", "prod"),
    ),
    HostSpec(
        "a100", engine="podman", gpus="nvidia:4:A100", images=(TORCH, "busybox:latest"), disk=128 * GIB,
        type="A100 40GB", comment="podman", tags=("nvidia", "dev"),
    ),
    HostSpec(
        "h100-3", engine="none", sshd=False, disk=GIB, type="H100 80GB", comment="new disk coming",
        tags=("nvidia",),
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Work:
    """A container of the demo."""

    host: str
    name: str
    image: str
    owner: str
    command: str
    age: timedelta
    """How long ago it started; Docker only."""
    gpus: tuple[int, ...] = ()
    gpu_memory: float = 0
    """GiB on each of its GPUs."""
    util: int = 0
    options: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    processes: int = 1
    memory_mb: int = 20
    cpu: int = 0
    """Per mille of a CPU."""
    ended: int | None = None
    """Its exit code, if it is over."""
    health: str = ""
    """`healthy` or `unhealthy`."""


_DAY, _HOUR, _MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
_LLAMA = "torchrun --nproc-per-node 4 train.py --model llama-3-8b --bf16 --seq-len 8192"

WORK = (
    Work("h100-1", "train-llm", TORCH, "alice", _LLAMA, 3 * _HOUR + 12 * _MINUTE, (0, 1, 2, 3), 71.2, 97,
         labels=("berth.job=42",), processes=4, memory_mb=60, cpu=40),
    Work("h100-1", "jupyter-bob", JUPYTER, "bob", "jupyter-lab --ip 0.0.0.0 --port 8888", 2 * _DAY, (4,),
         44.0,
         0, options=("-p", "127.0.0.1:8888:8888"), memory_mb=48),
    Work("h100-1", "vllm-serve", VLLM, "bob", "vllm serve meta-llama/Llama-3.1-70B-Instruct", 9 * _DAY, (5,),
         66.4, 58, options=("-p", "127.0.0.1:8000:8000"), memory_mb=40, cpu=15, health="healthy"),
    Work("h100-1", "eval-mmlu", TORCH, "alice", "python eval.py --suite mmlu --shots 5", 18 * _MINUTE, (6,),
         23.5,
         81, labels=("berth.job=45",), cpu=10),
    Work("h100-1", "tensorboard", BOARD, "alice", "tensorboard --logdir /workspace/runs --port 6006",
         5 * _DAY,
         options=("-p", "127.0.0.1:6006:6006"), health="unhealthy"),
    Work("h100-1", "tokenize-c4", TORCH, "alice", "python tokenize.py --dataset c4", 6 * _HOUR, ended=0),
    Work("h100-1", "train-llm-old", TORCH, "alice", _LLAMA, _DAY + 3 * _HOUR, ended=137),
    Work("mi300", "pretrain-7b", ROCM, "alice", "torchrun --nproc-per-node 4 pretrain.py --config 7b.yaml",
         _DAY + 7 * _HOUR, (0, 1, 2, 3), 168.0, 99, labels=("berth.job=17",), processes=4, memory_mb=60,
         cpu=30),
    Work("mi300", "finetune-lora", ROCM, "bob", "python finetune.py --lora-rank 64", 52 * _MINUTE, (4, 5),
         92.0, 74,
         labels=("berth.job=19",), processes=2, cpu=10),
    Work("mi300", "vllm-mixtral", VLLM, "bob", "vllm serve mistralai/Mixtral-8x22B", 4 * _DAY, (6,), 151.0, 0,
         options=("-p", "127.0.0.1:8000:8000"), health="healthy"),
    Work("mi300", "rccl-test", ROCM, "alice", "python rccl_bench.py", 9 * _HOUR, ended=1),
    Work("a100", "whisper-batch", TORCH, "bob", "python transcribe.py --model large-v3", _HOUR, (0, 1), 21.0,
         63,
         processes=2, cpu=10),
    Work("a100", "notebook", TORCH, "alice", "jupyter-lab --port 8889", _HOUR, (2,), 11.5, 0,
         options=("-p", "127.0.0.1:8889:8889")),
)  # fmt: skip


@dataclass(frozen=True)
class Queued:
    """A job of the demo's queues, in the order in which they are queued."""

    host: str
    owner: str
    options: tuple[str, ...]
    """Of `berth run`."""
    command: str
    gpu_memory: float = 0
    """GiB on each GPU it is given."""


JOBS = (
    Queued("h100-1", "alice", ("--name", "tokenize", "--env", "WORK_SECONDS=1"),
           "python tokenize.py --shard 3"),
    Queued("h100-1", "bob", ("--name", "convert", "--env", "WORK_SECONDS=1", "--env", "WORK_EXIT=2"),
           "python convert.py --to hf"),
    Queued("h100-1", "alice", ("--name", "ablation-rope", "-g", "1", "-t", "6h"),
           "python train.py --ablate rope", 38.0),
    Queued("h100-1", "alice", ("--name", "train-13b", "-g", "4", "-t", "2d"),
           "torchrun train.py --model 13b"),
    Queued("h100-1", "bob", ("--name", "eval", "--array", "1-3%2", "-g", "1", "-t", "40m"),
           "python eval.py --suite mmlu"),
    Queued("mi300", "bob", ("--name", "lora-r128", "-g", "1", "-t", "3h"),
           "python finetune.py --lora-rank 128", 60.0),
    Queued("mi300", "alice", ("--name", "pretrain-next", "-g", "8", "-t", "1d"), "torchrun pretrain.py"),
)  # fmt: skip

CONTEXTS: dict[str, dict[str, Any]] = {
    "llm": {
        "host": "h100-1", "image": TORCH, "container": "train-llm", "user": "alice", "workdir": "/workspace",
        "mounts": ["/home/alice:/workspace"], "gpus": [0, 1, 2, 3], "shm_size": "64g",
    },
    "notebook-bob": {
        "host": "h100-1", "image": JUPYTER, "container": "jupyter-bob", "user": "bob", "ports": ["8888:8888"],
        "gpus": [4],
    },
    "serve": {"host": "h100-1", "image": VLLM, "container": "vllm-serve", "ports": ["8000:8000"], "gpus": 1},
    "pretrain": {
        "host": "mi300", "image": ROCM, "container": "pretrain-7b", "user": "alice", "gpus": 4,
        "mounts": ["/home/alice:/workspace", "/data:/data:ro"], "memory": "512g",
    },
    "rccl": {"host": "mi300", "image": ROCM, "container": "rccl-test", "gpus": "all"},
    "whisper": {"host": "a100", "image": TORCH, "container": "whisper-batch", "gpus": 2, "profile": "raw"},
    "scratch": {"host": "h100-3", "image": TORCH, "container": "scratch", "gpus": 1},
}  # fmt: skip

SESSIONS = (
    ("h100-1", "alice", "llm-1", {"train": "docker logs -f --tail 50 train-llm", "shell": "bash"}),
    ("h100-1", "alice", "eval", {"eval": "docker logs -f --tail 50 eval-mmlu"}),
    ("h100-1", "bob", "notebook-bob-1", {"jupyter": "bash"}),
    ("mi300", "alice", "pretrain-1", {"train": "docker logs -f --tail 50 pretrain-7b", "top": "top",
     "shell": "bash"}),
    ("mi300", "bob", "lora", {"lora": "bash"}),
    ("a100", "bob", "whisper-1", {"whisper": "bash"}),
)  # fmt: skip
"""Host, user, session, and the command in each of its windows."""

DISK_USED = {"h100-1": 0.71, "mi300": 0.4, "a100": 0.93}
"""Share of its disk."""
