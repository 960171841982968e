"""berth's configuration for a lab: what a person would have written for these hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from tests.lab.lab import Lab


def write(lab: Lab, *, contexts: dict[str, dict[str, Any]] | None = None) -> None:
    """Write hosts.yaml, known_hosts and contexts/*.yaml into the lab's configuration folder."""
    folder = lab.config_dir
    hosts: dict[str, Any] = {}
    known = []
    for host in lab.hosts.values():
        entry: dict[str, Any] = {"host": host.address, "sshport": host.port}
        for key in ("type", "comment"):
            if value := getattr(host.spec, key):
                entry[key] = value
        if host.spec.tags:
            entry["tags"] = list(host.spec.tags)
        if host.spec.engine == "none" and host.spec.slurm:
            entry["engine"] = "none"
        if host.spec.slurm == host.name:
            entry["queue"] = "slurm"
        elif host.spec.slurm:
            entry["queue"] = "none"  # its GPUs are the cluster's
        hosts[host.name] = entry
        public = (host.folder / "seed/etc/ssh/ssh_host_ed25519_key.pub").read_text().split()
        known.append(f"{host.address} {public[0]} {public[1]}\n")
    document = {
        "username": "alice",
        "identity_file": str(lab.key),
        "known_hosts": str(folder / "known_hosts"),
        "local": False,
        "hosts": hosts,
    }
    _dump(folder / "hosts.yaml", document)
    (folder / "known_hosts").write_text("".join(known))
    (folder / "contexts").mkdir(exist_ok=True)
    for path in (folder / "contexts").iterdir():
        path.unlink()
    for name, context in (_default_contexts(lab) if contexts is None else contexts).items():
        _dump(folder / "contexts" / f"{name}.yaml", context)


def _default_contexts(lab: Lab) -> dict[str, dict[str, Any]]:
    return {
        f"{host.name}-work": {"host": host.name, "image": "busybox:latest", "container": "work"}
        for host in lab.hosts.values()
        if host.spec.engine != "none"
    }


def _dump(path: Any, document: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    path.chmod(0o600)
