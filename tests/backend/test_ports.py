"""Ports of containers, reached from here through the right host."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.actions.ports import where
from backend.errors import ActionFailed, UsageError
from backend.link.local import LocalLink
from tests.lab import HostSpec, Lab, parts

BOTH = {
    "NetworkSettings": {
        "IPAddress": "172.17.0.2",
        "Ports": {
            "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}],
            "53/udp": [{"HostPort": "1"}],
            "9/tcp": None,
        },
    },
    "Config": {"ExposedPorts": {"80/tcp": {}, "9/tcp": {}}},
}


def test_a_published_port_is_reached_where_it_was_published():
    assert where(BOTH, 80, "web") == ("127.0.0.1", 8080, 80)
    assert where(BOTH, None, "web") == ("127.0.0.1", 8080, 80)


def test_another_port_at_the_containers_own_address():
    assert where(BOTH, 9, "web") == ("172.17.0.2", 9, 9)
    assert where({"HostConfig": {"NetworkMode": "host"}}, 9, "web") == ("127.0.0.1", 9, 9)


def test_it_has_to_be_said_which_one_of_several():
    with pytest.raises(UsageError, match="which port"):
        where({"Config": {"ExposedPorts": {"1/tcp": {}, "2/tcp": {}}}}, None, "web")
    with pytest.raises(UsageError, match="no port"):
        where(BOTH, 70000, "web")
    with pytest.raises(ActionFailed, match="no network address"):
        where({}, 9, "web")


async def test_a_local_forward_carries_both_ways_and_ends():
    async def upper(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read()).upper())
        writer.close()

    server = await asyncio.start_server(upper, "127.0.0.1", 0)
    link = LocalLink("local")
    async with link.forward_port("127.0.0.1", server.sockets[0].getsockname()[1]) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"hello")
        writer.write_eof()
        assert await reader.read() == b"HELLO"
        writer.close()
        with pytest.raises(ActionFailed, match=str(port)):
            async with link.forward_port("127.0.0.1", 1, port):
                pass
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", port)
    server.close()
    await link.close()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    parts.require()
    with Lab(tmp_path_factory.mktemp("ports") / "lab", [HostSpec("h1")]) as lab:
        yield lab


@pytest.mark.lab
@pytest.mark.parametrize("options", [["-p", "127.0.0.1:8080:80"], []], ids=["published", "not published"])
def test_a_page_of_a_container_opens_here(lab: Lab, tmp_path: Path, options: list[str]):
    host = lab.host("h1")
    script = "mkdir /w; echo it is me > /w/index.html; httpd -f -p 80 -h /w"
    host.docker("run", "-d", "--name", "web", *options, "busybox", "sh", "-c", script)
    env = {**os.environ, "BERTH_CONFIG_DIR": str(lab.config_dir), "BERTH_STATE_DIR": str(tmp_path)}
    child = subprocess.Popen(
        [sys.executable, "-m", "tui", "open", "h1/web", "80"],
        env=env, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        address = re.search(r"http://\S+:\d+", child.stderr.readline())
        assert address is not None
        with urllib.request.urlopen(address.group(), timeout=10) as page:
            assert page.read() == b"it is me\n"
        child.send_signal(signal.SIGINT)
        assert child.wait(20) == 130
    finally:
        child.kill()
        child.wait()
        host.docker("rm", "-f", "web")
