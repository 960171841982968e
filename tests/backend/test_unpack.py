"""Archives from a container, the hostile ones first; and archives for one."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.errors import ActionFailed, BerthError
from backend.pack import measure, pack
from backend.unpack import put_in_place, unpack

Member = tuple[tarfile.TarInfo, bytes]


def member(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, **more) -> Member:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.size = len(content)
    info.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    for key, value in more.items():
        setattr(info, key, value)
    return info, content


def archive(*members: Member) -> io.BytesIO:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    out.seek(0)
    return out


def folder(name: str) -> Member:
    return member(name, kind=tarfile.DIRTYPE)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """An empty folder, beside something that must stay as it is."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("untouched")
    inside = tmp_path / "inside"
    inside.mkdir()
    return inside


def untouched(place: Path) -> bool:
    return sorted(os.listdir(place.parent)) == ["inside", "outside"] and os.listdir(
        place.parent / "outside"
    ) == ["secret"]


def quiet(done: int) -> None:
    pass


def test_files_folders_links_modes_and_times_arrive(place: Path):
    told: list[int] = []
    done = unpack(
        archive(
            folder("d"),
            member("d/a b\n$(x)", b"x" * 700_000, mode=0o751, mtime=1_600_000_000),
            member("d/same", kind=tarfile.LNKTYPE, linkname="d/a b\n$(x)"),
            folder("d/sub"),
            member("d/sub/up", kind=tarfile.SYMTYPE, linkname="../latest"),
            member("d/latest", kind=tarfile.SYMTYPE, linkname="sub"),
        ),
        place,
        told.append,
    )
    file = place / "d/a b\n$(x)"
    assert done.root == place / "d" and done.skipped == []
    assert file.read_bytes() == b"x" * 700_000
    assert stat.S_IMODE(file.stat().st_mode) == 0o751 and file.stat().st_mtime == 1_600_000_000
    assert (place / "d/same").samefile(file)
    assert os.readlink(place / "d/sub/up") == "../latest"
    assert told[-1] == 700_000 and done.bytes == 700_000


HOSTILE = {
    "absolute": [member("/tmp/berth-evil", b"x")],
    "up": [member("../evil", b"x")],
    "up in the middle": [folder("d"), member("d/../../evil", b"x")],
    "through a link": [folder("d"), member("d/l", kind=tarfile.SYMTYPE, linkname="../../outside"),
                       member("d/l/secret", b"changed")],
    "over a link": [folder("d"), member("d/l", kind=tarfile.SYMTYPE, linkname="../../outside/secret"),
                    member("d/l", b"changed")],
    "absolute link": [folder("d"), member("d/l", kind=tarfile.SYMTYPE, linkname="/etc/passwd")],
    "link up": [folder("d"), member("d/l", kind=tarfile.SYMTYPE, linkname="../x")],
    "link at the top": [member("l", kind=tarfile.SYMTYPE, linkname="outside")],
    "link over a link": [folder("d"), folder("d/e"), folder("d/e/f"),
                         member("d/e/f/x", kind=tarfile.SYMTYPE, linkname="../.."),
                         member("d/y", kind=tarfile.SYMTYPE, linkname="e/f/x/../..")],
    "hard link out": [folder("d"), member("d/h", kind=tarfile.LNKTYPE, linkname="../outside/secret")],
    "hard link absolute": [folder("d"), member("d/h", kind=tarfile.LNKTYPE, linkname="/etc/passwd")],
    "device": [folder("d"), member("d/null", kind=tarfile.CHRTYPE, devmajor=1, devminor=3)],
    "block device": [folder("d"), member("d/sda", kind=tarfile.BLKTYPE, devmajor=8, devminor=0)],
    "fifo": [folder("d"), member("d/fifo", kind=tarfile.FIFOTYPE)],
    "twice": [folder("d"), member("d/a", b"1"), member("d/a", b"2")],
    "file as folder": [folder("d"), member("d/a", b"1"), member("d/a/b", b"2")],
    "set-uid": [folder("d"), member("d/s", b"x", mode=0o6755)],
}  # fmt: skip


