"""Slurm on hosts of the lab: what their disks hold for it.

A host whose spec says `slurm="c1"` belongs to the cluster whose controller runs on c1. c1 is the login node
too, and runs no jobs unless it is alone. With `slurm_history` it also runs slurmdbd and the MariaDB under it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tests.lab.machine import wait_for
from tests.lab.spec import HostSpec, LabError, parse_gpus

if TYPE_CHECKING:
    from tests.lab.host import Host

CPUS = 8
"""What each node says it has; the lab's machine may have fewer."""
MEMORY = 16000
"""In MB, the same."""

_CONF = """\
ClusterName=lab-{controller}
SlurmctldHost={controller}
AuthType=auth/munge
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation=/var/spool/slurmctld
SlurmdSpoolDir=/var/spool/slurmd
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
SlurmctldLogFile=/var/log/slurmctld.log
SlurmdLogFile=/var/log/slurmd.log
SlurmctldParameters=enable_configless
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=100
GresTypes=gpu
{accounting}
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
MpiDefault=none
ReturnToService=2
SwitchType=switch/none
LaunchParameters=use_interactive_step
PriorityType=priority/multifactor
# a lab's jobs are short: what Slurm does every few seconds or minutes is done at once
KillWait=2
UnkillableStepTimeout=10
SlurmctldTimeout=20
SlurmdTimeout=10
SchedulerParameters={scheduler}
"""
_FORGETFUL = "AccountingStorageType=accounting_storage/none\nMinJobAge=1800"
"""A loaded machine's test may take longer than Slurm's own 300 s."""
_DATABASE = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost={controller}
AccountingStoreFlags=job_comment,job_script
MinJobAge=2"""
_SLURMDBD = """\
AuthType=auth/munge
DbdHost={controller}
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=slurm
PidFile=/run/slurmdbd.pid
LogFile=/var/log/slurmdbd.log
"""
QUICK = "batch_sched_delay=0,bf_interval=1,sched_interval=2,sched_min_interval=0"
"""A lab's pace."""
DEFAULT = "default_queue_depth=100"
"""Slurm's own pace: what it does without any SchedulerParameters."""


def seed(put: Callable[[str, str | bytes, int], None], spec: HostSpec, cluster: Sequence[HostSpec]) -> None:
    """Write a host's configuration: `put(path, content, mode)`. `cluster`: all of its hosts."""
    if not spec.slurm:
        return
    if spec.slurm not in [each.name for each in cluster]:
        raise LabError(f"the controller {spec.slurm} of {spec.name} is no host of this lab")
    put("etc/slurm/slurm.conf", conf(spec.slurm, cluster), 0o644)
    put("etc/slurm/gres.conf", _gres(cluster), 0o644)
    put("etc/slurm/cgroup.conf", "CgroupAutomount=no\n", 0o644)
    key = hashlib.sha512("".join(each.name for each in cluster).encode()).digest() * 2
    put("etc/munge/lab.key", key, 0o400)
    if spec.slurm_history:
        put("etc/slurm/slurmdbd.conf", _SLURMDBD.format(controller=spec.name), 0o600)
    for folder in ("var/spool/slurmctld/.keep", "var/spool/slurmd/.keep"):
        put(folder, "", 0o600)


def services(spec: HostSpec, cluster: Sequence[HostSpec]) -> list[str]:
    """What it starts at boot."""
    if not spec.slurm:
        return []
    names = ["munge", *(["mariadbd", "slurmdbd"] if spec.slurm_history else [])]
    if spec.name == spec.slurm:
        names.append("slurmctld")
    if spec in nodes(cluster):
        names.append("slurmd")
    return names


def nodes(cluster: Sequence[HostSpec]) -> list[HostSpec]:
    """Those that run jobs."""
    return [each for each in cluster if each.name != each.slurm] or list(cluster)


def conf(controller: str, cluster: Sequence[HostSpec], *, scheduler: str = QUICK) -> str:
    """slurm.conf: every node in partition `main`; the first alone in `short`, with a limit of ten minutes."""
    keeps = any(each.slurm_history for each in cluster)
    accounting = (_DATABASE if keeps else _FORGETFUL).format(controller=controller)
    lines = [_CONF.format(controller=controller, scheduler=scheduler, accounting=accounting)]
    run = nodes(cluster)
    for each in run:
        model, count = parse_gpus(each.gpus)
        gres = f" Gres=gpu:{model.lower()}:{count}" if count else ""
        lines.append(f"NodeName={each.name} CPUs={CPUS} RealMemory={MEMORY}{gres} State=UNKNOWN\n")
    names = ",".join(each.name for each in run)
    lines.append(f"PartitionName=main Nodes={names} Default=YES MaxTime=INFINITE State=UP\n")
    lines.append(f"PartitionName=short Nodes={run[0].name} MaxTime=10 DefaultTime=5 State=UP\n")
    return "".join(lines)


def _gres(cluster: Sequence[HostSpec]) -> str:
    lines = []
    for each in nodes(cluster):
        model, count = parse_gpus(each.gpus)
        if count:
            stem = "nvidia" if each.gpus.startswith("nvidia") else "dri/renderD"
            first = 0 if stem == "nvidia" else 128
            files = f"/dev/{stem}[{first}-{first + count - 1}]"
            lines.append(f"NodeName={each.name} Name=gpu Type={model.lower()} File={files}\n")
    return "".join(lines)


def wait(host: Host) -> None:
    """Until every node of the cluster that this host controls takes jobs."""

    def idle() -> bool:
        seen = host.run(["sinfo", "--noheader", "--Node", "--format=%T"], check=False)
        return seen.returncode == 0 and set(seen.stdout.split()) == {"idle"}

    wait_for(idle, f"the nodes of {host.name}", seconds=90)
