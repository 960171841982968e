"""Folders of hosts as folders of this machine, by sshfs. See docs/mounts.md."""
