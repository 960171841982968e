"""Owner, group and modes of shared folders of hosts, kept right while things are made in them.

See docs/mounts.md.
"""
