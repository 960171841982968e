"""`berth serve` in a real browser, on real hosts: what one does in a terminal, and how it ends."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import psutil
import pytest

from tests.acceptance.conftest import IMAGE
from tests.browser import Browser, Page
from tests.lab import Host, parts

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

T = TypeVar("T")
LINES = 'for i in $(seq 300); do echo "step $i loss"; done; echo ready; trap "exit 0" TERM; sleep 1d & wait'
EDITOR = """#!/bin/sh
stty size
printf 'editing %s, name: ' "$1"
read -r name
echo "# said by $name" >>"$1"
"""
_CLIPBOARD = """
if (navigator.clipboard) {
  const write = navigator.clipboard.writeText.bind(navigator.clipboard);
  navigator.clipboard.writeText = text => write(text).then(() => { window.copied = text; });
}
"""
"""What was really written to the clipboard: the page is not allowed to read it."""


@pytest.fixture
def served(hosts: list[Host], env: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """An environment for `berth serve`: two containers on h1, a context, an editor that asks."""
    h1 = hosts[0]
    for name in ("train", "other"):
        h1.docker("run", "-d", "--name", name, IMAGE, "sh", "-c", LINES)
    contexts = Path(env["BERTH_CONFIG_DIR"], "contexts")
    contexts.mkdir()
    (contexts / "train.yaml").write_text(f"host: h1\nimage: {IMAGE}\ncontainer: train\n")
    editor = tmp_path / "editor"
    editor.write_text(EDITOR)
    editor.chmod(0o755)
    return {**env, "EDITOR": str(editor), "LANG": "C.UTF-8"}


async def test_the_dashboard_in_a_browser(served: dict[str, str], tidy: None) -> None:
    parts.require("chromium")
    serve, url = await start(served)
    careful, other = await start(served, "--read-only", "--tabs", "1")
    try:
        async with Browser() as browser:
            page = await comes_in_by_the_token(browser, url)
            await moves_and_filters(page)
            await reads_and_saves_a_log(page, browser)
            await copies(page)
            await opens_a_shell_in_the_page(page)
            await edits_in_the_page(page, Path(served["BERTH_CONFIG_DIR"], "contexts", "train.yaml"))
            assert {urlsplit(each).netloc for each in page.asked} == {urlsplit(url).netloc}
            assert page.complaints == []
            await ends_with_its_tab(browser, page, serve, url)
            await is_careful(browser, other)
            await says_that_it_has_ended(page, serve)
    finally:
        for each in (serve, careful):
            if each.returncode is None:
                each.kill()
            await each.wait()


async def start(env: dict[str, str], *words: str) -> tuple[Process, str]:
    """A server, and the address that it prints."""
    argv = ["berth", "serve", "--port", "0", *words]
    program = shutil.which("berth", path=env["PATH"])
    assert program is not None
    environment = {**os.environ, **env}
    serve = await asyncio.create_subprocess_exec(program, *argv[1:], env=environment, stdout=PIPE)
    assert serve.stdout is not None
    return serve, (await serve.stdout.readline()).decode().strip()


async def comes_in_by_the_token(browser: Browser, url: str) -> Page:
    page = await browser.open(url.partition("?")[0])
    await page.until_true("document.body.innerText.includes('berth does not know this browser')")
    page.complaints.clear()  # of the refusal
    await page.do("Page.addScriptToEvaluateOnNewDocument", source=_CLIPBOARD)
    await page.goto(url)
    await page.until("3 hosts")
    history = await page.do("Page.getNavigationHistory")
    assert [each["url"] for each in history["entries"] if "token" in each["url"]] == []
    assert await page.eval("document.cookie") == ""
    return page


async def moves_and_filters(page: Page) -> None:
    await page.key("3")
    await page.until(found(r"h1 +train .* running"))
    await page.until(found(r"h1 +other .* running"))
    await page.key("g")
    first = await cursor(page)
    await page.key("ArrowDown")
    await page.until(lambda screen: heading(screen) not in ("", first))
    await page.key("/")
    await page.type("train")
    await page.key("Enter")
    await page.until(lambda screen: "train" in screen and not re.search(r"h1 +other", screen))
    await page.until(lambda screen: heading(screen) == "train")

    before = await page.eval("[shown.terminal.cols, shown.terminal.rows]")
    await page.resize(800, 500)
    await page.until(lambda screen: len(screen.split("\n")) < before[1] and "? help" in screen)
    assert (await page.eval("shown.terminal.cols")) < before[0]
    await page.resize(1200, 700)
    await page.until(lambda screen: len(screen.split("\n")) == before[1] and heading(screen) == "train")


async def reads_and_saves_a_log(page: Page, browser: Browser) -> None:
    await page.key("l")
    await page.until("step 300 loss")
    await page.key("ctrl+s")
    await page.until("lines to ")
    (saved,) = await eventually(lambda: [*browser.downloads.glob("h1-train-*.log")], "the file to come down")
    text = await eventually(lambda: "ready" in saved.read_text() and saved.read_text(), "all of it")
    assert text.count(" loss\n") == 300
    await page.key("Escape")
    await page.until(lambda screen: heading(screen) == "train")


async def copies(page: Page) -> None:
    await page.key("c")
    await page.until("─ Copy ─")
    await page.key("ArrowDown", "Enter")
    await page.until_true("window.copied")
    assert await page.eval("window.copied") == "train"


async def opens_a_shell_in_the_page(page: Page) -> None:
    await page.key("e")
    await page.until(found(r"^/ #"))
    await page.type('echo "in-$((40 + 2)) $(hostname)"')
    await page.key("Enter")
    await page.until(found(r"^in-42 [0-9a-f]{12}$"))
    before = await page.eval("shown.terminal.cols")
    await page.resize(1000, 600)
    await page.until_true(f"shown.terminal.cols < {before}")
    columns = await page.eval("shown.terminal.cols")
    await page.type(f'until [ "$(stty size | cut -d" " -f2)" = {columns} ]; do sleep 0.1; done; echo si"zed"')
    await page.key("Enter")
    await page.until(found(r"^sized$"))
    await page.type("exit")
    await page.key("Enter")
    await page.until(lambda screen: heading(screen) == "train")
    await page.resize(1200, 700)


async def edits_in_the_page(page: Page, file: Path) -> None:
    await page.key("4")
    await page.until(found(r"train +h1"))
    await page.key("ctrl+e")
    await page.until("name: ")
    await page.type("ann")
    await page.key("Enter")
    await page.until(found(r"train +h1"))
    await eventually(lambda: "# said by ann\n" in file.read_text(), "the file to be saved")


async def ends_with_its_tab(browser: Browser, page: Page, serve: Process, url: str) -> None:
    """Reloading begins anew, closing ends, and neither leaves a process."""
    (old,) = dashboards(serve)
    await page.do("Page.reload")
    await page.until("3 hosts")
    await eventually(lambda: old not in dashboards(serve) and len(dashboards(serve)) == 1, "a new one alone")
    (kept,) = dashboards(serve)
    second = await browser.open(url)
    await second.until("e login")  # what can be done is known a moment after the hosts are
    (new,) = set(dashboards(serve)) - {kept}
    started = processes([new])
    await second.key("e")  # a shell has the page when it is closed
    await second.until(lambda screen: "Fleet" not in screen and "$" in screen)
    await second.close()
    await eventually(lambda: not any(each.is_running() for each in started), "all processes to end")
    assert kept in dashboards(serve)


async def is_careful(browser: Browser, url: str) -> None:
    page = await browser.open(url)
    await page.until("3 hosts")
    await page.until("read-only")
    await page.key("3", "/")
    await page.type("train")
    await page.key("Enter")
    await page.until(lambda screen: heading(screen) == "train")
    await page.key("s")
    await page.until(found("read-only.*|nothing is changed"))
    other = await browser.open(url)
    await other.until("1 tabs are open already")
    await other.close()
    await page.close()


async def says_that_it_has_ended(page: Page, serve: Process) -> None:
    """The server is killed: the page says so, no dashboard is left."""
    started = processes(dashboards(serve))
    assert started
    serve.send_signal(signal.SIGKILL)
    await page.until_true("document.querySelector('.closed').offsetHeight > 0")
    await eventually(lambda: not any(each.is_running() for each in started), "all processes to end")


def dashboards(serve: Process) -> list[psutil.Process]:
    """The processes of its tabs."""
    return [each for each in psutil.Process(serve.pid).children() if is_dashboard(each)]


def is_dashboard(process: psutil.Process) -> bool:
    try:
        return "tui.web" in process.cmdline()
    except psutil.NoSuchProcess:
        return False


def processes(of: list[psutil.Process]) -> list[psutil.Process]:
    """These, and all that they started."""
    return [each for one in of for each in (one, *one.children(recursive=True))]


async def cursor(page: Page) -> str:
    """The row the cursor is on, once the details say so."""
    return heading(await page.until(heading))


def heading(screen: str) -> str:
    """Whose details are shown."""
    shown = re.search(r"^╭─ (train|other)  on ", screen, re.MULTILINE)
    return shown[1] if shown else ""


def found(pattern: str) -> Callable[[str], object]:
    """A condition for `until`."""
    return re.compile(pattern, re.MULTILINE).search


async def eventually(check: Callable[[], T], what: str, seconds: float = 60) -> T:
    """Wait until this gives what is true."""
    try:
        async with asyncio.timeout(seconds):
            while not (value := check()):
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"waited in vain for {what}") from None
    return value
