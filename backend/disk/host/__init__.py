"""What looks at a host's disks: standard library only, Python 3.8 or newer.

Sent to a host as one text (see `backend.disk.remote`); it ends when its input does.
"""
