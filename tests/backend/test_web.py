"""`berth serve` as a program, over real HTTP: nothing without the token, and an end that leaves nothing."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
from aiohttp import ClientSession, CookieJar, WSServerHandshakeError
from textual_serve.download_manager import DownloadManager
from yarl import URL

from backend.web import tab
from tests.lab.machine import wait_for

BERTH = [sys.executable, "-m", "tui"]


class Served:
    """`berth serve` on this machine, with a configuration of its own."""

    def __init__(self, folder: Path, *words: str, browser: str = "") -> None:
        folder.mkdir(exist_ok=True)
        (folder / "config").mkdir(exist_ok=True)
        self.folder = folder
        (folder / "config" / "settings.yaml").write_text("interval: 5\n")
        environment = os.environ | {
            "BERTH_CONFIG_DIR": str(folder / "config"),
            "BERTH_STATE_DIR": str(folder / "state"),
            "BERTH_CACHE_DIR": str(folder / "cache"),
        }
        for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
            environment.pop(name, None)
        if browser:
            environment["BROWSER"] = browser
        with (folder / "said").open("w") as said:
            self.process = subprocess.Popen(
                [*BERTH, "serve", "--port", "0", *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=said,
                env=environment,
                text=True,
                start_new_session=True,
            )
        assert self.process.stdout is not None
        self.url = URL(self.process.stdout.readline().strip())
        assert self.url.host, self.said
        self.base = self.url.origin()
        self.token = self.url.query["token"]

    @property
    def said(self) -> str:
        return (self.folder / "said").read_text()

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Its exit code after this signal."""
        self.process.send_signal(number)
        return self.process.wait(40)

    def close(self) -> None:
        if self.process.poll() is None:
            self.end(signal.SIGKILL)
        if self.process.stdout:
            self.process.stdout.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    one = Served(tmp_path_factory.mktemp("web"), "--tabs", "2")
    yield one
    one.close()


@pytest.fixture
async def stranger() -> AsyncIterator[ClientSession]:
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as session:
        yield session


@pytest.fixture
async def guest(served: Served, stranger: ClientSession) -> ClientSession:
    """Somebody with the cookie."""
    async with stranger.get(served.url) as answer:
        assert answer.status == 200
    return stranger


async def status(session: ClientSession, url: URL, **headers: str) -> int:
    async with session.get(url, headers=headers, allow_redirects=False) as answer:
        await answer.read()
        return answer.status


async def dashboard(
    session: ClientSession, served: Served, **headers: str
) -> aiohttp.ClientWebSocketResponse:
    headers = {"Origin": str(served.base)} | headers
    return await session.ws_connect(served.base / "ws" % {"width": 100, "height": 30}, headers=headers)


async def drawn(websocket: aiohttp.ClientWebSocketResponse, what: bytes) -> None:
    """Wait until the dashboard has sent this."""
    seen = b""
    while what not in seen:
        message = await websocket.receive(timeout=60)
        assert message.type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT), (message, seen)
        seen += message.data if isinstance(message.data, bytes) else message.data.encode()


async def test_nothing_is_given_without_the_token(served: Served, stranger: ClientSession) -> None:
    for path in ("", "ws", "download/x", "static/js/textual.js", "ours/berth.js", "nothing"):
        assert await status(stranger, served.base / path) == 403
    assert await status(stranger, served.base % {"token": "x" * 43}) == 403
    assert await status(stranger, served.base / "download" / "x" % {"token": served.token}) == 403
    with pytest.raises(WSServerHandshakeError, match="403"):
        await dashboard(stranger, served)


async def test_the_token_becomes_a_cookie_that_scripts_and_other_sites_do_not_get(
    served: Served, stranger: ClientSession
) -> None:
    async with stranger.get(served.url) as answer:
        (cookie,) = answer.headers.getall("Set-Cookie")
        text = await answer.text()
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    assert served.token not in cookie + text
    assert await status(stranger, served.base) == 200
    async with stranger.get(served.base) as answer:
        page = await answer.text()
        headers = answer.headers
    assert served.token not in page
    assert not re.search(r"//(?!127\.0\.0\.1)", page)  # nothing from the web
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert (headers["Referrer-Policy"], headers["Cache-Control"]) == ("no-referrer", "no-store")


async def test_other_names_and_pages_from_elsewhere_are_refused(served: Served, guest: ClientSession) -> None:
    assert await status(guest, served.base, Host=f"evil.example:{served.base.port}") == 421
    assert await status(guest, served.base, Origin="https://evil.example") == 403
    for origin in ("https://evil.example", "null", f"http://127.0.0.1:{served.base.port + 1}"):
        with pytest.raises(WSServerHandshakeError, match="403"):
            await dashboard(guest, served, Origin=origin)
    with pytest.raises(WSServerHandshakeError, match="403"):
        await guest.ws_connect(served.base / "ws")  # no page at all
    assert served.children() == []


async def test_what_cannot_be_found_or_read_is_no_reason_to_fail(
    served: Served, guest: ClientSession
) -> None:
    assert await status(guest, served.base / "download" / "x") == 404
    assert await status(guest, served.base.with_path("/static/%2e%2e/server.py", encoded=True)) in (403, 404)
    assert await status(guest, served.base / "static" / "") in (403, 404)
    with socket.create_connection((served.base.host, served.base.port)) as raw:
        raw.sendall(f"GET /?token={served.token} NONSENSE\r\n\r\n".encode())
        assert b" 400 " in raw.recv(4096)
    assert await status(guest, served.base) == 200


