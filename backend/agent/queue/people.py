"""Names of users and groups, and who is in which."""

from __future__ import annotations

import grp
import os
import pwd
from typing import Optional


def member(uid: int, gid: int) -> bool:
    """Whether the user is in the group."""
    try:
        entry = pwd.getpwuid(uid)
        return gid >= 0 and gid in os.getgrouplist(entry.pw_name, entry.pw_gid)
    except (KeyError, OSError):
        return False


def gid_of(name: str) -> int:
    """The group's number; -1 where there is no such group."""
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return -1


def group(gid: int) -> str:
    """The group's name, else its number."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def user(uid: Optional[int] = None) -> str:
    """The user's name, else the number; ours without one."""
    uid = os.getuid() if uid is None else uid
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
