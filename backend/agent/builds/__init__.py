"""Builds images on a host, in a process that outlives whoever asked for it: `agent build`.

`agent build run` talks on its standard streams, one JSON object per line.

    -> {"engine", "socket", "image", "digest", "who", "mode": "go-on" | "stop", "builder": "auto" | ...}
    <- {"waiting": NAME}           somebody builds that image; again whenever it is somebody else
    <- {"send": {"folder", "rsync", "builder"}}     the lock is ours: bring the context to `folder`
    -> {"build": {...}}            see `spec`; the end of input gives the lock back
    <- {"run": {"id", "joined"}}   a detached process builds; `joined`: it did already, for us
    <- {"o": [[unix time, line], ...]}              what the builder says
    <- {"end": {"code", "error", "image", "builder", "cancelled"}}
    -> {"beat": 1}                 now and then: in mode `stop`, silence ends the build
    -> {"cancel": 1}               ends the build; its `end` follows

`agent build follow RUN` goes on where somebody broke off: everything from the first line on.
`agent build cancel RUN` ends a build. `agent build list` prints one line per build that is remembered.
`agent build job VERB`: builds as jobs of a cluster, see `job`.

What a build needs lies in ~/.cache/berth/builds, for its user alone:
    contexts/KEY/tree        the context as it was sent last: the next time only changes travel
    contexts/KEY/Dockerfile
    runs/ID/info.json        what is built for whom
    runs/ID/output           what the builder said, `TIME LINE`, of bounded size
    runs/ID/end              how it ended; its room is taken beforehand, so that a full disk cannot lose it
    runs/ID/lock             held as long as the build's process lives
Secrets are in memory (a tmpfs) while they are needed. What a killed process left is removed by the next one.
"""

from __future__ import annotations
