"""The first look at an engine: what it takes for an answer, and what not."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from backend.building.glance import Glance
from backend.errors import EngineError
from backend.link.local import LocalLink

PODMAN = {"Components": [{"Name": "Podman Engine"}]}
DOCKER = {"Components": [{"Name": "Engine"}, "odd", {}]}


async def learned(tmp_path: Path, status: int, said: Any) -> Glance:
    """A look that has asked an engine which answers that to everything."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = json.dumps(said).encode()
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        await reader.read()
        writer.close()

    path = str(tmp_path / "engine.sock")
    async with await asyncio.start_unix_server(serve, path):
        look = Glance("h1", path, LocalLink("h1"), "/run/engine.sock")
        try:
            await look.learn()
        finally:
            assert bool(look.kind) == (status == 200 and isinstance(said, dict))
            await look.close()
    return look


@pytest.mark.parametrize(("said", "kind"), [(PODMAN, "podman"), (DOCKER, "docker"), ({}, "docker")])
async def test_an_engine_tells_its_kind(said: Any, kind: str, tmp_path: Path) -> None:
    assert (await learned(tmp_path, 200, said)).kind == kind


@pytest.mark.parametrize(("status", "said"), [(500, {"message": "no"}), (404, {}), (200, ["x"])])
async def test_an_error_is_no_kind_of_engine(status: int, said: Any, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=f"status {status}"):
        await learned(tmp_path, status, said)
