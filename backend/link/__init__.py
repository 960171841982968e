"""One connection per host: run, stream, forward. The only importer of asyncssh, and only once needed.

connection = await link.open(host)
done = await connection.run(["uname", "-r"], timeout=10)
"""

from __future__ import annotations

from backend.config import HostConfig
from backend.link.api import MAX_LINE, Completed, Link, LinkProcess
from backend.link.threads import in_thread


async def open(host: HostConfig) -> Link:
    """Connect to a host, or start to use this machine.

    Raises a `HostError` that says what is wrong and what to do: `Unreachable`, `LoginRefused`,
    `HostKeyUnknown` (with the key on offer) or `HostKeyChanged`.
    """
    if host.local:
        from backend.link.local import LocalLink

        return LocalLink(host.name)
    from backend.link import loading

    # asyncssh takes a quarter of a second to import: not in the thread that draws the screen
    connecting = await in_thread(loading.connect)
    connection: Link = await connecting.connect(host)
    return connection


def add_known_host(host: HostConfig, key: str) -> None:
    """Put a host key on record: `key` as it stands in `HostKeyUnknown.key`.

    It is appended in one write to the host's `known_hosts` file, by default ~/.ssh/known_hosts, which is made
    (0600) where it is missing. Raises `ActionFailed` where that cannot be.
    """
    from backend.link import hostkeys
    from backend.link.target import resolve

    target = resolve(host)
    hostkeys.add(target.known_hosts[0], hostkeys.pattern(target.alias, target.port), key)


__all__ = ["MAX_LINE", "Completed", "Link", "LinkProcess", "add_known_host", "open"]
