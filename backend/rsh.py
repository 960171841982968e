"""What rsync starts instead of ssh: hands its pipes and the command over to the berth that waits at a socket.

`python rsh.py SOCKET HOST COMMAND...`. Standard library only; berth's side is backend/rsync.py.

Standard input and output go over as they are (nothing is copied here), then one JSON line with the command.
That is all: rsync sees the end of its pipes when berth closes them.
"""

import json
import os
import socket
import sys


def main() -> int:
    """255 where nobody takes them, as ssh has it."""
    try:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(sys.argv[1])
        socket.send_fds(connection, [b"\n"], [0, 1])
        connection.sendall(json.dumps(sys.argv[3:]).encode() + b"\n")
    except OSError:
        return 255
    return 0


if __name__ == "__main__":
    os._exit(main())
