"""What rsync starts instead of ssh: passes a remote command on to the berth that waits at a socket.

`python rsh.py SOCKET HOST COMMAND...`. Standard library only; berth's side is backend/rsync.py.

To berth: one JSON line with the command, then its standard input until the end.
From berth: frames of one byte (1 stdout, 2 stderr, 3 exit code), four bytes of length, and that many bytes.
"""

import json
import os
import socket
import struct
import sys
import threading

_PIECE = 1 << 16


def _send(connection: socket.socket) -> None:
    try:
        while True:
            piece = os.read(0, _PIECE)
            if not piece:
                break
            connection.sendall(piece)
        connection.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # the other end is gone: its last frame, or its absence, says so


def _exactly(file: "object", size: int) -> bytes:
    data: bytes = file.read(size)  # type: ignore[attr-defined]
    if len(data) < size:
        raise EOFError
    return data


def main() -> int:
    """The exit code of the remote command; 255 where the connection was lost, as ssh has it."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(sys.argv[1])
    connection.sendall(json.dumps(sys.argv[3:]).encode() + b"\n")
    threading.Thread(target=_send, args=(connection,), daemon=True).start()
    file = connection.makefile("rb", _PIECE)
    try:
        while True:
            kind, size = struct.unpack(">BI", _exactly(file, 5))
            data = _exactly(file, size)
            if kind == 3:
                return int(struct.unpack(">i", data)[0]) & 0xFF
            while data:
                data = data[os.write(kind, data) :]
    except (EOFError, OSError):
        return 255


if __name__ == "__main__":
    os._exit(main())
