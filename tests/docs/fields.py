"""The tables of docs/json.md, from the structs that lists print and the notes below their fields."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import pkgutil
import re
import types
import typing
from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from functools import cache
from importlib import import_module
from typing import Any, get_args, get_origin

import msgspec

_TOLD_BY = {
    "HostRow": ("Hello", "HostStats", "HostSnapshot"),
    "GpuRow": ("Gpu",),
    "ProcessRow": ("GpuProcess",),
    "ContainerRow": ("Container", "Usage"),
    "SessionRow": ("TmuxSession",),
    "ImageRow": ("Image",),
    "JobRow": ("Job", "JobRequest"),
}
"""Structs that say what a field of a row is, where the row does not."""
_COMMON = {
    "bus_id": "PCI address.",
    "container": "The container's name.",
    "context": "Name of the context.",
    "cpus": "Logical CPUs.",
    "created_at": "When it was made.",
    "disk_total": "Bytes.",
    "ended_at": "When it ended.",
    "error": "What is wrong.",
    "exit_code": "Of its first process, once it has ended.",
    "folder": "Path on this machine.",
    "gpus_used": "GPUs that are given to jobs.",
    "cpus_used": "CPUs that are given to jobs.",
    "host": "Name of the host in the configuration.",
    "id": "Its id.",
    "image": "Name of the image.",
    "mem_total": "Bytes.",
    "mem_used": "Bytes.",
    "memory": "Bytes.",
    "memory_free": "Bytes.",
    "memory_total": "Bytes.",
    "name": "Its name.",
    "numa_node": "Number of its NUMA node.",
    "owner": "Unix user it belongs to.",
    "power_limit_w": "Watts.",
    "power_w": "Watts.",
    "size": "Bytes.",
    "stale": "What is said is old: the host does not answer now.",
    "started_at": "When it started.",
    "state": "Its state.",
    "submitted_at": "When it was queued.",
    "temp_c": "Degrees Celsius.",
    "activity_at": "When something happened in it last.",
    "after": "Jobs that have to end first: `12` well, `any:13` in any way.",
    "array": "Number of its array; empty: it is in none.",
    "attempt": "How often it was begun.",
    "command": "What it runs.",
    "comment": "As configured.",
    "containers_running": "Containers that run.",
    "containers_total": "All containers.",
    "cpus_free": "CPUs that can be booked.",
    "cpus_total": "CPUs that jobs may have.",
    "default": "Where jobs go that name none.",
    "depth": "How deep it stands in the tree, from 0.",
    "draining": "Who drains it and why; empty: nobody.",
    "engine": "`docker` or `slurm`.",
    "engine_state": "Whether its engine answers.",
    "engine_version": "Of its engine.",
    "expected_start": "When it will start at the latest, as far as is known.",
    "gpu_mem_used": "Bytes of GPU memory that it holds.",
    "gpu_names": "Names of its GPUs.",
    "gpu_type": "As Slurm calls it.",
    "gpus_free": "GPUs that can be had.",
    "gpus_total": "GPUs that jobs may have.",
    "hint": "What to do about it.",
    "image_id": "Id of the image.",
    "interactive": "Whether it has a terminal.",
    "kind": "dockerfile, stack, workspace, rp or cluster.",
    "labels": "As the engine has them.",
    "load1": "Processes that ran or wanted to, mean of a minute.",
    "log": "Where its output is kept, on the host.",
    "mounts": "As its file says.",
    "net_tx": "Bytes since the container started.",
    "nodes": "How many nodes.",
    "notes": "What is kept beside the output: ids, paths.",
    "options": "What was asked for.",
    "output": "Lines that it said.",
    "panes": "Its panes.",
    "partition": "Partition of a cluster.",
    "partitions": "Those it is in.",
    "ports": "As its file says.",
    "priority": "Higher goes first.",
    "problem": "Why it cannot be used; empty: it can.",
    "processes": "What holds it.",
    "profile": "`tuned` or `raw`.",
    "project": "Name of its project.",
    "recipe": "The recipe it was built of.",
    "retries": "How often it is queued again after it failed.",
    "running": "Jobs that run.",
    "services": "What it can open by a tunnel.",
    "socket": "Path of the tmux server's socket.",
    "step": "Steps that have begun.",
    "tags": "As configured.",
    "title": "What people call the action.",
    "total": "How much there is to do.",
    "waiting": "Jobs that wait.",
    "windows": "How many windows.",
    "container_id": "Full id, where there is one.",
}
_HIDDEN = {"Build": ("request", "run", "pid", "tail", "done")}
"""What is kept and not told."""
_WORDS = {str: "text", int: "number", float: "number", bool: "flag", datetime: "time"}


def block(name: str) -> str:
    """The fields of one struct: `backend.model:HostRow`."""
    module, _, kind = name.partition(":")
    struct = getattr(import_module(module), kind)
    notes = _notes(module)
    rows = ["| field | type | |", "|---|---|---|"]
    hints = typing.get_type_hints(struct)
    names = getattr(struct, "__struct_fields__", ()) or [each.name for each in dataclasses.fields(struct)]
    for field in names:
        if field in _HIDDEN.get(kind, ()):
            continue
        said = (notes.get((each, field)) for each in (kind, *_TOLD_BY.get(kind, ())))
        about = next(filter(None, said), "") or _COMMON.get(field, "")
        rows.append(f"| `{field}` | {_type(hints[field])} | {_cell(about)} |")
    return "\n".join(rows)


def _cell(note: str) -> str:
    return re.sub(r"\bNone\b", "null", " ".join(note.split()).replace("|", "\\|"))


@cache
def _notes(module: str) -> dict[tuple[str, str], str]:
    """Class and field to what is said below it."""
    found: dict[tuple[str, str], str] = {}
    parts = [import_module(module)]
    below = pkgutil.iter_modules(getattr(parts[0], "__path__", ()), f"{module}.")
    parts += [import_module(each.name) for each in below]
    for node in (node for part in parts for node in ast.parse(inspect.getsource(part)).body):
        if not isinstance(node, ast.ClassDef):
            continue
        for field, note in zip(node.body, [*node.body[1:], None], strict=True):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and _is_note(note):
                text = ast.literal_eval(note.value)  # type: ignore[union-attr]
                found[node.name, field.target.id] = text
    return found


def _is_note(node: ast.stmt | None) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _type(hint: Any) -> str:
    """In JSON's words: `number or null`, `list of text`."""
    if get_origin(hint) in (typing.Union, types.UnionType):
        members = [_type(each) for each in get_args(hint) if each is not type(None)]
        return " or ".join([*members, *(["null"] if type(None) in get_args(hint) else [])])
    if get_origin(hint) in (tuple, Sequence):
        return f"list of {_type(get_args(hint)[0])}"
    if get_origin(hint) is dict:
        return "object"
    if get_origin(hint) is typing.Annotated:
        return _type(get_args(hint)[0])
    if isinstance(hint, type) and issubclass(hint, Enum):
        return ", ".join(f"`{each.value}`" for each in hint)
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return "objects"
    return _WORDS.get(hint, getattr(hint, "__name__", str(hint)))
