"""What a builder is given, and that the sources stay as they are."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

from backend.errors import ActionFailed, BerthError, ConfigError, Refused
from backend.recipes import gitcache
from backend.recipes.model import DIGEST_LABEL, PRE_RUN, RECIPE_LABEL
from tests.backend.recipes.conftest import CUDA, KEY, PRIVATE, Repo, names, tree_hash


def said(error: BerthError, repo: Repo) -> str:
    return str(error).replace(f"{repo.path}/", "")


async def test_a_stack_gets_its_bases_as_arguments(repo: Repo, into: Path) -> None:
    repo.layer("ssh", CUDA, "ARG port\nEXPOSE $port\nARG unused=1\n")
    repo.write(
        "images/ssh/berth.yaml",
        f"base: {CUDA}\nports: [32778, 53/udp]\nargs: {{unused: two}}\ntags: [a, b]\n",
    )
    repo.layer("mamba", "ssh")
    before = tree_hash(repo.path)
    mamba = await repo.render("mamba", into)
    ssh = await repo.render("ssh", into)
    assert mamba.build_args == {"baseimage": "xvdp/cuda1180-ubuntu2204_ssh:a"}
    assert mamba.base == "xvdp/cuda1180-ubuntu2204_ssh:a"
    assert mamba.parents == ("ssh",)
    assert ssh.build_args == {"baseimage": CUDA, "unused": "two", "port": "32778"}
    assert ssh.images == (CUDA,)
    assert ssh.tags == ("xvdp/cuda1180-ubuntu2204_ssh:a", "xvdp/cuda1180-ubuntu2204_ssh:b")
    assert ssh.dockerfile.read_text().endswith("\nEXPOSE 53/udp\n")  # the other is exposed by the file itself
    assert ssh.labels == {DIGEST_LABEL: ssh.digest, RECIPE_LABEL: "ssh"}
    assert tree_hash(repo.path) == before
    assert not ssh.folder.is_relative_to(repo.path)
    origins = {each.what: (each.value, each.source.replace(f"{repo.path}/", "")) for each in ssh.origins}
    assert origins["base"] == (CUDA, "images/ssh/berth.yaml:1")
    assert origins["arg unused"] == ("two", "images/ssh/berth.yaml:3")
    assert origins["maintainer"] == ("xvdp", "settings")
    assert {each.what: each.source for each in mamba.origins}["base"].startswith("recipe ssh, named in ")


async def test_what_the_command_line_says_is_told_as_such(repo: Repo, into: Path) -> None:
    repo.layer("ssh", CUDA, "ARG a\n")
    over = {"base": "debian:12", "args": {"a": "1"}, "tag": "x", "maintainer": "me"}
    ssh = await repo.render("ssh", into, said=over)
    assert ssh.tags == ("me/debian12_ssh:x",)
    assert ssh.build_args == {"baseimage": "debian:12", "a": "1"}
    sources = {each.what: each.source for each in ssh.origins}
    assert {sources[what] for what in ("base", "arg a", "tag", "maintainer")} == {"command line"}
    alone = await repo.render("ssh", into, base_override="ubuntu:24.04")
    assert (alone.base, alone.tags) == ("ubuntu:24.04", ("xvdp/ubuntu2404_ssh:latest",))


async def test_names_of_recipes_in_the_text_become_images(repo: Repo, into: Path) -> None:
    repo.layer("base", "debian:12")
    repo.write(
        "it/Dockerfile",
        "# syntax=docker/dockerfile:1\nFROM \\\n  base AS one\nFROM localhost/base\n"
        "COPY --from=base /a /b\nRUN --mount=type=bind,from=base,target=/x true\nCOPY --from=one / /\n",
    )
    made = await repo.render("it", into)
    image = "xvdp/debian12_base:latest"
    assert made.dockerfile.read_text() == (
        f"# syntax=docker/dockerfile:1\nFROM \\\n  {image} AS one\nFROM {image}\n"
        f"COPY --from={image} /a /b\nRUN --mount=type=bind,from={image},target=/x true\nCOPY --from=one / /\n"
    )
    assert made.images == (image,)
    assert made.buildkit == "RUN --mount in line 6"
    repo.write("it/Dockerfile", "FROM ba\\\nse\n")
    with pytest.raises(ConfigError) as caught:
        await repo.render("it", into)
    assert said(caught.value, repo).startswith("it/Dockerfile:1:6: the name of a local base is cut")


async def test_the_context_is_what_docker_would_send(repo: Repo, into: Path) -> None:
    repo.write("it/Dockerfile", "FROM debian\n")
    repo.write(
        "it/.dockerignore",
        "# comment\n*.log\n!keep.log\nsecret\n**/deep/*.bin\n/top.txt\ndata/*\n!data/keep\n",
    )
    for name in (
        "a.log",
        "keep.log",
        "secret/x",
        "x/deep/y.bin",
        "x/deep/y.txt",
        "top.txt",
        "x/top.txt",
        "b c.txt",
    ):
        repo.write(f"it/{name}", "x")
    repo.write("it/data/gone", "x")
    repo.write("it/data/keep/it", "x")
    repo.write("it/run.sh", "x", mode=0o755)
    (repo.path / "it/empty").mkdir()
    (repo.path / "it/empty").chmod(0o555)
    (repo.path / "it/link").symlink_to("run.sh")
    (repo.path / "it/away").symlink_to("/etc")
    os.mkfifo(repo.path / "it/pipe")
    os.utime(repo.path / "it/run.sh", (1000, 1000))
    made = await repo.render("it", into)
    assert names(made.folder) == sorted(
        [
            "Dockerfile",
            "away",
            "b c.txt",
            "data/keep/it",
            "keep.log",
            "link",
            "run.sh",
            "x/deep/y.txt",
            "x/top.txt",
        ]
    )
    run = (made.folder / "run.sh").stat()
    assert (run.st_mode & 0o777, run.st_mtime) == (0o755, 1000)
    assert os.readlink(made.folder / "away") == "/etc"
    assert (made.folder / "empty").is_dir()
    assert (made.files, made.size) == (7, len("FROM debian\n") + 6)


async def test_the_digest_follows_what_is_in_the_image(repo: Repo, into: Path) -> None:
    repo.layer("ssh", CUDA)
    repo.layer("mamba", "ssh")
    first = await repo.render("mamba", into)
    again = await repo.render("mamba", into)
    assert again.digest == first.digest
    assert again.folder != first.folder
    (repo.path / "images/mamba/Dockerfile").touch()
    assert (await repo.render("mamba", into)).digest == first.digest
    seen = {first.digest}
    for change in (
        lambda: repo.write("images/mamba/new", "1"),
        lambda: repo.write("images/mamba/new", "2"),
        lambda: repo.write("images/mamba/new", "2", mode=0o755),
        lambda: repo.write("images/ssh/new", "1"),  # what it stands on
        lambda: repo.write("images/ssh/berth.yaml", "base: debian:12\n"),
        lambda: repo.write("images/mamba/berth.yaml", "base: ssh\nplatform: linux/arm64\n"),
    ):
        change()
        seen.add((await repo.render("mamba", into)).digest)
    assert len(seen) == 7


async def test_a_file_that_changes_without_its_size_is_noticed(repo: Repo, into: Path) -> None:
    repo.write("it/Dockerfile", "FROM debian\n")
    file = repo.write("it/data", "one")
    os.utime(file, ns=(1, 1))
    first = await repo.render("it", into)
    file.write_text("two")
    os.utime(file, ns=(1, 1))  # as rsync and git do: the time stays what it was
    second = await repo.render("it", into)
    assert second.digest != first.digest
    assert (second.folder / "data").read_text() == "two"


async def test_a_private_key_is_refused_and_named(repo: Repo, into: Path) -> None:
    repo.write("it/Dockerfile", "FROM debian\n")
    repo.write("it/x/id_ed25519", PRIVATE)
    repo.write("it/scan.py", 'KEY = "-----BEGIN OPENSSH PRIVATE KEY-----"\n')  # the mention of one is none
    for _ in range(2):  # also when the file was seen before
        with pytest.raises(Refused) as caught:
            await repo.render("it", into)
        assert said(caught.value, repo).startswith("it/x/id_ed25519 is a private key, and would become part")
    repo.write("it/.dockerignore", "x\n")
    assert names((await repo.render("it", into)).folder) == ["Dockerfile", "scan.py"]
    (repo.path / "it/.dockerignore").unlink()
    repo.write("it/berth.yaml", "allow_keys: x/*\n")
    assert "x/id_ed25519" in names((await repo.render("it", into)).folder)
    repo.write("it/account.json", '{"private_key": "-----BEGIN PRIVATE KEY-----\\nMIIEvQIBADANBg"}')
    with pytest.raises(Refused, match=r"account\.json"):
        await repo.render("it", into)


async def test_staged_files_and_projects_lie_beside_the_recipe(repo: Repo, into: Path) -> None:
    repo.write("it/Dockerfile", "FROM debian\nADD weights /w\n")
    repo.write("big/weights/a", "1")
    repo.write("lib/pyproject.toml", "")
    repo.write("lib/.git/config", "")
    repo.write("lib/output/x", "")
    repo.write("lib/src/lib.py", "")
    (repo.path / "newest").symlink_to("big/weights/a")
    repo.write(
        "it/berth.yaml",
        "staged:\n  - ../newest\n  - {file: ../big/weights, to: data/w}\n  - project: ../lib\n",
    )
    before = tree_hash(repo.path)
    made = await repo.render("it", into)
    assert names(made.folder) == sorted(
        ["Dockerfile", "berth.yaml", "data/w/a", "lib/pyproject.toml", "lib/src/lib.py", "newest"]
    )
    assert (made.folder / "newest").read_text() == "1"
    assert tree_hash(repo.path) == before
    assert {each.what for each in made.origins} >= {"staged newest", "staged data/w", "staged lib"}


async def test_what_is_staged_never_leaves_the_context(repo: Repo, into: Path) -> None:
    """A link of the recipe that leads out of it must not take what is staged along."""
    repo.write("it/Dockerfile", "FROM debian\n")
    repo.write("outside/keep", "mine")
    (repo.path / "it/data").symlink_to(repo.path / "outside")
    repo.write("it/berth.yaml", "staged: [{file: ../outside/keep, to: data/new}]\n")
    with pytest.raises(ActionFailed, match="would lie behind the link data"):
        await repo.render("it", into)
    assert names(repo.path / "outside") == ["keep"]
    repo.write("it/berth.yaml", "staged: [{file: ../outside/keep, to: Dockerfile}]\n")
    with pytest.raises(ConfigError, match="Dockerfile is in the context already"):
        await repo.render("it", into)
    repo.write("it/berth.yaml", "staged: [../nothing]\n")
    with pytest.raises(ConfigError, match="there is no such file, and the recipe stages it"):
        await repo.render("it", into)


async def test_secrets_stay_out_of_the_context(
    repo: Repo, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.write("it/Dockerfile", "FROM debian\nRUN --mount=type=secret,id=token true\n")
    repo.write("it/token.txt", "hunter2")
    repo.write("it/berth.yaml", "secrets:\n  token: {file: token.txt}\n  hub: {env: HUB_TOKEN}\n")
    with pytest.raises(ConfigError, match="HUB_TOKEN is not set"):
        await repo.render("it", into)
    monkeypatch.setenv("HUB_TOKEN", "hunter3")
    made = await repo.render("it", into)
    assert names(made.folder) == ["Dockerfile", "berth.yaml"]
    assert made.secrets["token"].file == repo.path / "it/token.txt"
    assert "hunter" not in repr(made)
    digest = made.digest
    repo.write("it/token.txt", "other")
    assert (await repo.render("it", into)).digest == digest
    (repo.path / "it/token.txt").unlink()
    with pytest.raises(ConfigError, match=r"secrets\.token: there is no file"):
        await repo.render("it", into)


async def test_public_keys_have_to_be_there_and_public(repo: Repo, into: Path) -> None:
    repo.layer("ssh", CUDA)
    repo.write("images/ssh/berth.yaml", f"base: {CUDA}\nusers: {{ann: 1000}}\nauthorized_keys: ../../keys\n")
    with pytest.raises(ConfigError, match="keys: there is no such file: nobody could log in"):
        await repo.render("ssh", into)
    repo.write("keys", "# none yet\n\n")
    with pytest.raises(ConfigError, match="holds no public key"):
        await repo.render("ssh", into)
    repo.write("keys", PRIVATE)
    with pytest.raises(Refused, match="keys is a private key"):
        await repo.render("ssh", into)
    repo.write("keys", f"# ann\r\n{KEY}".replace("\n", "\r\n"))
    made = await repo.render("ssh", into)
    staged = (made.folder / "berth/authorized_keys").read_text()
    assert staged.endswith(KEY)
    assert "\r\n" not in staged.replace("\r\r\n", "\n")
    assert (made.folder / "authorized_keys").read_text() == staged
    assert made.users[0].uid == 1000


async def test_workspaces_take_their_hooks_however_they_are_written(repo: Repo, into: Path) -> None:
    hooks = "src/cookietts/container"
    repo.write(f"{hooks}/packages.txt", "# tools\r\ngit curl\r\nffmpeg  # video\r\n")
    repo.write(f"{hooks}/requirements.txt", "numpy\r\n")
    repo.write(f"{hooks}/pre-install", "")
    repo.write(f"{hooks}/post-install", "#!/bin/bash\r\necho done\r\n")
    repo.write(f"{hooks}/pre-run", "service start\r\n")
    before = tree_hash(repo.path)
    made = await repo.render("cookietts", into, owner=(1234, 99))
    text = made.dockerfile.read_text()
    steps = [line for line in text.splitlines() if line.startswith(("RUN", "FROM", "COPY"))]
    assert [line.split()[1].rpartition("/")[2] for line in steps] == [
        *("${baseimage}", "install-packages", "install-packages", "container", "install-requirements"),
        *("cd", "mkdir", "cd", "cp"),
    ]
    assert "install-packages git curl ffmpeg" in text
    assert "pre-install" not in text
    assert (made.folder / "container/post-install").read_bytes() == b"#!/bin/bash\necho done\n"
    assert (made.folder / "container/post-install").stat().st_mode & 0o777 == 0o755
    assert made.build_args == {"baseimage": "ubuntu:22.04", "BERTH_UID": "1234", "BERTH_GID": "99"}
    assert (made.pre_run, made.user, made.base) == (PRE_RUN, "1234:99", "ubuntu:22.04")
    assert tree_hash(repo.path) == before
    repo.write(f"{hooks}/packages.txt", "git\nrm -rf; /\n")
    with pytest.raises(ConfigError) as caught:
        await repo.render("cookietts", into)
    assert said(caught.value, repo).startswith(f"{hooks}/packages.txt:2: '-rf;' is no name of a package.")


async def test_a_workspace_without_hooks_builds_nothing_but_its_user(repo: Repo, into: Path) -> None:
    (repo.path / "src/bare/container").mkdir(parents=True)
    repo.write("src/bare/berth.yaml", "base: debian:12\n")
    made = await repo.render("bare", into)
    assert made.dockerfile.read_text().count("\nRUN ") == 1
    assert (made.base, made.pre_run) == ("debian:12", "")
    assert (made.folder / "container").is_dir()


async def test_a_project_of_rp_is_composed_as_its_jobs_have_it(repo: Repo, into: Path) -> None:
    from backend.projects import compose, rp

    repo.write("demo/docker/Dockerfile", "FROM ubuntu:22.04\r\n")
    repo.write("demo/docker/hook_pre_useradd", "RUN pre\r\n")
    repo.write("demo/docker/hook_post_useradd", "RUN post\n")
    repo.write("demo/docker/bashhook.sh", "")
    repo.write("demo/.rp/info.json", '{"name": "demo", "tag": "me/rp_demo"}')
    before = tree_hash(repo.path)
    made = await repo.render("demo", into, owner=(1234, 99))
    project = rp.read(repo.path / "demo")
    assert made.dockerfile.read_text() == compose.dockerfile(project, 1234, 99)
    assert made.tags == (f"me/rp_demo:{compose.digest(project, 1234, 99)}",)
    assert (made.user, made.images) == ("1234:99", ("ubuntu:22.04",))
    assert names(made.folder) == ["Dockerfile", "bashhook.sh", "hook_post_useradd", "hook_pre_useradd"]
    assert tree_hash(repo.path) == before


async def test_a_cluster_recipe_leaves_out_what_was_made_of_it(repo: Repo, into: Path) -> None:
    repo.write("reasoning_base/Dockerfile", "FROM debian\n")
    for name in ("image.sqsh", "env.toml", "build.log", "tmp/x", "entrypoint.sh", "code.py"):
        repo.write(f"projects/it/{name}", "x")
    repo.write("projects/it/Dockerfile", "FROM reasoning_base\n")
    made = await repo.render("it", into)
    assert names(made.folder) == ["Dockerfile", "code.py", "entrypoint.sh"]
    assert (made.folder / "entrypoint.sh").stat().st_mode & 0o777 == 0o755
    assert made.dockerfile.read_text().endswith(
        'COPY entrypoint.sh /entrypoint.sh\nENTRYPOINT ["/entrypoint.sh"]\n'
    )
    assert made.base == "reasoning_base:latest"
    repo.write("projects/it/Dockerfile", "FROM reasoning_base\nCOPY entrypoint.sh /run\n")
    made = await repo.render("it", into)
    assert "ENTRYPOINT" not in made.dockerfile.read_text()


async def test_what_cannot_be_built_is_not_rendered(repo: Repo, into: Path) -> None:
    from backend.recipes.render import render

    repo.write("it/Dockerfile", "FROM localhost/gone\n")
    graph = repo.graph()
    with pytest.raises(ConfigError, match="localhost/gone is local"):
        await render(graph.recipes["it"], graph=graph, into=into)
    assert list(into.iterdir()) == []
    repo.write("images/ssh/Dockerfile", "ARG baseimage\nFROM ${baseimage}\n")
    graph = repo.graph()
    made = await render(graph.recipes["ssh"], graph=graph, into=into, base_override=CUDA)
    assert made.base == CUDA


async def test_a_full_cache_is_said_and_leaves_nothing(
    repo: Repo, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    repo.write("it/Dockerfile", "FROM debian\n")
    repo.write("it/data", "x" * 100)

    def full(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device", str(into))

    monkeypatch.setattr(os, "utime", full)
    with pytest.raises(ActionFailed, match="No space left on device"):
        await repo.render("it", into)


def test_the_git_cache_lies_in_the_cache(repo: Repo) -> None:
    assert gitcache.place("https://example.org/a/b.git").parent == repo.path.parent / "cache" / "git"


async def test_a_look_tells_what_would_be_rendered_and_copies_nothing(repo: Repo, into: Path) -> None:
    from backend.recipes.render import look

    async def digests() -> dict[str, str]:
        graph, done = repo.graph(), {}
        for level in graph.order([name for name, each in graph.recipes.items() if not each.problems]):
            for each in level:
                with contextlib.suppress(Refused):
                    made, text = await look(each, graph=graph, into=into, parents=done, owner=(5, 6))
                    done[each.name] = made
                    assert text.startswith(("ARG", "FROM"))
        return {name: made.digest for name, made in done.items()}

    repo.layer("ssh", CUDA)
    repo.write("images/ssh/data/x", "1")
    (repo.path / "images/ssh/link").symlink_to("data")
    repo.layer("mamba", "ssh")
    repo.write("src/flow/container/pre-run", "x\r\n")
    repo.write("lib/setup.py", "x")
    repo.write("it/Dockerfile", "FROM debian\n")
    repo.write("it/berth.yaml", "staged: [{project: ../lib}]\n")
    repo.write("bad/Dockerfile", "RUN x\n")
    repo.write("key/Dockerfile", "FROM debian\n")
    repo.write("key/id", PRIVATE)
    found = await digests()
    assert list(into.iterdir()) == []
    assert set(found) == {"ssh", "mamba", "flow", "it"}
    for name in found:
        assert (await repo.render(name, into, owner=(5, 6))).digest == found[name]
    repo.write("images/ssh/data/x", "2")
    again = await digests()
    assert again["mamba"] != found["mamba"]
    assert again["it"] == found["it"]


async def test_a_linked_context_is_the_same_once_rsync_has_followed(repo: Repo, into: Path) -> None:
    import subprocess

    repo.write("it/Dockerfile", "FROM debian\n")
    repo.write("it/run.sh", "x", mode=0o755)
    repo.write("it/a/b", "1")
    repo.write("it/a/c/d", "2")
    repo.write("it/part/in", "3")
    repo.write("it/part/below/in", "4")
    repo.write("it/part/out.log", "5")
    repo.write("it/.dockerignore", "**/*.log\n")
    repo.write("new", "6")
    repo.write("it/berth.yaml", "staged: [{file: ../new, to: mixed/new}]\n")
    repo.write("it/mixed/old", "7")
    (repo.path / "it/a/link").symlink_to("b")
    (repo.path / "it/link").symlink_to("run.sh")
    (repo.path / "it/folder").symlink_to("a")
    before = tree_hash(repo.path)
    copied = await repo.render("it", into)
    linked = await repo.render("it", into, linked=True)
    assert (linked.linked, copied.linked) == (True, False)
    assert linked.digest == copied.digest
    links = {
        path.name for path in linked.folder.rglob("*") if path.is_symlink() and path.readlink().is_absolute()
    }
    assert links >= {"a", "below", "in", "old", "new", "run.sh"}
    assert not links & {"part", "mixed"}
    options = ["rsync", "-a", "--copy-unsafe-links", f"{linked.folder}/", f"{into}/there/"]
    subprocess.run(options, check=True)
    differ = ["rsync", "-an", "--delete", "--itemize-changes", f"{copied.folder}/", f"{into}/there/"]
    assert subprocess.run(differ, check=True, capture_output=True, text=True).stdout == ""
    assert (into / "there/run.sh").stat().st_mode & 0o777 == 0o755
    assert os.readlink(into / "there/link") == "run.sh"
    assert tree_hash(repo.path) == before
    (repo.path / "it/away").symlink_to("/etc")  # no longer told from the others: everything is copied
    assert not (await repo.render("it", into, linked=True)).linked
    repo.write("it/key", PRIVATE)
    with pytest.raises(Refused):
        await repo.render("it", into, linked=True)