@pytest.mark.parametrize("members", HOSTILE.values(), ids=HOSTILE.keys())
def test_nothing_leaves_the_folder(place: Path, members):
    try:
        done = unpack(archive(*members), place, quiet)
    except ActionFailed:
        done = None
    assert untouched(place) and (place.parent / "outside/secret").read_text() == "untouched"
    assert not Path("/tmp/berth-evil").exists()
    found = [path for path in place.rglob("*") if not path.is_dir() or path.is_symlink()]
    for path in found:
        info = path.lstat()
        assert stat.S_ISREG(info.st_mode) or path.resolve().is_relative_to(place), path
        assert not info.st_mode & 0o7000
        assert not stat.S_ISREG(info.st_mode) or info.st_nlink == 1
    assert done is None or done.skipped or found == [place / "d/s"]


def test_a_broken_archive_is_said_to_be_one(place: Path):
    whole = archive(folder("d"), member("d/a", b"x" * 5000)).getvalue()
    for cut in (100, 700, 1600, 3000):
        target = place / str(cut)
        target.mkdir()
        with pytest.raises(ActionFailed):
            unpack(io.BytesIO(whole[:cut]), target, quiet)
    with pytest.raises(ActionFailed, match="nothing came"):
        unpack(io.BytesIO(bytes(10240)), place, quiet)


class Endless(io.RawIOBase):
    """Some bytes, then zeros for as long as anybody reads."""

    def __init__(self, begin: bytes, end: int | None = None) -> None:
        self._begin = io.BytesIO(begin)
        self._left = end
        self.count = 0

    def read(self, size: int = -1) -> bytes:
        data = self._begin.read(size) or bytes(size if self._left is None else min(size, self._left))
        self.count += len(data)
        if self._left is not None:
            self._left -= len(data)
        return data


def header(name: str, kind: bytes, size: int) -> bytes:
    """A header alone; what it claims does not follow."""
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize(
    "kind",
    [
        *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
        *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.GNUTYPE_SPARSE),
    ],
)
def test_a_header_without_end_is_not_read(place: Path, kind: bytes):
    source = Endless(header("x", kind, 1 << 40))
    with pytest.raises(ActionFailed, match="cannot be read"):
        unpack(source, place, quiet)
    assert source.count < 10 << 20


def pax(records: str) -> bytes:
    """An extended header for the next member."""
    data = b"".join(
        next(text for n in range(999) if len(text := f"{n} {line}\n".encode()) == n)
        for line in records.splitlines()
    )
    return header("x", tarfile.XHDTYPE, len(data)) + data + bytes(-len(data) % 512)


@pytest.mark.parametrize(
    "begin",
    [
        pax("a=b") * 5000,
        pax("GNU.sparse.major=1\nGNU.sparse.minor=0") + header("f", tarfile.REGTYPE, 1 << 40) + b"99999\n",
        pax("GNU.sparse.map=1,x") + header("f", tarfile.REGTYPE, 0),
        b"".join(
            pax(f"k{number}=b").replace(b"0000000 x", b"0000000 g", 1) for number in range(1000)
        ),
    ],
    ids=["headers of headers", "a map of holes", "a map that is none", "global headers"],
)  # fmt: skip
def test_headers_that_are_nonsense_are_a_plain_failure(place: Path, begin: bytes):
    source = Endless(begin, 50 << 20)
    with pytest.raises(ActionFailed):
        unpack(source, place, quiet)


def test_a_file_with_holes_is_not_filled_with_them(place: Path):
    hole = pax("GNU.sparse.map=0,1\nGNU.sparse.size=99999999999999\nGNU.sparse.name=d/f")
    begin = header("d", tarfile.DIRTYPE, 0) + hole + header("f", tarfile.REGTYPE, 1) + b"x" + bytes(511)
    done = unpack(io.BytesIO(begin + bytes(1024)), place, quiet)
    assert done.files == 0 and done.skipped == ["d/f: a file with holes, whose size anybody could claim"]


