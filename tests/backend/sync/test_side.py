"""What a host answers is checked before it is believed."""

from __future__ import annotations

import pytest

from backend.errors import ActionFailed
from backend.link.local import LocalLink
from backend.sync import looking
from backend.sync import side as side_module
from backend.sync.side import HostSide


@pytest.mark.parametrize(
    "said",
    [
        "Welcome to this host!",
        "[]",
        "{}",
        '"bytes"',
        '{"bytes": null}',
        '{"bytes": Infinity}',
        '{"bytes": -1}',
        pytest.param("[" * 100_000, id="deep"),
        '{"bytes": 3}\nabc',
    ],
)
async def test_what_is_no_answer_is_told_as_such(said: str) -> None:
    link = LocalLink("h1")
    process = await link.start(["sh", "-c", 'read -r line; printf "%s\\n" "$1"; cat', "sh", said])
    side = HostSide(link, process)
    with pytest.raises(ActionFailed, match="h1 sends"):
        await side.ask("hello")
    await side.close()
    await link.close()


async def test_a_line_without_an_end_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side_module, "_LONGEST_LINE", 1 << 20)
    link = LocalLink("h1")
    side = HostSide(link, await link.start(["sh", "-c", "read -r line; exec cat /dev/zero"]))
    with pytest.raises(ActionFailed, match="without an end"):
        await side.ask("hello")
    await side.close()
    await link.close()


@pytest.mark.parametrize(
    ("path", "token"),
    [
        (b"../up", b"f1 1"),
        (b"/etc/passwd", b"f1 1"),
        (b"a/../../b", b"f1 1"),
        (b"a//b", b"f1 1"),
        (b"", b"f1 1"),
        (b"ok", b"f1 x"),
        (b"ok", b"f99999999999999999999999 1"),
        (b"ok", b""),
    ],
)
def test_a_host_that_names_what_cannot_be_is_not_believed(path: bytes, token: bytes) -> None:
    with pytest.raises(ActionFailed):
        looking._check("box", {path: token})


def test_a_file_in_a_link_is_not_believed() -> None:
    with pytest.raises(ActionFailed):
        looking._check("box", {b"link": b"l/root/.ssh", b"link/authorized_keys": b"f1 1"})
