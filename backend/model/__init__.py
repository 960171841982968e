"""What berth knows: frozen structs with a unit under each field.

One file for each subject; all names stand here. Three families:

* **Wire** structs (`Hello` ... `TmuxSession`) are what an agent sends, one section per line. They are
  decoded strictly, straight from JSON: field names here *are* the wire format of `backend/agent`.
* **State** structs (`HostSnapshot`, `FleetState`) are what the fleet publishes.
* **Row** structs (`HostRow` ... `SessionRow`) are what lists show and what `--json` prints.

All are `gc=False`: what never changes cannot point to itself, and a search for garbage among the values of
ten thousand containers would be felt by whoever types.

Everywhere: bytes are `int`, percent is a `float` of 0-100 (of one machine, unless said otherwise), times
are aware UTC datetimes, `None` means unknown. Text that came from a host is raw here; whoever shows it
passes it through `backend.text.printable`.
"""

from backend.model.base import Count, Moment, Percent, Short
from backend.model.containers import Container, ContainerRow, ContextRow, Mount, Port, TunnelRow, Usage
from backend.model.fleet import FleetState, HostSnapshot
from backend.model.gpus import Gpu, GpuLink, GpuPlace, GpuProcess, GpuReport, GpuRow, GpuTopology, ProcessRow
from backend.model.hosts import Disk, Engine, EngineState, Hello, HostRow, HostState, HostStats, Problem
from backend.model.images import Image, ImageReport, ImageRow
from backend.model.jobs import (
    ClusterNode,
    ClusterPartition,
    ClusterReport,
    Job,
    JobRequest,
    JobRow,
    JobSpec,
    QueueReport,
)
from backend.model.sessions import SessionRow, TmuxPane, TmuxSession

__all__ = [
    "ClusterNode",
    "ClusterPartition",
    "ClusterReport",
    "Container",
    "ContainerRow",
    "ContextRow",
    "Count",
    "Disk",
    "Engine",
    "EngineState",
    "FleetState",
    "Gpu",
    "GpuLink",
    "GpuPlace",
    "GpuProcess",
    "GpuReport",
    "GpuRow",
    "GpuTopology",
    "Hello",
    "HostRow",
    "HostSnapshot",
    "HostState",
    "HostStats",
    "Image",
    "ImageReport",
    "ImageRow",
    "Job",
    "JobRequest",
    "JobRow",
    "JobSpec",
    "Moment",
    "Mount",
    "Percent",
    "Port",
    "Problem",
    "ProcessRow",
    "QueueReport",
    "SessionRow",
    "Short",
    "TmuxPane",
    "TmuxSession",
    "TunnelRow",
    "Usage",
]