def test_a_size_nobody_sends_ends_with_the_stream(place: Path):
    begin = header("d", tarfile.DIRTYPE, 0) + header("../x", tarfile.REGTYPE, 1 << 60)
    with pytest.raises(ActionFailed, match="breaks off"):
        unpack(Endless(begin, 1 << 20), place, quiet)


def test_of_very_many_passed_over_the_first_are_named(place: Path):
    done = unpack(archive(folder("d"), *(member("/x") for _ in range(1500))), place, quiet)
    assert (len(done.skipped), done.unnamed) == (1000, 500)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    members=st.lists(
        st.tuples(
            st.lists(st.sampled_from(["a", "b", "c", "..", ".", ""]), min_size=1, max_size=4).map("/".join),
            st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE]),
            st.lists(st.sampled_from(["a", "b", "c", "..", "."]), max_size=5).map("/".join),
        ),
        max_size=10,
    )
)
def test_whatever_the_members_everything_stays_inside(tmp_path_factory, members):
    base = tmp_path_factory.mktemp("fuzz")
    place = base / "inside"
    place.mkdir()
    made = [
        member(name, b"x" if kind == tarfile.REGTYPE else b"", kind, linkname=target)
        for name, kind, target in members
        if name
    ]
    with contextlib.suppress(BerthError):
        unpack(archive(*made), place, quiet)
    assert os.listdir(base) == ["inside"]
    for path in place.rglob("*"):
        assert not path.is_symlink() or Path(os.path.realpath(path)).is_relative_to(place)


def test_what_was_there_comes_back_if_the_new_cannot_take_its_place(tmp_path: Path):
    (tmp_path / "old").write_text("old")
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    with pytest.raises(OSError, match="No such file"):
        put_in_place(hidden / "missing", tmp_path / "old", hidden)
    assert (tmp_path / "old").read_text() == "old"


# -------------------------------------------------------------------------------------------- pack


def packed(source: Path, name: str = "n", **more) -> tuple[tarfile.TarFile, list[str], list[int]]:
    skipped: list[str] = []
    told: list[int] = []
    data = io.BytesIO(b"".join(pack(source, name, told.append, skipped, **more)))
    return tarfile.open(fileobj=data), skipped, told


def test_a_folder_is_packed_with_all_that_can_be(tmp_path: Path):
    source = tmp_path / "src"
    (source / "sub").mkdir(parents=True)
    (source / "sub/file é\udcff").write_bytes(b"x" * 300_001)
    os.link(source / "sub/file é\udcff", source / "twin")
    (source / "link").symlink_to("sub")
    os.mkfifo(source / "pipe")
    tar, skipped, told = packed(source, inside=".hidden")
    names = tar.getnames()
    assert names[:2] == [".hidden", ".hidden/n"]
    assert set(names[2:]) == {f".hidden/n/{each}" for each in ("link", "sub", "twin", "sub/file é\udcff")}
    assert skipped == [str(source / "pipe")]
    twin = tar.extractfile(".hidden/n/twin")
    assert twin is not None and len(twin.read()) == 300_001
    assert tar.getmember(".hidden/n/link").linkname == "sub"
    assert {(info.uid, info.gid, info.uname) for info in tar} == {(0, 0, "")}
    assert told[-1] == measure(source) == 600_002


def test_a_file_that_shrinks_is_an_error_and_one_that_grows_is_cut(tmp_path: Path):
    file = tmp_path / "f"
    file.write_bytes(b"x" * 600_000)
    pieces = pack(file, "f", quiet, [])
    next(pieces), next(pieces)
    os.truncate(file, 300_000)
    with pytest.raises(ActionFailed, match="shorter"):
        list(pieces)
    pieces = pack(file, "f", quiet, [])
    start = next(pieces)
    with file.open("ab") as more:
        more.write(b"y" * 1000)
    with tarfile.open(fileobj=io.BytesIO(start + b"".join(pieces))) as tar:
        assert tar.getmember("f").size == 300_000
