"""Write an image as `docker save` does, without the layers that its receiver has already.

    save_layers.py SOCKET API_VERSION IMAGE KNOWN DIFF_ID...

DIFF_ID are the image's layers from the bottom, KNOWN how many of them are left out. Runs where the engine is,
so that what is left out travels nowhere. Docker's `load` does not open the file of a layer whose chain it has
(moby, image/tarexport/load.go). A layer is left out only if its name proves which one it is: newer engines
and Podman name it by its digest, older ones by a hash over the chain it is the end of.
"""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import os
import re
import socket
import sys
import tarfile
import threading
from typing import IO
from urllib.parse import quote

BLOCK = 1 << 20
BY_DIGEST = re.compile(r"(?:blobs/sha256/([0-9a-f]{64})|([0-9a-f]{64})\.tar)")
BY_CHAIN = re.compile(r"([0-9a-f]{64})/(json|layer\.tar)")


class Engine(http.client.HTTPConnection):
    """The engine's API over its socket."""

    def __init__(self, path: str) -> None:
        super().__init__("engine")
        self.path = path

    def connect(self) -> None:
        """To the socket instead of a host."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self.path)


def sha256(text: str) -> str:
    """In hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def chains(diff_ids: list[str]) -> list[str]:
    """The chain that each layer is the end of (OCI image specification, "Layer ChainID")."""
    found: list[str] = []
    for each in diff_ids:
        found.append("sha256:" + sha256(found[-1] + " " + each) if found else each)
    return found


def members(text: str) -> dict[str, str]:
    """A JSON object's values as they are written. Raises ValueError."""
    decoder, found, at = json.JSONDecoder(), {}, 0
    while text[at : at + 1] in ("{", ","):
        key, end = decoder.raw_decode(text, at + 1)
        _, at = decoder.raw_decode(text, end + 1)
        found[str(key)] = text[end + 1 : at]
    if text[at:].strip() != "}":
        raise ValueError("not an object")
    return found


def place(name: str, description: str, known: list[str]) -> int | None:
    """Which of the known chains a folder of `docker save` (before 25) holds; None if that cannot be told.

    The folder's name is the hash of its own description with the chain in place of the id.
    """
    try:
        found = members(description)
        found.pop("id", None)
        if "parent" in found:
            found["parent"] = '"sha256:' + str(json.loads(found["parent"])) + '"'
    except ValueError:
        return None
    for position, chain in enumerate(known):
        found["layer_id"] = '"' + chain + '"'
        # The engine adds `os` to layers below the top after it has made up their name.
        for keys in (sorted(found), sorted(set(found) - {"os"})):
            if sha256("{" + ",".join(json.dumps(key) + ":" + found[key] for key in keys) + "}") == name:
                return position
    return None


class Filter:
    """Decides, member by member, what is left out."""

    def __init__(self, diff_ids: list[str], known: int) -> None:
        self.chains = chains(diff_ids)[:known]
        # One that comes again further up is written once, and needed there.
        self.spare = [each not in diff_ids[known:] for each in diff_ids[:known]]
        self.digests = {each.partition(":")[2] for each in diff_ids[:known] if each not in diff_ids[known:]}
        self.places: dict[str, int | None] = {}

    def described(self, name: str, text: str) -> None:
        """A small file was read: it may say which layer its folder holds."""
        found = BY_CHAIN.fullmatch(name)
        if found and found[2] == "json":
            self.places[found[1]] = place(found[1], text, self.chains)

    def drops(self, member: tarfile.TarInfo) -> bool:
        """Whether this member is a layer that nobody needs."""
        if not member.isfile():
            return False
        found = BY_DIGEST.fullmatch(member.name)
        if found:
            return (found[1] or found[2]) in self.digests
        found = BY_CHAIN.fullmatch(member.name)
        if not found or found[2] == "json":
            return False
        position = self.places.get(found[1])
        return position is not None and self.spare[position]


def until_left() -> None:
    """End with whoever started us: its end of our standard input closes."""
    while os.read(0, BLOCK):
        pass
    os._exit(1)


def main(path: str, version: str, image: str, known: str, *diff_ids: str) -> int:
    """Write it to standard output; the exit code."""
    threading.Thread(target=until_left, daemon=True).start()
    engine = Engine(path)
    engine.request("GET", f"/v{version}/images/{quote(image, safe='/:@')}/get")
    answer = engine.getresponse()
    if answer.status != 200:
        sys.stderr.write(answer.read(4096).decode("utf-8", "replace"))
        return 3
    wanted = Filter(list(diff_ids), int(known))
    out = sys.stdout.buffer
    with tarfile.open(fileobj=answer, mode="r|", bufsize=BLOCK) as whole, tarfile.open(
        fileobj=out, mode="w|", bufsize=BLOCK, format=tarfile.PAX_FORMAT
    ) as part:
        for member in whole:
            if wanted.drops(member):
                continue
            inside: IO[bytes] | None = whole.extractfile(member) if member.isfile() else None
            if inside is not None and member.name.endswith("/json") and member.size < BLOCK:
                text = inside.read()
                wanted.described(member.name, text.decode("utf-8", "replace"))
                inside = io.BytesIO(text)
            part.addfile(member, inside)
    out.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
