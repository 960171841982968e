"""The host's side over a link: polite, interruptible, bounded, and gone when berth is."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from backend.disk.model import Progress
from backend.disk.remote import HostSide, program
from backend.disk.scanning import Scanning
from backend.errors import ActionFailed, NoSuchTarget, Refused, Unreachable
from backend.link.local import LocalLink

FILES = 100_000
MOST = 80 << 20
"""Bytes of memory, with Python itself."""


@pytest.fixture
async def link() -> AsyncIterator[LocalLink]:
    link = LocalLink("local")
    yield link
    await link.close()


async def gone(pid: int) -> None:
    async with asyncio.timeout(30):
        while (
            Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().split(")")[1]
        ):
            await asyncio.sleep(0.02)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0.02)


async def test_looking_is_at_idle_priority_and_removing_is_not(link: LocalLink) -> None:
    def nice(pid: int) -> str:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[16]

    async with Scanning(link) as scanning:
        pid = scanning.side.pid
        assert nice(pid) == "19"
        idle = subprocess.run(["ionice", "-p", str(pid)], capture_output=True, text=True, check=True)
        assert idle.stdout.strip() == "idle"
    await gone(pid)
    async with await HostSide.open(link, polite=False) as side:
        assert nice(side.pid) == nice(os.getpid())
    await gone(side.pid)


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """A folder that no disk is slow for, where there is one."""
    shared = Path("/dev/shm")  # a hundred thousand files on a busy disk take minutes to make
    if not os.access(shared, os.W_OK):
        yield tmp_path.resolve()
        return
    folder = Path(tempfile.mkdtemp(dir=shared, prefix="berth-test-"))
    yield folder
    shutil.rmtree(folder)


@pytest.mark.timeout(300)
async def test_a_hundred_thousand_files_in_bounded_memory(memory: Path, link: LocalLink) -> None:
    for number in range(FILES // 1000):
        folder = memory / f"f{number}"
        folder.mkdir()
        (folder / "0").write_bytes(b"x")
        for file in range(1, 1000):
            os.mknod(folder / str(file))
    async with Scanning(link, polite=False) as scanning:
        path = await scanning.scan(str(memory), 600)
        found = await scanning.side.listing(path)
        assert found.scan.complete and found.itself.files == FILES and len(found.rows) == FILES // 1000
        deeper = await scanning.side.listing(f"{path}/f1")
        assert len(deeper.rows) == 1000 and deeper.rows[0].name == "0"
        lines = Path(f"/proc/{scanning.side.pid}/status").read_text().splitlines()
        peak = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
        assert peak < MOST, f"{peak >> 20} MB"


async def test_it_can_be_looked_at_and_ended_in_the_middle(link: LocalLink) -> None:
    async with Scanning(link, polite=False) as scanning:
        pid = scanning.side.pid
        path = await scanning.begin("/usr", 3600)
        await until(lambda: scanning.progress.folders > 20 or not scanning.running)
        found = await scanning.side.listing(path)
        assert found.path == "/usr" and found.itself.bytes
        await scanning.side.stop()
        await scanning.wait()
        assert not scanning.running and scanning.progress.folders
        if scanning.progress.open:
            assert scanning.progress.guess > 0
        await scanning.begin(path, 3600)  # on where it ended
    await gone(pid)


async def test_a_killed_berth_leaves_nothing_behind(tmp_path: Path) -> None:
    code = (
        "import asyncio\n"
        "from backend.disk.scanning import Scanning\n"
        "from backend.link.local import LocalLink\n"
        "async def main():\n"
        "    async with Scanning(LocalLink('local')) as scanning:\n"
        "        await scanning.begin('/', 3600)\n"
        "        print(scanning.side.pid, flush=True)\n"
        "        await asyncio.sleep(3600)\n"
        "asyncio.run(main())\n"
    )
    berth = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3]
    )
    assert berth.stdout is not None
    pid = int(await berth.stdout.readline())
    os.kill(pid, 0)
    berth.send_signal(signal.SIGKILL)
    await berth.wait()
    await gone(pid)


async def test_names_of_any_bytes_come_back_as_they_are(tmp_path: Path, link: LocalLink) -> None:
    base = tmp_path.resolve()
    name = b"\xff\n\x1b[31m'\""
    os.mkdir(os.path.join(os.fsencode(base), name))
    with open(os.path.join(os.fsencode(base), name, name), "wb") as file:
        file.write(b"x" * 5000)
    async with Scanning(link, polite=False) as scanning:
        path = await scanning.scan(str(base), 60)
        (row,) = (await scanning.side.listing(path)).rows
        assert os.fsencode(row.name) == name
        (file_row,) = (await scanning.side.listing(f"{path}/{row.name}")).rows
        assert os.fsencode(file_row.name) == name
        answer = await scanning.side.ask("weigh", paths=[f"{path}/{row.name}"], kept=[])
        assert answer["paths"][0]["files"] == 1
        token = answer["paths"][0]["token"]
        with pytest.raises(Refused, match="something else"):
            await scanning.side.ask("remove", path=f"{path}/{row.name}", token=[1, 2, 3], kept=[])
        await scanning.side.ask("remove", path=f"{path}/{row.name}", token=token, kept=[])
    assert not list(base.iterdir())


async def test_what_is_not_there_and_what_is_no_folder(tmp_path: Path, link: LocalLink) -> None:
    (tmp_path / "file").touch()
    async with Scanning(link, polite=False) as scanning:
        with pytest.raises(NoSuchTarget):
            await scanning.scan(str(tmp_path / "none"), 5)
        with pytest.raises(ActionFailed, match="Not a directory"):
            await scanning.scan(str(tmp_path / "file"), 5)
        with pytest.raises(NoSuchTarget):
            await scanning.side.listing(str(tmp_path))
        assert await scanning.scan(str(tmp_path), 60)


async def test_a_side_that_dies_says_so_to_whoever_waits(link: LocalLink) -> None:
    async with Scanning(link) as scanning:
        path = await scanning.begin("/usr", 3600)
        os.kill(scanning.side.pid, signal.SIGKILL)
        with pytest.raises(ActionFailed):
            await scanning.wait()
        with pytest.raises((ActionFailed, Unreachable)):
            await scanning.side.listing(path)


class Liar:
    """A host that answers with whatever it likes."""

    stderr = b""

    def __init__(self, *lines: bytes) -> None:
        self.lines = [*lines, b""]

    async def read(self, size: int) -> bytes:
        return self.lines.pop(0) if self.lines else b""

    async def write(self, data: bytes) -> None: ...

    def write_eof(self) -> None: ...

    async def wait(self) -> int:
        return 1

    async def close(self) -> None: ...


async def test_who_gives_up_while_it_starts_leaves_nothing_on_the_host() -> None:
    begun, closed = asyncio.Event(), asyncio.Event()

    class Slow(Liar):
        async def write(self, data: bytes) -> None:
            begun.set()
            await asyncio.Event().wait()

        async def close(self) -> None:
            closed.set()

    class SlowLink(LocalLink):
        async def start(self, *words: object, **more: object) -> Slow:  # type: ignore[override]
            return Slow()

    opening = asyncio.create_task(HostSide.open(SlowLink("slow")))
    await begun.wait()
    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)
    assert closed.is_set()


@pytest.mark.parametrize(
    "line", [b"no json\n", b"[]\n", b'{"id": []}\n', b'{"id": {}}\n', b"1\n", b'{"event": "progress"}\n']
)
async def test_garbage_is_an_error_not_a_crash(line: bytes) -> None:
    side = HostSide.__new__(HostSide)
    HostSide.__init__(side, LocalLink("liar"), Liar(line), sudo=False)  # type: ignore[arg-type]
    scanning = Scanning(LocalLink("liar"))
    side.told = scanning._hear
    with pytest.raises(ActionFailed):
        await side.ask("hello")
    await side.close()
    assert scanning.progress == Progress()


@pytest.mark.parametrize(
    "answer",
    [
        b'{"id": 1}',
        b'{"id": 1, "path": 3, "root": "", "self": {}, "rows": []}',
        b'{"id": 1, "path": "/", "root": "/", "self": null, "rows": null}',
        b'{"id": 1, "rows": [{"name": "x", "bytes": Infinity}]}',
        b'{"id": 1, "rows": 7, "filesystems": {"a": 1}, "paths": [3]}',
    ],
)
async def test_answers_that_lack_something_are_errors(answer: bytes) -> None:
    for ask in ("listing", "owners", "filesystems", "scan"):
        side = HostSide(LocalLink("liar"), Liar(answer + b"\n"), sudo=False)  # type: ignore[arg-type]
        words = {"scan": ("/", 1.0), "filesystems": ([],)}.get(ask, ("/",))
        try:
            found = await getattr(side, ask)(*words)
            assert (ask, found) in (("scan", "3"), ("scan", "/"), ("owners", []))
        except ActionFailed as error:
            assert "not understood" in error.message
        await side.close()


def test_the_program_is_small_and_of_the_standard_library_alone() -> None:
    assert len(program()) < 32_000
    code = f"import zlib; exec(compile(zlib.decompress({program()!r}), 'disk', 'exec'), {{'__name__': 'x'}})"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    with contextlib.suppress(FileNotFoundError):
        old = subprocess.run(["python3.8", "-I", "-S", "-c", code], capture_output=True, check=False)
        assert old.returncode == 0 or b"command not found" in old.stderr, old.stderr


def test_a_side_that_nobody_asks_ends_in_peace() -> None:
    program = "from backend.disk.host import serve; serve.IDLE = 0.1; serve.main()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE) as process:
        assert process.wait(30) == 0
