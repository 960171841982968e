"""One question, one answer: what a berth asks a host about ownership."""

from __future__ import annotations

import grp
import json
import os
import pwd
import sys

from backend.ownership.host.keeper import place, stop, watch, watches
from backend.ownership.host.starting import Trouble, once, resolved


def ids(request: dict) -> tuple[int, int, str, str]:  # type: ignore[type-arg]
    """Owner and group by number and name; -1 for those that stay. Raises `Trouble`."""
    uid, owner = -1, "keep"
    if request["owner"] != "keep":
        try:
            person = pwd.getpwnam(request["owner"]) if request["owner"] else pwd.getpwuid(os.getuid())
        except KeyError:
            raise Trouble("there is no user %s." % (request["owner"] or os.getuid()), "folder") from None
        uid, owner = person.pw_uid, person.pw_name
    gid, group = -1, "keep"
    if request["group"] and request["group"] != "keep":
        try:
            gid = grp.getgrnam(request["group"]).gr_gid
        except KeyError:
            raise Trouble("there is no group %s." % request["group"], "folder") from None
        group = request["group"]
    elif not request["group"] and uid >= 0:
        gid = pwd.getpwuid(uid).pw_gid
        try:
            group = grp.getgrgid(gid).gr_name
        except KeyError:
            group = str(gid)
    return uid, gid, owner, group


def ordered(request: dict) -> dict:  # type: ignore[type-arg]
    """What the worker is told. Raises `Trouble`."""
    uid, gid, owner, group = ids(request)
    folders: list[dict] = []  # type: ignore[type-arg]
    missing = []
    for text in request["folders"]:
        try:
            folders.append(resolved(text))
        except Trouble as trouble:
            if not request["optional"]:
                raise
            missing.append(str(trouble))
    if not folders:
        raise Trouble("there is nothing to watch: " + "; ".join(missing), "folder")
    for number, one in enumerate(folders):
        for other in folders[:number]:
            if (one["path"] + "/").startswith(other["path"].rstrip("/") + "/"):
                raise Trouble("%s is in %s." % (one["path"], other["path"]), "folder")
    return {
        "id": request["id"],
        "folders": folders,
        "uid": uid,
        "gid": gid,
        "owner": owner,
        "group": group,
        "mode": request["mode"],
        "clauses": request["clauses"],
        "root": uid >= 0 or (gid >= 0 and gid not in (*os.getgroups(), os.getgid())),
    }


def answered(request: dict, code: bytes) -> dict:  # type: ignore[type-arg]
    """What is asked for. Raises `Trouble`."""
    do = request["do"]
    if do == "list":
        return {"watches": watches()}
    if do == "stop":
        return {"watches": stop(request["what"])}
    order = ordered(request)
    if do == "watch":
        place()
        return {"watch": watch({**order, "do": "watch"}, code)}
    order.update(do="once", dry=do == "try", limit=request["limit"])
    return {"order": order, "status": once(order, code)}


def main(code: bytes) -> None:
    """From standard input to standard output."""
    os.umask(0o077)
    request = json.loads(sys.stdin.buffer.read())
    try:
        answer = answered(request, code)
    except Trouble as trouble:
        answer = {"error": str(trouble), "kind": trouble.kind}
    except OSError as error:
        answer = {"error": "%s: %s" % (error.filename or "", error.strerror or error), "kind": ""}
    sys.stdout.write(json.dumps(answer))
