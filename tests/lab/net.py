"""The lab's network: one bridge per lab, one network namespace and one cable per host.

Nothing is routed: the machine reaches the hosts, the hosts reach the machine and each other, no more.
"""

from __future__ import annotations

import json
from typing import Any

from tests.lab.machine import command, machine_lock
from tests.lab.spec import LabError

PREFIX = "10.77"


def _ip(*words: str, check: bool = True) -> str:
    return command(["ip", *words], check=check).stdout


class Network:
    """Names follow from the lab's id, so that what a crashed lab left can be found."""

    def __init__(self, lab_id: str) -> None:
        self.bridge = f"bl{lab_id}"
        self._lab_id = lab_id

    def netns(self, number: int) -> str:
        """Name of a host's network namespace."""
        return f"berth-{self._lab_id}-{number}"

    def cable(self, number: int) -> str:
        """The machine's end of a host's cable."""
        return f"{self.bridge}-{number}"

    def create(self) -> int:
        """Make the bridge on a free 10.77.N.0/24 and return N."""
        with machine_lock("net"):
            taken = _ip("-4", "-o", "addr", "show")
            octet = next((n for n in range(256) if f" {PREFIX}.{n}.1/" not in taken), None)
            if octet is None:
                raise LabError(f"256 labs are up: no {PREFIX}.N.0/24 is free")
            _ip(
                "link",
                "add",
                self.bridge,
                "address",
                self._hardware(0),
                "type",
                "bridge",
                "forward_delay",
                "0",
            )
            _ip("addr", "add", f"{PREFIX}.{octet}.1/24", "dev", self.bridge)
            _ip("link", "set", self.bridge, "up")
        return octet

    def plug(self, number: int, address: str) -> None:
        """Make a host's namespace and connect it."""
        netns, cable = self.netns(number), self.cable(number)
        _ip("netns", "add", netns)
        peer = ["peer", "name", "eth0", "address", self._hardware(number), "netns", netns]
        _ip("link", "add", cable, "type", "veth", *peer)
        _ip("link", "set", cable, "master", self.bridge, "up")
        _ip("-n", netns, "addr", "add", f"{address}/24", "dev", "eth0")
        _ip("-n", netns, "link", "set", "eth0", "up")

    def _hardware(self, number: int) -> str:
        """A hardware address that a host (0: the bridge) keeps as long as the lab is up.

        A new one would be unknown to everybody's ARP cache for half a minute after a boot; and a bridge
        without one changes it with its cables.
        """
        return ":".join(["02", f"{number:02x}", *(self._lab_id[i : i + 2] for i in range(0, 8, 2))])

    def unplug(self, number: int) -> None:
        """Remove a host's cable and namespace; the cable first, so that no last word of it gets out."""
        _ip("link", "del", self.cable(number), check=False)
        _ip("netns", "del", self.netns(number), check=False)

    def set_cable(self, number: int, state: str) -> None:
        """`up` or `down`."""
        _ip("link", "set", self.cable(number), state)

    def cable_up(self, number: int) -> bool:
        """Whether the host is plugged in."""
        found: list[dict[str, Any]] = json.loads(
            _ip("-j", "link", "show", self.cable(number), check=False) or "[]"
        )
        return bool(found) and "UP" in found[0]["flags"]

    def remove(self) -> None:
        """Remove all of it, also after a crash."""
        listing = json.loads(_ip("-j", "link", "show") or "[]")
        for link in listing:
            if link["ifname"].startswith(f"{self.bridge}-"):
                _ip("link", "del", link["ifname"], check=False)
        for line in _ip("netns", "list").splitlines():
            if line.startswith(f"berth-{self._lab_id}-"):
                _ip("netns", "del", line.split()[0], check=False)
        if any(link["ifname"] == self.bridge for link in listing):
            _ip("link", "del", self.bridge)
