"""The engine's API: the classic builder, and what has to be known of images. Blocking, over its socket."""

from __future__ import annotations

import http.client
import io
import json
import os
import tarfile
from typing import Any, Callable, Dict, Optional
from urllib.parse import quote, urlencode

from ..queue.output import EngineHttp

_DOCKERFILE = ".berth.dockerfile"
_IGNORE = f"{_DOCKERFILE}\n.dockerignore\n"
"""The builder takes both out of the context once it has read them: a COPY of all does not see them."""
_PIECE = 256 * 1024


class _Chunks(io.RawIOBase):
    """What is written here goes to the engine as a chunk."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self._connection = connection
        self._buffer = bytearray()

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: Any) -> int:
        """Send, in pieces that are worth it."""
        self._buffer += data
        if len(self._buffer) >= _PIECE:
            self.flush()
        return len(data)

    def flush(self) -> None:
        """Send what is kept back."""
        if self._buffer:
            self._connection.send(b"%x\r\n" % len(self._buffer) + self._buffer + b"\r\n")
            self._buffer.clear()


def build(socket: str, spec: Dict[str, Any], say: Callable[[bytes], None]) -> str:
    """Build; the error, or nothing. `say` takes the engine's lines as they are, one JSON object each.

    The engine stops when this connection is closed, as it is when this process ends.
    """
    query = [("t", tag) for tag in spec["tags"]]
    query += [
        ("dockerfile", _DOCKERFILE),
        ("buildargs", json.dumps(spec["args"])),
        ("labels", json.dumps(spec["labels"])),
        ("rm", "1"),
        ("forcerm", "1"),
    ]
    query += [(key, spec[key]) for key in ("target", "platform") if spec[key]]
    query += [("nocache", "1")] if spec["no_cache"] else []
    connection = EngineHttp(socket, timeout=None)
    try:
        connection.putrequest("POST", f"/build?{urlencode(query)}")
        connection.putheader("Content-Type", "application/x-tar")
        connection.putheader("Transfer-Encoding", "chunked")
        connection.endheaders()
        try:
            _send(connection, spec["folder"])
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has heard enough: its answer says why
        return _answer(connection.getresponse(), say)
    except (OSError, http.client.HTTPException) as error:
        return f"the engine went away in the middle of the build ({error or type(error).__name__})"
    finally:
        connection.close()


def _send(connection: http.client.HTTPConnection, folder: str) -> None:
    tree = os.path.join(folder, "tree")
    chunks = _Chunks(connection)
    with tarfile.open(fileobj=chunks, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for name, data in (
            (_DOCKERFILE, _bytes(os.path.join(folder, "Dockerfile"))),
            (".dockerignore", _IGNORE.encode()),
        ):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
        for here, folders, files in os.walk(tree):
            folders.sort()
            for name in sorted([*folders, *files]):
                path = os.path.join(here, name)
                inside = os.path.relpath(path, tree)
                if inside not in (".dockerignore", _DOCKERFILE):
                    archive.add(path, inside, recursive=False, filter=_plain)
    chunks.flush()
    connection.send(b"0\r\n\r\n")


def _plain(entry: tarfile.TarInfo) -> Optional[tarfile.TarInfo]:
    """Owned by root, as every builder has it. What is no file, folder or link is left out."""
    if not (entry.isfile() or entry.isdir() or entry.issym() or entry.islnk()):
        return None
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


def _bytes(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _answer(response: http.client.HTTPResponse, say: Callable[[bytes], None]) -> str:
    if response.status != 200:
        return _message(response.read(65536), response.status)
    error = "the engine hung up before the build had ended"
    ended = False
    while True:
        line = response.readline(1 << 20)
        if not line:
            return "" if ended else error
        line = line.strip()
        if not line:
            continue
        say(line)
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if not isinstance(found, dict):
            continue
        if found.get("error"):
            return str(found["error"])[:2000]
        said = str(found.get("stream") or "")
        ended = ended or "aux" in found or said.startswith("Successfully built")


def _message(body: bytes, status: int) -> str:
    try:
        return str(json.loads(body)["message"])[:2000]
    except (ValueError, KeyError, TypeError):
        return f"the engine answered with status {status}"


def ask(socket: str, method: str, path: str, body: Any = None) -> Any:
    """The engine's answer to a small question; None for an error, or where it says nothing. Never raises."""
    connection = EngineHttp(socket, timeout=60.0)
    try:
        data = None if body is None else json.dumps(body)
        connection.request(method, path, body=data, headers={"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = response.read(1 << 24)
        return json.loads(answer) if answer and response.status in (200, 201) else None
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()


def image(socket: str, reference: str) -> Dict[str, Any]:
    """What the engine knows of an image; nothing where it is not there."""
    found = ask(socket, "GET", f"/images/{quote(reference, safe='')}/json")
    return found if isinstance(found, dict) else {}


def remove_dangling(socket: str, identity: str) -> None:
    """Remove an image that nobody names, uses or stands on; the engine keeps every other one."""
    found = image(socket, identity)
    if found and not any(tag != "<none>:<none>" for tag in found.get("RepoTags") or []):
        ask(socket, "DELETE", f"/images/{quote(identity, safe='')}")
