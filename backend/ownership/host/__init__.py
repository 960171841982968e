"""What runs on a host: Python 3.8, nothing but the standard library, sent as one text and never put on disk.

`worker` is the part that may be root: it reads no file of a user, follows no link, and ends with its input.
"""
