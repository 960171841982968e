"""Docker and Podman: one client per host, over the host's own connection. The only importer of docker.

    client = await engine.connect(link, host_config)
    await client.stop(container_id, grace=10)

Importing this costs 0.2 s: do it where an action runs, not where it is declared.
"""

from backend.engine.client import EngineClient
from backend.engine.connect import connect
from backend.engine.execs import ExecResult
from backend.engine.files import PathStat

__all__ = ["EngineClient", "ExecResult", "PathStat", "connect"]
