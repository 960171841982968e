"""What goes into a container: only keys, whatever the path says; a container's own words are not believed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from backend import private
from backend.engine.execs import ExecResult
from backend.errors import ActionFailed, UsageError

KEY = b"-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n"


class Container:
    """An engine with one container, which says `said` and remembers what was written."""

    def __init__(self, said: bytes) -> None:
        self.said = said
        self.written = b""

    async def exec(self, container: str, argv: Sequence[str], *, user: str) -> ExecResult:
        return ExecResult(0, self.said, b"")

    async def write_archive(self, container: str, folder: str, chunks: Iterator[bytes]) -> None:
        self.written += b"".join(chunks)


async def install(said: bytes, *keys: Path, git: bool = False) -> Container:
    container = Container(said)
    await private.install(container, "c", keys=list(map(str, keys)), git=git, user="root")  # type: ignore[arg-type]
    return container


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "id_test"
    path.write_bytes(KEY)
    return path


@pytest.mark.parametrize(
    "said", [b"", b"zero\n0\n/root\n", b"0\n\xd9\xa3\n/root\n", b"0\n0\nroot\n", b"9" * 5000 + b"\n0\n/\n"]
)
async def test_a_container_that_says_nonsense_is_a_plain_failure(key: Path, said: bytes) -> None:
    with pytest.raises(ActionFailed, match="the home of root"):
        await install(said, key)


async def test_only_names_that_berth_gives_are_taken_from_its_list(key: Path) -> None:
    said = b"0\n0\n/root\nours ../../etc/passwd\nours .ssh/../x\nours .ssh/old\nours .bashrc\n"
    written = (await install(said, key)).written
    assert b".ssh/id_test\n.ssh/old\n" in written and KEY in written
    assert b"passwd" not in written and b".bashrc" not in written


async def test_what_never_ends_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no file"):
        await install(b"0\n0\n/root\n", Path("/dev/zero"))
    large = tmp_path / "large"
    large.write_bytes(KEY + b"x" * 200_000)
    with pytest.raises(UsageError, match="no private SSH key"):
        await install(b"0\n0\n/root\n", large)


async def test_a_public_key_that_cannot_be_read_is_a_plain_failure(key: Path) -> None:
    key.with_name("id_test.pub").symlink_to("/proc/self/mem")
    with pytest.raises(ActionFailed, match="cannot be read"):
        await install(b"0\n0\n/root\n", key)


async def test_a_home_of_nobody_is_a_plain_failure() -> None:
    with pytest.raises(ActionFailed, match="cannot be read"):
        await install(b"0\n0\n/root\n", Path("~nobody-of-this-name/id"))


async def test_a_machine_without_git_still_gives_its_keys(
    key: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    written = (await install(b"0\n0\n/root\n", key, git=True)).written
    assert KEY in written and b".gitconfig" not in written
    with pytest.raises(UsageError, match="nothing to install"):
        await install(b"0\n0\n/root\n", git=True)
