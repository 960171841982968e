"""The web server: every request passes the gate first, then gets a page, a dashboard or a file."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from urllib.parse import quote

from aiohttp import WSCloseCode, web
from textual_serve.download_manager import DownloadManager

from backend.web import page
from backend.web.gate import Gate
from backend.web.tab import Tab

_HEARTBEAT = 15.0
"""Seconds after which a page that was left without a word is asked whether it is there."""
_FAREWELL = 2.0
"""Seconds a page has to answer that it is closed."""
_TURN = 3.0
"""Seconds a new tab waits for one that is just being closed: a page that is loaded again is both."""
_MESSAGE = 4 * 1024 * 1024
"""Bytes of one message from a page: what somebody pastes."""
_LOGIN = "Open the address that berth serve has printed: it holds the token that lets a browser in."

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class WebServer:
    """Pages, websockets and downloads of one `berth serve`."""

    def __init__(self, gate: Gate, program: Sequence[str], *, tabs: int) -> None:
        """`program`: what a tab runs. `tabs`: how many there may be at once."""
        self._gate = gate
        self._program = program
        self._limit = tabs
        self._free = asyncio.Semaphore(tabs)
        self._downloads = DownloadManager()
        self._open: set[web.WebSocketResponse] = set()

    def application(self) -> web.Application:
        """What aiohttp runs."""
        app = web.Application(middlewares=[self._guard], client_max_size=64 * 1024)
        app.on_response_prepare.append(_secure)
        app.on_shutdown.append(self._close_tabs)
        app.add_routes(
            [
                web.get("/", self._page),
                web.get("/ws", self._websocket),
                web.get("/download/{key}", self._download),
                web.static("/ours", page.ours()),
                web.static("/static", page.theirs()),
            ]
        )
        return app

    # ------------------------------------------------------------------------------------------- the gate

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Nothing behind this is reached without the cookie."""
        try:
            return self._refused(request) or await handler(request)
        except web.HTTPException as error:
            return _refusal(error.status, f"{error.status} {error.reason}")
        except (asyncio.CancelledError, ConnectionError):
            raise
        except Exception:
            # Said here and not by aiohttp, which would tell the log what was asked for.
            logging.getLogger("berth").exception("a request to berth serve failed")
            return _refusal(500, "berth could not do that. Details are in its log.")

    def _refused(self, request: web.Request) -> web.Response | None:
        gate, host = self._gate, request.host
        if not gate.is_ours(host):
            return _refusal(
                421,
                f"{host[:200]} is no address of this machine.",
                "Use the one that berth serve has printed.",
            )
        origin = request.headers.get("Origin")
        websocket = request.path == "/ws"
        if (websocket or origin is not None) and not gate.is_same_page(origin, host):
            return _refusal(403, "This was asked for by a page from elsewhere.")
        if gate.knows_cookie(request.cookies.get(gate.cookie_name)):
            return None if "token" not in request.query or websocket else _entrance()
        if request.path == "/" and gate.knows_token(request.query.get("token", "")):
            response = _entrance()
            response.set_cookie(gate.cookie_name, gate.cookie, httponly=True, samesite="Strict", path="/")
            return response
        return _refusal(403, "berth does not know this browser.", _LOGIN)

    # ------------------------------------------------------------------------------------------ the pages

    async def _page(self, request: web.Request) -> web.Response:
        text = page.dashboard(
            request.host, secure=request.secure, font_size=request.query.get("fontsize", "")
        )
        return web.Response(text=text, content_type="text/html")

    async def _download(self, request: web.Request) -> web.StreamResponse:
        """A file of a dashboard. Always a file, never a page of ours, whatever is in it."""
        try:
            found = await self._downloads.get_download_metadata(key := request.match_info["key"])
        except KeyError:
            raise web.HTTPNotFound from None
        response = web.StreamResponse()
        response.content_type = "application/octet-stream"
        response.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(found.file_name)}"
        await response.prepare(request)
        async for chunk in self._downloads.download(key):
            await response.write(chunk)
        await response.write_eof()
        return response

    # ------------------------------------------------------------------------------------------- the tabs

    async def _websocket(self, request: web.Request) -> web.WebSocketResponse:
        """A dashboard, from here until the page is gone."""
        websocket = web.WebSocketResponse(timeout=_FAREWELL, heartbeat=_HEARTBEAT, max_msg_size=_MESSAGE)
        await websocket.prepare(request)
        self._open.add(websocket)
        try:
            try:
                async with asyncio.timeout(_TURN):
                    await self._free.acquire()
            except TimeoutError:
                await self._too_many(websocket)
                return websocket
            try:
                await self._serve(request, websocket)
            finally:
                self._free.release()
        finally:
            self._open.discard(websocket)
        return websocket

    async def _serve(self, request: web.Request, websocket: web.WebSocketResponse) -> None:
        tab = Tab(self._program, websocket, self._downloads)
        try:
            await tab.start(_number(request, "width", 80), _number(request, "height", 24))
            with suppress(ConnectionError, RuntimeError):
                await tab.attend()
        finally:
            # To its end, also when the server is being stopped meanwhile.
            ending = asyncio.ensure_future(tab.stop())
            try:
                await asyncio.shield(ending)
            except asyncio.CancelledError:
                await asyncio.wait({ending})
                raise
            await websocket.close()

    async def _too_many(self, websocket: web.WebSocketResponse) -> None:
        said = f"berth: {self._limit} tabs are open already, and each is a dashboard of its own.\r\n"
        said += "Close one of them, or start berth serve with --tabs.\r\n"
        with suppress(ConnectionError, RuntimeError):
            await websocket.send_bytes(said.encode())
            await websocket.close()

    async def _close_tabs(self, app: web.Application) -> None:
        closing = [each.close(code=WSCloseCode.GOING_AWAY) for each in list(self._open)]
        await asyncio.gather(*closing, return_exceptions=True)


def _number(request: web.Request, name: str, default: int) -> int:
    written = request.query.get(name, "")
    return int(written) if written.isdecimal() and len(written) < 6 else default


def _entrance() -> web.Response:
    return web.Response(text=page.entrance(), content_type="text/html")


def _refusal(status: int, *lines: str) -> web.Response:
    return web.Response(status=status, text=page.refusal(*lines), content_type="text/html")


async def _secure(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(page.SECURITY)
    if request.path.startswith("/static/") and response.status == 200:
        response.headers["Cache-Control"] = "private, max-age=3600"  # 0.5 MB that hold nothing of anybody
