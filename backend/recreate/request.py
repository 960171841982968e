"""What the engine says of a container -> the engine API's create request for its equal. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_INHERITED = (
    "WorkingDir",
    "User",
    "ExposedPorts",
    "Volumes",
    "Healthcheck",
    "StopSignal",
    "Shell",
    "OnBuild",
)
"""Parts of a container's configuration that come from its image unless said otherwise."""
_OWN = (
    "Domainname",
    "AttachStdin",
    "AttachStdout",
    "AttachStderr",
    "Tty",
    "OpenStdin",
    "StdinOnce",
    "StopTimeout",
    "NetworkDisabled",
)
"""Parts that are the container's alone."""
_SHORT_ID = 12
"""Digits of an id that an engine uses as host name and network alias."""


def equal_to(found: Mapping[str, Any], image: Mapping[str, Any] | None) -> dict[str, Any]:
    """The request that makes a container like `found` (an inspect). `image` is the inspect of its image.

    What the container only inherited from its image is left out, so that another image brings its own. Its
    anonymous volumes are mounted by name, so that their content is there again.
    """
    config: Mapping[str, Any] = found.get("Config") or {}
    defaults: Mapping[str, Any] = (image or {}).get("Config") or {}
    short = str(found.get("Id", ""))[:_SHORT_ID]
    body: dict[str, Any] = {key: config[key] for key in _OWN if config.get(key)}
    body |= {key: config[key] for key in _INHERITED if config.get(key) and config[key] != defaults.get(key)}
    body["Image"] = config.get("Image") or found.get("Image")
    if config.get("Hostname") and config["Hostname"] != short:
        body["Hostname"] = config["Hostname"]
    # Podman lists the host name among what was asked for; the new container has another.
    given = {*(defaults.get("Env") or ()), f"HOSTNAME={short}"}
    body["Env"] = [pair for pair in config.get("Env") or () if pair not in given]
    labels, image_labels = config.get("Labels") or {}, defaults.get("Labels") or {}
    body["Labels"] = {key: value for key, value in labels.items() if image_labels.get(key) != value}
    body |= _command(config, defaults)
    body["HostConfig"] = _host_config(found)
    networks = _networks(found, short)
    if networks:
        body["NetworkingConfig"] = {"EndpointsConfig": networks}
    return body


def _command(config: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Entrypoint and Cmd where they are not the image's. An own entrypoint drops the image's Cmd."""
    entrypoint, cmd = config.get("Entrypoint"), config.get("Cmd")
    if (entrypoint or None) != (defaults.get("Entrypoint") or None):
        return {"Entrypoint": entrypoint or [""], "Cmd": cmd}
    return {"Cmd": cmd} if cmd and cmd != defaults.get("Cmd") else {}


def _host_config(found: Mapping[str, Any]) -> dict[str, Any]:
    host = {
        key: value
        for key, value in (found.get("HostConfig") or {}).items()
        if value is not None and key != "ContainerIDFile"
    }
    host["Binds"] = [*(host.get("Binds") or ()), *_anonymous(found, host)]
    # Podman answers with the kernel's names and takes only Docker's.
    host["Ulimits"] = [
        each | {"Name": str(each.get("Name", "")).lower().removeprefix("rlimit_")}
        for each in host.get("Ulimits") or ()
    ]
    return host


def _anonymous(found: Mapping[str, Any], host: Mapping[str, Any]) -> list[str]:
    """Volumes that nobody named when the container was created."""
    named = {target_of(bind) for bind in host.get("Binds") or ()}
    named |= {mount.get("Target") for mount in host.get("Mounts") or ()}
    return [
        f"{mount['Name']}:{mount['Destination']}" + ("" if mount.get("RW", True) else ":ro")
        for mount in found.get("Mounts") or ()
        if mount.get("Type") == "volume" and mount.get("Name") and mount.get("Destination") not in named
    ]


def _networks(found: Mapping[str, Any], short: str) -> dict[str, Any]:
    """Its networks with what was configured, without what the engine assigned."""
    networks = {}
    for name, endpoint in ((found.get("NetworkSettings") or {}).get("Networks") or {}).items():
        kept = {key: endpoint[key] for key in ("IPAMConfig", "Links", "DriverOpts") if endpoint.get(key)}
        aliases = [alias for alias in endpoint.get("Aliases") or () if alias != short]
        networks[name] = kept | ({"Aliases": aliases} if aliases else {})
    return networks


def first_network(body: dict[str, Any]) -> Sequence[tuple[str, dict[str, Any]]]:
    """Leave only the main network in the request, as engines before API 1.44 want it; the others."""
    config = body.get("NetworkingConfig")
    if not config:
        return ()
    endpoints = dict(config["EndpointsConfig"])
    main = body["HostConfig"].get("NetworkMode") or "default"
    first = main if main in endpoints else next(iter(endpoints))
    config["EndpointsConfig"] = {first: endpoints.pop(first)}
    return tuple(endpoints.items())


def target_of(bind: str) -> str:
    """Where a bind (`source:target[:options]`) is mounted."""
    parts = bind.split(":")
    return parts[1] if len(parts) > 1 else parts[0]
