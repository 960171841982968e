"""What a sync needs on each side: standard library only, Python 3.8 or newer.

Sent to a host as one text (see `backend.sync.side`), and used on this machine as it is.
"""
