"""A real browser: headless Chromium over its DevTools protocol.

The protocol is one websocket with JSON on it, and a websocket client is here already (aiohttp, of the extra
`web`): playwright and selenium would each bring a package with a driver program of its own for the same.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import aiohttp

_KEYS = {
    "Enter": (13, "\r"),
    "Escape": (27, ""),
    "Tab": (9, ""),
    "Backspace": (8, ""),
    "ArrowDown": (40, ""),
    "ArrowUp": (38, ""),
}
_SCREEN = """
Object.defineProperty(Object.prototype, "websocket_url", {
  configurable: true,
  set(url) {
    Object.defineProperty(this, "websocket_url", {value: url, writable: true});
    window.shown = this;  // textual.js's own, with the terminal in it
  },
});
"""
"""Run before a page's own scripts: what the page's terminal shows is in no element, but drawn."""
_READ = """
(() => {
  if (!window.shown) return "";
  const buffer = shown.terminal.buffer.active;
  const lines = [];
  for (let at = 0; at < shown.terminal.rows; at++) {
    const line = buffer.getLine(buffer.viewportY + at);
    lines.push(line ? line.translateToString(true) : "");
  }
  return lines.join("\\n");
})()
"""


class Page:
    """One tab."""

    def __init__(self, browser: Browser, target: str, session: str) -> None:
        self._browser, self._target, self._session = browser, target, session
        self.asked: list[str] = []
        """Addresses that it asked for."""
        self.complaints: list[str] = []
        """Errors that its console shows."""

    async def do(self, method: str, **params: Any) -> dict[str, Any]:
        """One call of the protocol."""
        return await self._browser.do(method, session=self._session, **params)

    async def goto(self, url: str) -> None:
        """Open an address."""
        await self.do("Page.navigate", url=url)

    async def eval(self, script: str) -> Any:
        """What a script gives."""
        done = await self.do(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True, userGesture=True
        )
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    async def key(self, *names: str) -> None:
        """Press keys: characters, `Enter`, `ctrl+s`."""
        for name in names:
            held, _, letter = name.rpartition("+") if len(name) > 1 else ("", "", name)
            plain = ord(letter.upper()) if len(letter) == 1 and letter.isalnum() else 0
            code, text = _KEYS.get(letter, (plain, letter))
            shared = {
                "key": letter,
                "windowsVirtualKeyCode": code,
                "modifiers": 2 if held == "ctrl" else 0,
            }
            said = {} if held or not text else {"text": text}
            kind = "keyDown" if said else "rawKeyDown"
            await self.do("Input.dispatchKeyEvent", type=kind, **shared, **said)
            await self.do("Input.dispatchKeyEvent", type="keyUp", **shared)

    async def type(self, text: str) -> None:
        """Type a line's characters."""
        await self.key(*text)

    async def resize(self, width: int, height: int) -> None:
        """Pixels of the page."""
        await self.do(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    async def screen(self) -> str:
        """What the terminal in the page shows."""
        return str(await self.eval(_READ))

    async def until(self, what: str | Callable[[str], object], *, seconds: float = 60) -> str:
        """Wait until the terminal shows this; what it shows."""
        check = (lambda screen: what in screen) if isinstance(what, str) else what
        seen = ""
        try:
            async with asyncio.timeout(seconds):
                while not check(seen := await self.screen()):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            text = await self.eval("document.body.innerText")
            said = f"{seen}\nthe page: {text}\n{self.complaints}"
            raise AssertionError(f"waited in vain for {what!r} on\n{said}") from None
        return seen

    async def until_true(self, script: str, *, seconds: float = 60) -> None:
        """Wait until a script gives what is true."""
        try:
            async with asyncio.timeout(seconds):
                # Between two pages there is no body yet.
                while not await self.eval(
                    f"(() => {{ try {{ return {script} }} catch {{ return false }} }})()"
                ):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"waited in vain for {script} in {self.complaints}") from None

    async def picture(self, path: Path) -> None:
        """What it looks like, as PNG."""
        done = await self.do("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(done["data"]))

    async def close(self) -> None:
        """Close the tab."""
        await self._browser.do("Target.closeTarget", targetId=self._target)


class Browser:
    """`async with Browser() as browser: page = await browser.open(url)`."""

    def __init__(self, *flags: str) -> None:
        self._flags = flags
        self._folder = tempfile.TemporaryDirectory(prefix="berth-chromium-", ignore_cleanup_errors=True)
        self._calls: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._numbers = itertools.count(1)
        self._pages: dict[str, Page] = {}
        self.downloads = Path(self._folder.name) / "downloads"
        """Where files come that pages give."""

    @staticmethod
    def is_here() -> bool:
        """Whether there is a Chromium."""
        return shutil.which("chromium") is not None

    async def __aenter__(self) -> Self:
        folder = Path(self._folder.name)
        self.downloads.mkdir()
        self._process = await asyncio.create_subprocess_exec(
            "chromium",
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--no-first-run",
            "--remote-debugging-port=0",
            f"--user-data-dir={folder / 'profile'}",
            *self._flags,
            "about:blank",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        port, path = await self._where(folder / "profile" / "DevToolsActivePort")
        self._session = aiohttp.ClientSession()
        self._socket = await self._session.ws_connect(f"ws://127.0.0.1:{port}{path}", max_msg_size=0)
        self._reader = asyncio.create_task(self._read())
        await self.do("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(self.downloads))
        return self

    async def _where(self, file: Path) -> tuple[str, str]:
        async with asyncio.timeout(60):
            while not file.exists() or len(lines := file.read_text().splitlines()) < 2:
                assert self._process.returncode is None, "chromium does not start"
                await asyncio.sleep(0.05)
        return lines[0], lines[1]

    async def _read(self) -> None:
        async for message in self._socket:
            said = json.loads(message.data)
            if "id" in said:
                call = self._calls.pop(said["id"])
                if not call.done():
                    call.set_result(said)
            elif page := self._pages.get(said.get("sessionId", "")):
                params = said["params"]
                if said["method"] in ("Network.requestWillBeSent", "Network.webSocketCreated"):
                    page.asked.append(params.get("url") or params["request"]["url"])
                elif said["method"] == "Log.entryAdded" and params["entry"]["level"] == "error":
                    page.complaints.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
                elif said["method"] == "Runtime.exceptionThrown":
                    page.complaints.append(str(params["exceptionDetails"]))

    async def do(self, method: str, session: str = "", **params: Any) -> dict[str, Any]:
        """One call of the protocol."""
        number = next(self._numbers)
        call = self._calls[number] = asyncio.get_running_loop().create_future()
        said = {"id": number, "method": method, "params": params} | (
            {"sessionId": session} if session else {}
        )
        await self._socket.send_str(json.dumps(said))
        async with asyncio.timeout(60):
            answer = await call
        assert "error" not in answer, (method, answer["error"])
        return dict(answer["result"])

    async def open(self, url: str, size: tuple[int, int] = (1200, 700)) -> Page:
        """A new tab."""
        target = (await self.do("Target.createTarget", url="about:blank"))["targetId"]
        session = (await self.do("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        page = self._pages[session] = Page(self, target, session)
        for domain in ("Page", "Network", "Log", "Runtime"):
            await page.do(f"{domain}.enable")
        await page.do("Page.addScriptToEvaluateOnNewDocument", source=_SCREEN)
        await page.resize(*size)
        await page.goto(url)
        return page

    async def addresses(self) -> list[str]:
        """The addresses of all tabs."""
        found = await self.do("Target.getTargets")
        return [each["url"] for each in found["targetInfos"] if each["type"] == "page"]

    async def __aexit__(self, *_: object) -> None:
        try:
            await self.do("Browser.close")
            async with asyncio.timeout(20):
                await self._process.wait()
        finally:
            if self._process.returncode is None:
                self._process.kill()
                await self._process.wait()
            self._reader.cancel()
            await self._session.close()
            self._folder.cleanup()