async def test_a_tab_is_a_process_and_there_are_only_so_many(served: Served, guest: ClientSession) -> None:
    first, second = await dashboard(guest, served), await dashboard(guest, served)
    for each in (first, second):
        await drawn(each, b"Fleet")
        await each.send_str("nonsense")
        await each.send_json(["resize", {"width": -5, "height": 10**9}])
        await each.send_json(["resize", {"width": 100, "height": 30}])
    tabs = [each for each in served.children() if "tui.web" in each.cmdline()]
    assert len(tabs) == 2
    for process in [psutil.Process(served.process.pid), *served.children()]:
        told = [*process.cmdline(), *process.environ().values()]
        assert not any(served.token in each for each in told)

    third = await dashboard(guest, served)
    await drawn(third, b"2 tabs are open already")
    assert (await third.receive(timeout=30)).type is aiohttp.WSMsgType.CLOSE

    await first.send_json(["stdin", "q"])  # leaves
    while (await first.receive(timeout=30)).type is aiohttp.WSMsgType.BINARY:
        pass
    for each in tabs:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()  # crashes
    while (await second.receive(timeout=30)).type is aiohttp.WSMsgType.BINARY:
        pass
    assert second.closed
    wait_for(lambda: not served.children(), "both to end", seconds=40)
    assert served.token not in served.said
    log = served.folder / "state" / "berth.log"
    assert not log.exists() or served.token not in log.read_text()


async def test_a_dashboard_that_does_not_leave_is_ended_with_all_it_started(monkeypatch: Any) -> None:
    monkeypatch.setattr(tab, "GRACE", 0.2)
    script = "import subprocess, time; subprocess.Popen(['sleep', '1000']); time.sleep(1000)"

    class Page:
        async def send_bytes(self, data: bytes) -> None: ...

        async def send_str(self, text: str) -> None: ...

        async def close(self) -> None:
            raise ConnectionResetError

    one = tab.Tab([sys.executable, "-c", script], Page(), DownloadManager())  # type: ignore[arg-type]
    await one.start(80, 24)
    assert one._process is not None
    process = psutil.Process(one._process.pid)
    wait_for(process.children, "it to start something")
    all_of_it = [process, *process.children(recursive=True)]
    await one.stop()
    await one.stop()  # what has ended can be ended
    wait_for(lambda: not any(map(alive, all_of_it)), "all of it to end")


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)]
)
async def test_no_tab_outlives_the_server(
    number: int, code: int, tmp_path: Path, stranger: ClientSession
) -> None:
    served = Served(tmp_path, "--read-only")
    try:
        async with stranger.get(served.url):
            websocket = await dashboard(stranger, served)
        await drawn(websocket, b"Fleet")
        children = served.children()
        assert any("--read-only" in each.cmdline() for each in children)
        assert served.end(number) == code
        wait_for(lambda: not any(map(alive, children)), "all tabs to end", seconds=40)
        assert "Traceback" not in served.said
    finally:
        served.close()


def alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_another_address_is_asked_for_and_says_what_it_means(tmp_path: Path) -> None:
    served = Served(tmp_path, "--bind", "0.0.0.0", "--open")
    try:
        wait_for(lambda: "no screen here" in served.said, "a word about the browser")
        assert "unencrypted" in served.said
        assert "ssh -L" in served.said
        assert served.end() == 143
    finally:
        served.close()


def test_a_browser_is_given_a_file_of_ours_and_no_token(tmp_path: Path) -> None:
    browser, given, page = (tmp_path / name for name in ("browser", "given", "page"))
    browser.write_text(
        f'#!/bin/sh\nstat -c %a "$(dirname "${{1#file://}}")" >{page}\n'
        f'cat "${{1#file://}}" >>{page}\necho "$1" >{given}\n'
    )
    browser.chmod(0o755)
    served = Served(tmp_path, "--open", browser=str(browser))
    try:
        wait_for(lambda: given.exists() and given.read_text(), "the browser")
        assert given.read_text().startswith("file:///")
        assert served.token not in given.read_text()
        mode, text = page.read_text().split("\n", 1)
        assert mode == "700"
        assert str(served.url) in text
        served.end()
        assert not Path(given.read_text().strip().removeprefix("file://")).exists()
    finally:
        served.close()


def test_what_is_missing_without_the_extra_is_named(tmp_path: Path) -> None:
    script = (
        "import sys; sys.modules['aiohttp'] = None; from backend.cli import main; sys.exit(main(['serve']))"
    )
    environment = os.environ | {"BERTH_CONFIG_DIR": str(tmp_path), "BERTH_STATE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "pip install 'berth[web]'" in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--bind", "no.such.name.invalid"), 2, "no address of a machine"),
        (("--port", "70000"), 2, "0-65535"),
        (("--tabs", "0"), 2, "1-100"),
    ],
)
def test_what_cannot_be_is_refused(words: tuple[str, ...], code: int, said: str, tmp_path: Path) -> None:
    done = run(tmp_path, *words)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr


def test_a_port_that_is_taken_is_named(served: Served, tmp_path: Path) -> None:
    done = run(tmp_path, "--port", str(served.base.port))
    assert done.returncode == 1
    assert f"port {served.base.port}" in done.stderr
    assert "--port 0" in done.stderr


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment: dict[str, Any] = os.environ | {
        "BERTH_CONFIG_DIR": str(folder),
        "BERTH_STATE_DIR": str(folder),
    }
    return subprocess.run(
        [*BERTH, "serve", *words], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
