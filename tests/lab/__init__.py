"""The lab: real hosts (sshd, Docker or Podman, tmux, users, GPUs) as namespaces of one Linux machine.

A host has namespaces of its own (network, processes, mounts, hostname, IPC, control groups), its own disk (a
sparse ext4 file with a layer over the machine's /usr and /etc), its own users, and an address on the lab's
bridge. It has no route to the outside. Killing its PID 1 is a power cut; the disk is kept.

What it shares with the machine, and what can bite:

* CPUs, memory, kernel and clock: `/proc/stat`, `/proc/meminfo` and the boot time are the machine's.
* Limits per user, as `fs.inotify.max_user_instances`, count over all hosts; the engines here need none.
* Control groups version 1 or 2. A cpuset takes no process before it has CPUs, hence cgroup.create.
* The layer is overlayfs on ext4 on a loop device; without loop devices the disk is a folder, and cannot be
  filled up. Engines fall back to vfs where there is no overlayfs.
* IP forwarding is switched on by dockerd, in the host's network namespace alone.
"""

from tests.lab.host import Host
from tests.lab.lab import Lab, default_directory
from tests.lab.spec import HostSpec, LabError

__all__ = ["Host", "HostSpec", "Lab", "LabError", "default_directory"]
