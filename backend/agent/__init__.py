"""The program that runs on each host: it watches the machine and writes what changed, line by line.

Standard library only, Python 3.8 or later, one event loop, no file of its own on the host but the
zipapp it was started from. `python3 agent.pyz` (or `python3 -m backend.agent`) talks on its standard
streams; the end of its input ends it.

Output
    One JSON object per line, ASCII only: `{"s": section, "t": unix time, "d": data}`. A section is sent
    whole, and only when it differs from what was sent before. When the reader is slow, a newer line of a
    section replaces the older one that still waits: a reader that comes back gets the newest state.

    hello       once, first: protocol, hostname, os, kernel, cpus, user ...
    host        each interval: cpu, load, memory, swap, network
    disk        each 30 s: a list of file systems (root, the engine's, the user's home)
    engine      when it changed: state, kind, version, socket, error, hint
    containers  when any container changed: a list of all of them
    usage       each interval: a list with cpu, memory, network and pids of each running container
    gpus        each interval: {"gpus": [...], "driver", "error", "hint"}
    processes   each 5 s: a list of processes that hold a GPU
    tmux        each 5 s where a tmux server runs: a list of sessions with their panes
    pane        while `watch` asks for it: what a tmux pane shows, whole or only the rows that changed
    jobs        where the host has a queue, when its database changed: see queue/watch.py
    reply       answers `queue`: {"id": int, "ok": {...}} or {"id": int, "error": {...}}
    pong        answers `ping`: {"id": int}
    fault       a probe failed and the others go on: {"where": str, "message": str}

    The fields of each are the wire structs of berth's `backend/model`. Fields at their default (None,
    empty) may be left out. Times inside `d` are RFC 3339 in UTC, sizes are bytes, percents 0-100.

Input
    One JSON object per line: `{"cmd": "interval", "seconds": 2.0}`, `{"cmd": "ping", "id": 7}`,
    `{"cmd": "refresh"}` (list everything again and send every section again), `{"cmd": "stop"}`,
    `{"cmd": "watch", "panes": [{"socket", "pane", "fresh"}]}` (for the next seconds, see probe/panes.py).
    `{"cmd": "queue", "id": 7, "verb": "hold", "body": {"ids": [3]}}` (see queue/api.py).
    Anything else is answered by a `fault` line.

Options
    --interval SECONDS   between samples, 0.5 to 60, default 2
    --engine KIND        auto, docker, podman or none
    --socket PATH        of the engine, instead of looking for it
    --once               send every section once and end
"""

from __future__ import annotations

PROTOCOL = 1
"""Version of the line format above."""
