"""GPUs for Podman, which names them as CDI does and passes over Docker's way of asking without a word."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from backend.errors import EngineError

_SINCE = (5, 4)
"""The Podman whose Docker API takes CDI names (podman, pkg/api/handlers/compat/containers_create.go)."""


def asked(config: Mapping[str, Any]) -> bool:
    """Whether a create request asks for NVIDIA GPUs in Docker's way."""
    return any(_is_gpu(each) for each in (config.get("HostConfig") or {}).get("DeviceRequests") or ())


def named(config: Mapping[str, Any], version: str, host: str) -> dict[str, Any]:
    """The request with GPUs as `nvidia.com/gpu=UUID`. Raises `EngineError` for a Podman that takes none."""
    found = re.match(r"(\d+)\.(\d+)", version)
    if found is None or (int(found[1]), int(found[2])) < _SINCE:
        since = ".".join(map(str, _SINCE))
        raise EngineError(
            f"{host}: Podman {version} gives no GPUs to containers that are made over its API.",
            hint=f"Podman {since} does. Or make it there: podman create --device nvidia.com/gpu=all ...",
        )
    requests = [
        each
        if not _is_gpu(each)
        else {"Driver": "cdi", "DeviceIDs": [f"nvidia.com/gpu={id}" for id in _ids(each)]}
        for each in config["HostConfig"]["DeviceRequests"]
    ]
    return {**config, "HostConfig": {**config["HostConfig"], "DeviceRequests": requests}}


def _is_gpu(request: Mapping[str, Any]) -> bool:
    words = {word for group in request.get("Capabilities") or () for word in group}
    return "gpu" in words and request.get("Driver") != "cdi"


def _ids(request: Mapping[str, Any]) -> list[str]:
    return [str(each) for each in request.get("DeviceIDs") or ()] or ["all"]
