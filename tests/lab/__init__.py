"""The lab: real hosts (sshd, Docker or Podman, tmux, users, GPUs) as namespaces of one Linux machine."""

from tests.lab.host import Host
from tests.lab.lab import Lab, default_directory
from tests.lab.spec import HostSpec, LabError

__all__ = ["Host", "HostSpec", "Lab", "LabError", "default_directory"]
