"""What rsync starts instead of ssh: hands its pipes and the command over to the berth that waits at a socket.

`python rsh.py SOCKET HOST COMMAND...`. Berth's side is backend/rsync.py. It gets a byte with our standard
input and output (nothing is copied here), then the words of the command, each with a NUL behind it. That is
all: rsync sees the end of its pipes when berth closes them.

rsync waits for this: `_socket` comes without what makes `socket` take half of Python's start.
"""

import _socket
import os
import sys
from array import array


def main() -> int:
    """255 where nobody takes them, as ssh has it."""
    try:
        connection = _socket.socket(_socket.AF_UNIX)
        connection.connect(sys.argv[1])
        pipes = array("i", [0, 1])
        connection.sendmsg([b"\n"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, pipes)])
        connection.sendall(b"".join(os.fsencode(word) + b"\0" for word in sys.argv[3:]))
    except OSError:
        return 255
    return 0


if __name__ == "__main__":
    os._exit(main())
