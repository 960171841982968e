"""What rsync starts instead of ssh: hands its pipes and the command over to the berth that waits at a socket.

`python rsh.py SOCKET HOST COMMAND...`. Standard library only; berth's side is backend/rsync.py.

To berth: standard input and output as they are (nothing is copied here), and one JSON line with the command.
From berth: frames of one byte (2 stderr, 3 exit code), four bytes of length, and that many bytes.
"""

import json
import os
import socket
import struct
import sys


def _exactly(file: "object", size: int) -> bytes:
    data: bytes = file.read(size)  # type: ignore[attr-defined]
    if len(data) < size:
        raise EOFError
    return data


def main() -> int:
    """The exit code of the remote command; 255 where the connection was lost, as ssh has it."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(sys.argv[1])
    socket.send_fds(connection, [b"\n"], [0, 1])
    connection.sendall(json.dumps(sys.argv[3:]).encode() + b"\n")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)  # only berth holds them now: rsync sees their end when berth closes them
    os.dup2(null, 1)
    file = connection.makefile("rb")
    try:
        while True:
            kind, size = struct.unpack(">BI", _exactly(file, 5))
            data = _exactly(file, size)
            if kind == 3:
                return int(struct.unpack(">i", data)[0]) & 0xFF
            while data:
                data = data[os.write(2, data) :]
    except (EOFError, OSError):
        return 255


if __name__ == "__main__":
    os._exit(main())
