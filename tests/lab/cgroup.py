"""Control groups of a lab: one tree per hierarchy, named after the lab, one branch per host.

A host gets its branch as the root of its own cgroup namespace, so everything in it looks as on a real
machine. The tree also tells, whatever crashed, which processes belong to a lab.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.lab.machine import kill, wait_for

_BASE = Path("/sys/fs/cgroup")
_CONTROLLERS = {"cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "net_cls",
                "net_prio", "perf_event", "hugetlb", "rdma", "misc"}  # fmt: skip


@dataclass(frozen=True)
class Hierarchy:
    """One mounted hierarchy of the machine."""

    mount: Path
    type: str
    """`cgroup` (version 1) or `cgroup2`."""
    options: str
    """To mount it again: its controllers or its name."""

    @property
    def name(self) -> str:
        """Its folder under /sys/fs/cgroup; `.` when version 2 is all there is."""
        return "." if self.mount == _BASE else self.mount.name


def hierarchies() -> list[Hierarchy]:
    """Those mounted at or right below /sys/fs/cgroup."""
    found: dict[Path, Hierarchy] = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        head, _, tail = line.partition(" - ")
        kind, _, options = tail.split(" ", 2)
        mount = Path(head.split()[4])
        if kind not in ("cgroup", "cgroup2") or _BASE not in (mount, mount.parent):
            continue
        keep = [word for word in options.split(",") if word in _CONTROLLERS or word.startswith("name=")]
        if any(word.startswith("name=") for word in keep):
            keep.insert(0, "none")
        found[mount] = Hierarchy(mount, kind, ",".join(keep) or "rw")
    return list(found.values())


def create(tree: str, branch: str) -> list[Path]:
    """Make `tree/branch` in every hierarchy, ready to take processes."""
    made = []
    for hierarchy in hierarchies():
        for path in (hierarchy.mount / tree, hierarchy.mount / tree / branch):
            path.mkdir(exist_ok=True)
            # A cpuset takes no process before it has CPUs and memory nodes.
            if "cpuset" in hierarchy.options.split(","):
                for file in ("cpuset.cpus", "cpuset.mems"):
                    (path / file).write_text((path.parent / file).read_text())
            if hierarchy.name == ".":
                _delegate(path.parent)
        made.append(hierarchy.mount / tree / branch)
    return made


def _delegate(group: Path) -> None:
    for controller in (group / "cgroup.controllers").read_text().split():
        try:
            (group / "cgroup.subtree_control").write_text(f"+{controller}")
        except OSError:
            continue  # a group with processes of its own cannot pass this one on


def _groups(tree: str) -> list[Path]:
    """All groups of a tree, the deepest first."""
    found: list[Path] = []
    for hierarchy in hierarchies():
        root = hierarchy.mount / tree
        if root.is_dir():
            found += [root, *(path for path in root.rglob("*") if path.is_dir())]
    return sorted(found, key=lambda path: -len(path.parts))


def members(tree: str) -> set[int]:
    """Pids of all processes in a tree."""
    pids: set[int] = set()
    for group in _groups(tree):
        try:
            pids.update(int(pid) for pid in (group / "cgroup.procs").read_text().split())
        except OSError:
            continue  # removed meanwhile
    return pids - {0}


def _in_tree(pid: int, tree: str) -> bool:
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except OSError:
        return False
    return any(f"/{tree}/" in line.split(":", 2)[2] + "/" for line in lines)


def end(tree: str) -> None:
    """Kill every process in a tree and remove its groups."""

    def empty() -> bool:
        pids = members(tree)
        for pid in pids:
            kill(pid, lambda each: _in_tree(each, tree))
        return not pids

    def removed() -> bool:
        for group in _groups(tree):
            try:
                group.rmdir()
            except OSError:
                continue  # the kernel is still letting go of its last process
        return not _groups(tree)

    wait_for(empty, f"the processes of {tree} to end")
    wait_for(removed, f"the control groups of {tree} to go")
