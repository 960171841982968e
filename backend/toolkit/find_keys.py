"""Find private keys in an image or a container, layer by layer, without unpacking anything to disk.

    find_keys.py save IMAGE ENGINE [OPTION...]
    find_keys.py export CONTAINER ENGINE [OPTION...]

ENGINE is the program to ask and how, `docker -H unix:///run/docker.sock`. Runs where it is: only what was
found travels. Prints one JSON object per line:
`{"found": {"layer", "path", "kind", "blocking"}}` for each find, `{"read": bytes}` now and then,
`{"done": {"files", "bytes"}}` at the end; exits 1 where the engine's command failed. Files over 1 MiB are no
keys.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
import time
from typing import IO, Any

LIMIT = 1 << 20
KEY = re.compile(
    rb"-----BEGIN (?:OPENSSH |RSA |DSA |EC |ENCRYPTED |ANY |PGP )?PRIVATE KEY(?: BLOCK)?-----"
    rb"(?:\s|\\r|\\n)+[A-Za-z0-9+/]"  # and something in it: programs that deal with keys hold the first line
    rb"|PuTTY-User-Key-File-[23]:"
)
PACKAGED = re.compile(
    r"^(usr/(lib|lib64|share|local/lib)|opt/conda/(lib|pkgs)|lib|snap)/|/(site|dist)-packages/|/tests?/"
)
CREDENTIALS = re.compile(r"(^|/)(\.netrc|\.git-credentials|\.docker/config\.json|\.aws/credentials)$")


class Counted:
    """A pipe that counts what is read, and says so now and then."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self.pipe = pipe
        self.bytes = 0
        self.said = time.monotonic()

    def read(self, size: int = -1) -> bytes:
        """Read, as tarfile wants it."""
        data = self.pipe.read(size)
        self.bytes += len(data)
        if time.monotonic() - self.said > 1:
            self.said = time.monotonic()
            say({"read": self.bytes})
        return data


def say(what: dict[str, Any]) -> None:
    """One line."""
    print(json.dumps(what), flush=True)


def kind_of(path: str, data: bytes) -> tuple[str | None, bool]:
    """What a file is, if it is something that should not be in an image, and whether that stops a push."""
    if KEY.search(data):
        # Packages ship keys for their own tests; everybody has them already.
        return "private key", not PACKAGED.search(path)
    if CREDENTIALS.search(path) and data.strip() not in (b"", b"{}"):
        return "credentials", False
    return None, False


def scan(archive: tarfile.TarFile, layer: str) -> int:
    """Look at all small files of one layer; how many there were."""
    files = 0
    for member in archive:
        if not member.isfile():
            continue
        files += 1
        path = member.name[2:] if member.name.startswith("./") else member.name
        if member.size > LIMIT:
            continue
        inside = archive.extractfile(member)
        data = inside.read() if inside else b""
        kind, blocking = kind_of(path, data)
        if kind:
            say({"found": {"layer": layer, "path": "/" + path, "kind": kind, "blocking": blocking}})
    return files


def is_layer(member: tarfile.TarInfo) -> bool:
    """Whether a member of `save` may be a layer: `ID/layer.tar`, Podman's `DIGEST.tar`, or an OCI blob."""
    return member.isfile() and (member.name.endswith(".tar") or "blobs/" in member.name)


def main(verb: str, name: str, *engine: str) -> int:
    """Scan; the exit code."""
    child = subprocess.Popen([*engine, verb, "--", name], stdout=subprocess.PIPE)
    assert child.stdout is not None
    pipe = Counted(child.stdout)
    files = layers = 0
    try:
        with tarfile.open(fileobj=pipe, mode="r|") as outer:  # type: ignore[call-overload]  # read() is enough
            if verb == "export":
                files = scan(outer, "")
            else:
                for member in outer:
                    if not is_layer(member):
                        continue
                    layer = member.name.replace("/layer.tar", "").rpartition("/")[2].replace(".tar", "")
                    try:
                        with tarfile.open(fileobj=outer.extractfile(member), mode="r|*") as inner:
                            files += scan(inner, layer[:12])
                            layers += 1
                    except tarfile.ReadError:
                        continue  # a blob that is no layer: a manifest or a configuration
    except tarfile.ReadError:
        pass  # the engine failed: its exit code tells
    while child.stdout.read(1 << 20):
        pass
    if child.wait():
        return 1
    if verb == "save" and not layers:
        sys.stderr.write("no layer was found in it")  # of a form that nobody knows here
        return 1
    say({"done": {"files": files, "bytes": pipe.bytes}})
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
